//! Reading and listing orders.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use crate::client::{ORDER, Site};

#[actix_web::test]
async fn an_unknown_order_is_not_found_and_a_bad_id_is_a_bad_parameter() {
    let site = Site::new();
    let unknown = "/v1/orders/0190b5a2-0000-7000-8000-000000000000";
    site.get(unknown).await.problem(404, "NOT_FOUND");
    for id in ["7", "0190b5a2000070008000000000000000", "%00", "..%2f", "{0190b5a2}"] {
        let reply = site.get(&format!("/v1/orders/{id}")).await;
        reply.fault(400, "BAD_PARAMETER", ("parameter", "id"));
    }
}

#[actix_web::test]
async fn pages_lead_through_all_orders_without_gaps() {
    let site = Site::new();
    for n in 0..7 {
        let user = if n % 2 == 0 { "\"ada\"" } else { "\"bob\"" };
        assert_eq!(site.post("/v1/orders", &[], &ORDER.replace("\"ada\"", user)).await.status, 202);
    }
    let mut seen = Vec::new();
    let mut url = "/v1/orders?limit=3".to_owned();
    loop {
        let reply = site.get(&url).await;
        let page = reply.json();
        let ids = page["orders"].as_array().unwrap().iter().map(|it| it["orderId"].to_string());
        seen.extend(ids);
        match page["nextCursor"].as_str() {
            Some(cursor) => {
                url = format!("/v1/orders?limit=3&cursor={cursor}");
                assert_eq!(reply.header("link"), Some(&*format!("<{url}>; rel=\"next\"")));
            }
            None => {
                assert_eq!(reply.header("link"), None);
                break;
            }
        }
    }
    let mut newest_first = seen.clone();
    newest_first.sort();
    newest_first.reverse();
    assert_eq!((seen.len(), &seen), (7, &newest_first));
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 7);

    let count = async |url: &str| site.get(url).await.json()["orders"].as_array().unwrap().len();
    assert_eq!(count("/v1/orders?userId=bob").await, 3);
    assert_eq!(count("/v1/orders?userId=bob&status=PENDING").await, 3);
    assert_eq!(count("/v1/orders?status=CONFIRMED&userId=").await, 0);
    assert_eq!(count("/v1/orders?limit=7").await, 7, "a full last page has no next one");
}

#[actix_web::test]
async fn a_parameter_that_makes_no_sense_is_named() {
    let site = Site::new();
    let cases = [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("status=pending", "status"),
        ("cursor=xyz", "cursor"),
        ("userId=a%00b", "userId"),
        ("user=ada", "user"),
        ("limit=5&limit=6", "limit"),
    ];
    for (query, name) in cases {
        let reply = site.get(&format!("/v1/orders?{query}")).await;
        reply.fault(400, "BAD_PARAMETER", ("parameter", name));
    }
}

#[actix_web::test]
async fn a_store_that_is_away_makes_503_and_keeps_its_secrets() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.store_is_down.store(true, Ordering::Relaxed);
    for path in ["/v1/orders", &format!("/v1/orders/{}", order.id), "/v1/sagas", "/v1/stats"] {
        let reply = site.get(path).await;
        reply.problem(503, "STORE_UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), Some("1"));
        assert!(!reply.text().contains("secret"), "{reply:?}");
    }
}
