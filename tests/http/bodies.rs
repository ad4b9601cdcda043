//! Bodies that are not what was asked for: each a clear answer, and nothing changed.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::rt;

use crate::client::{ORDER, Site};

#[actix_web::test]
async fn every_bad_field_is_named_by_its_pointer() {
    let site = Site::new();
    let item = r#"{"productId":"tea","quantity":2,"price":9.99}"#;
    let with = |from: &str, to: &str| ORDER.replace(from, to);
    let cases = [
        (with("\"ada\"", "\"a\\u0000b\""), "/userId"),
        (with("\"ada\"", "\"\""), "/userId"),
        (with("\"ada\"", "7"), "/userId"),
        (with("\"ada\"", "null"), "/userId"),
        (with("\"userId\":\"ada\",", ""), "/userId"),
        (with("ada@example.org", "nobody"), "/email"),
        (with("ada@example.org", "a@b\\r\\nBcc: c@d"), "/email"),
        (with("\"userId\"", "\"currency\":\"Dollar\",\"userId\""), "/currency"),
        (with("\"userId\"", "\"discount\":5,\"userId\""), "/discount"),
        (with("\"userId\"", "\"userId\":\"eve\",\"userId\""), "/userId"),
        (with(item, ""), "/items"),
        (with(&format!("[{item}]"), "{}"), "/items"),
        (with("\"tea\"", "\"te\\u0007a\""), "/items/0/productId"),
        (with(":2", ":0"), "/items/0/quantity"),
        (with(":2", ":-2"), "/items/0/quantity"),
        (with(":2", ":1.5"), "/items/0/quantity"),
        (with(":2", ":\"2\""), "/items/0/quantity"),
        (with(":2", ":99999999999999999999"), "/items/0/quantity"),
        (with("9.99", "-0.01"), "/items/0/price"),
        (with("9.99", "1e3"), "/items/0/price"),
        (with("9.99", "0.001"), "/items/0/price"),
        (with("9.99", "100000000000"), "/items/0/price"),
        (with(",\"price\":9.99", ""), "/items/0/price"),
        (with(":2", ":2,\"color~/\":1"), "/items/0/color~0~1"),
        (with(item, &format!("{item},{item},{{}}")), "/items/2/productId"),
    ];
    for (body, pointer) in cases {
        let reply = site.post("/v1/orders", &[], &body).await;
        reply.fault(422, "INVALID_FIELDS", ("pointer", pointer));
    }
    let long = with("\"ada\"", &format!("\"{}\"", "u".repeat(65)));
    site.post("/v1/orders", &[], &long).await.fault(422, "INVALID_FIELDS", ("pointer", "/userId"));
    assert!(site.world.lock().submissions.is_empty(), "nothing was changed");
}

#[actix_web::test]
async fn all_bad_fields_are_named_at_once() {
    let site = Site::new();
    let body = r#"{"userId":"","email":"x","items":[{"productId":"a","quantity":0,"price":-1}]}"#;
    let problem = site.post("/v1/orders", &[], body).await.problem(422, "INVALID_FIELDS");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 4);
}

#[actix_web::test]
async fn a_broken_body_is_told_where_it_breaks() {
    let site = Site::new();
    let broken = [
        "",
        "{",
        "{\"userId\":\"ada\",}",
        "{\"userId\":\"ada\" \"email\":1}",
        "{\"userId\":\"\\ud800\"}",
        "{\"userId\":\"a\u{1}b\"}",
        "nonsense",
        "{} {}",
    ];
    for body in broken {
        let problem = site.post("/v1/orders", &[], body).await.problem(400, "MALFORMED_BODY");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("line 1, column "), "{detail}");
    }
    let deep = format!("{{\"userId\":{}", "[".repeat(60_000));
    let reply = site.post("/v1/orders", &[], &deep).await;
    assert!(reply.status.is_client_error(), "{reply:?}");
    let place = ORDER.replace("9.99", "9.99,,");
    let reply = site.post("/v1/orders", &[], &place).await;
    reply.fault(400, "MALFORMED_BODY", ("pointer", "/items/0"));
    let json = [("content-type", "application/json")];
    let not_utf8 = b"{\"userId\":\"\xff\"}".to_vec();
    let reply = site.send(Method::POST, "/v1/orders", &json, not_utf8).await;
    assert!(reply.problem(400, "MALFORMED_BODY")["detail"].as_str().unwrap().contains("UTF-8"));
}

