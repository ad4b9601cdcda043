//! The stock.

use actix_web::http::Method;
use serde_json::json;

use crate::client::Site;

const TEA: &str = "/v1/inventory/products/tea";

#[actix_web::test]
async fn a_product_is_made_changed_and_read() {
    let site = Site::new();
    site.get(TEA).await.problem(404, "NOT_FOUND");
    let made = site.put(TEA, r#"{"onHand":10}"#).await;
    let expected = json!({"productId": "tea", "onHand": 10, "reserved": 0, "available": 10});
    assert_eq!((made.status.as_u16(), made.json()), (200, expected));
    site.world.lock().products.get_mut("tea").unwrap().reserved = 4;
    let changed = site.put(TEA, r#"{"onHand":4}"#).await;
    let expected = json!({"productId": "tea", "onHand": 4, "reserved": 4, "available": 0});
    assert_eq!(changed.json(), expected);
    assert_eq!(site.get(TEA).await.json(), expected);
    let problem = site.put(TEA, r#"{"onHand":3}"#).await.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("4 pieces are reserved"));
    assert_eq!(site.get(TEA).await.json(), expected, "nothing was changed");
}

#[actix_web::test]
async fn an_amount_is_a_whole_number_within_bounds() {
    let site = Site::new();
    for amount in ["-1", "1.5", "1e3", "\"7\"", "null", "1000000000001", "[]"] {
        let reply = site.put(TEA, &format!("{{\"onHand\":{amount}}}")).await;
        reply.fault(422, "INVALID_FIELDS", ("pointer", "/onHand"));
    }
    site.put(TEA, "{}").await.fault(422, "INVALID_FIELDS", ("pointer", "/onHand"));
    let reply = site.put(TEA, r#"{"onHand":1,"reserved":0}"#).await;
    reply.fault(422, "INVALID_FIELDS", ("pointer", "/reserved"));
    site.put(TEA, "{").await.problem(400, "MALFORMED_BODY");
    let reply = site.send(Method::PUT, TEA, &[("content-type", "text/plain")], "{}").await;
    reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    assert!(site.world.lock().products.is_empty());
    assert_eq!(site.put(TEA, r#"{"onHand":1000000000000}"#).await.status, 200);
}

#[actix_web::test]
async fn a_product_id_may_hold_anything_but_control_characters() {
    let site = Site::new();
    for (path, id) in [("a%2Fb", "a/b"), ("%C3%A9t%C3%A9%20%25", "été %"), ("%3Cb%3E", "<b>")] {
        let path = format!("/v1/inventory/products/{path}");
        assert_eq!(site.put(&path, r#"{"onHand":1}"#).await.json()["productId"], id);
        assert_eq!(site.get(&path).await.json()["productId"], id);
    }
    for bad in ["a%00b", "a%0Ab", "%FF", &"x".repeat(65)] {
        let reply = site.put(&format!("/v1/inventory/products/{bad}"), r#"{"onHand":1}"#).await;
        reply.fault(400, "BAD_PARAMETER", ("parameter", "productId"));
    }
}

#[actix_web::test]
async fn pages_lead_through_all_products() {
    let site = Site::new();
    for id in ["a%26b", "a", "b", "c%20d", "e"] {
        site.put(&format!("/v1/inventory/products/{id}"), r#"{"onHand":1}"#).await;
    }
    let mut seen = Vec::new();
    let mut url = "/v1/inventory/products?limit=2".to_owned();
    loop {
        let reply = site.get(&url).await;
        let page = reply.json();
        let ids = page["products"].as_array().unwrap().iter();
        seen.extend(ids.map(|it| it["productId"].as_str().unwrap().to_owned()));
        let Some(link) = reply.header("link") else { break };
        url = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen, ["a", "a&b", "b", "c d", "e"]);
}

#[actix_web::test]
async fn a_cursor_is_a_products_id() {
    let site = Site::new();
    let reply = site.get("/v1/inventory/products?cursor=%00").await;
    reply.fault(400, "BAD_PARAMETER", ("parameter", "cursor"));
    assert_eq!(site.get("/v1/inventory/products?cursor=tea").await.status, 200);
}

#[actix_web::test]
async fn without_an_inventory_there_are_no_products() {
    let site = Site::with(|mut services| {
        services.inventory = None;
        services
    });
    site.get(TEA).await.problem(404, "NOT_FOUND");
    site.get("/v1/inventory/products").await.problem(404, "NOT_FOUND");
    site.put(TEA, r#"{"onHand":1}"#).await.problem(404, "NOT_FOUND");
    assert_eq!(site.get("/readyz").await.status, 200);
}