#[actix_web::test]
async fn a_message_quotes_only_a_little_of_the_body() {
    let site = Site::new();
    let body = format!("{{\"{}\":1}}", "x".repeat(60_000));
    let reply = site.post("/v1/orders", &[], &body).await;
    let problem = reply.problem(422, "INVALID_FIELDS");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().len() < 300);
    assert!(problem["errors"][0]["pointer"].as_str().unwrap().len() < 300);
    let body = ORDER.replace("\"userId\"", r#""a\n\u001b[31m":1,"userId""#);
    let reply = site.post("/v1/orders", &[], &body).await;
    let told = reply.fault(422, "INVALID_FIELDS", ("pointer", "/a[31m"));
    assert!(told.starts_with("unknown field `a[31m`"), "{told}");
}

#[actix_web::test]
async fn a_query_of_many_unknown_parameters_gets_a_short_answer() {
    let site = Site::new();
    let query: String = (0..3_000).map(|n| format!("p{n}&")).collect();
    let reply = site.get(&format!("/v1/orders?{query}")).await;
    let problem = reply.problem(400, "BAD_PARAMETER");
    assert_eq!(problem["errors"].as_array().unwrap().len(), 20);
    let long = format!("/v1/orders?{}%0a%1b=1", "x".repeat(5_000));
    let problem = site.get(&long).await.problem(400, "BAD_PARAMETER");
    assert_eq!(problem["errors"][0]["parameter"].as_str().unwrap().len(), 128);
}

#[actix_web::test]
async fn only_plain_json_is_taken() {
    let site = Site::new();
    let types = [
        &[("content-type", "text/plain")][..],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/jsonp")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
        &[("content-type", "")],
    ];
    for headers in types {
        let reply = site.send(Method::POST, "/v1/orders", headers, ORDER).await;
        reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    let raw = "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\
               Connection: close\r\n\r\n{}";
    assert!(talk(&site, raw.as_bytes()).await.starts_with("HTTP/1.1 415"));
    let json = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(site.send(Method::POST, "/v1/orders", &json, ORDER).await.status, 202);
}

#[actix_web::test]
async fn a_body_of_64_kib_is_read_and_a_larger_one_is_not() {
    let site = Site::new();
    let padded = |length: usize| format!("{ORDER}{}", " ".repeat(length - ORDER.len()));
    assert_eq!(site.post("/v1/orders", &[], &padded(65_536)).await.status, 202);
    site.post("/v1/orders", &[], &padded(65_537)).await.problem(413, "BODY_TOO_LARGE");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(65_536));
    let raw = format!(
        "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n{chunk}{chunk}0\r\n\r\n"
    );
    assert!(talk(&site, raw.as_bytes()).await.starts_with("HTTP/1.1 413"));
    let huge = "POST /v1/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 99999999999999\r\nConnection: close\r\n\r\n{";
    assert!(talk(&site, huge.as_bytes()).await.starts_with("HTTP/1.1 413"));
}

/// Says `raw` on a connection of its own and listens to the end.
pub async fn talk(site: &Site, raw: &[u8]) -> String {
    let (address, raw) = (site.address, raw.to_vec());
    let said = rt::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        connection.write_all(&raw).unwrap();
        let mut answer = Vec::new();
        // The server may reset the connection once it has answered what it did not read.
        let _ = connection.read_to_end(&mut answer);
        String::from_utf8(answer).unwrap()
    });
    said.await.unwrap()
}
