//! Who is let in, and what nobody finds.

use actix_web::http::Method;

use crate::bodies::talk;
use crate::client::{ORDER, Site};

#[actix_web::test]
async fn a_foreign_host_name_is_not_answered() {
    let site = Site::new();
    let order = site.order().await.order;
    let paths = ["/", "/v1/orders", &format!("/v1/orders/{}", order.id), "/assets/skald.css"];
    for path in paths {
        let rebound = [("host", "evil.example")];
        let reply = site.send(Method::GET, path, &rebound, "").await;
        reply.problem(421, "WRONG_HOST");
        assert!(!reply.text().contains("ada"), "nothing leaks");
        let forwarded = [("host", "evil.example"), ("x-forwarded-host", "localhost")];
        site.send(Method::GET, path, &forwarded, "").await.problem(421, "WRONG_HOST");
    }
    for host in ["localhost:1", "skald.example", "[::1]:7070"] {
        assert_eq!(site.send(Method::GET, "/v1/orders", &[("host", host)], "").await.status, 200);
    }
}

#[actix_web::test]
async fn a_host_must_be_given_once() {
    let site = Site::new();
    let none = "GET /v1/orders HTTP/1.1\r\nConnection: close\r\n\r\n";
    assert!(talk(&site, none.as_bytes()).await.starts_with("HTTP/1.1 400"));
    let two =
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(talk(&site, two.as_bytes()).await.starts_with("HTTP/1.1 400"));
    let absolute =
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(talk(&site, absolute.as_bytes()).await.starts_with("HTTP/1.1 400"));
}

#[actix_web::test]
async fn probes_go_by_address() {
    let site = Site::new();
    let host = [("host", "10.1.2.3:7070")];
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(site.send(Method::GET, path, &host, "").await.status, 200, "{path}");
    }
    site.send(Method::GET, "/", &host, "").await.problem(421, "WRONG_HOST");
}

#[actix_web::test]
async fn a_foreign_page_changes_nothing() {
    let site = Site::new();
    let order = site.order().await.order;
    let cancel = format!("/v1/orders/{}/cancel", order.id);
    let foreign = [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "cross-site"),
    ];
    for header in foreign {
        site.post("/v1/orders", &[header], ORDER).await.problem(403, "CROSS_SITE");
        site.post(&cancel, &[header], "").await.problem(403, "CROSS_SITE");
        let json = [("content-type", "application/json"), header];
        let put = "/v1/inventory/products/tea";
        let reply = site.send(Method::PUT, put, &json, r#"{"onHand":1}"#).await;
        reply.problem(403, "CROSS_SITE");
    }
    assert_eq!(site.world.lock().submissions.len(), 1);
    assert!(site.world.lock().inputs.is_empty());

    let own = format!("http://{}", site.address);
    for origin in [own.as_str(), "https://skald.example"] {
        let headers = [("origin", origin), ("sec-fetch-site", "same-origin")];
        assert_eq!(site.post("/v1/orders", &headers, ORDER).await.status, 202);
    }
}

#[actix_web::test]
async fn no_page_may_read_across_origins() {
    let site = Site::new();
    let from = [("origin", "https://evil.example")];
    let reply = site.send(Method::GET, "/v1/orders", &from, "").await;
    assert_eq!(reply.header("access-control-allow-origin"), None);
    assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"));
    let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let reply = site.send(Method::OPTIONS, "/v1/orders", &preflight, "").await;
    reply.problem(405, "METHOD_NOT_ALLOWED");
}

#[actix_web::test]
async fn unknown_addresses_and_methods_are_problems_too() {
    let site = Site::new();
    for path in ["/v2/orders", "/v1/orders/", "/v1", "/v1/sagas/x/y", "/../etc/passwd", "/%00"] {
        site.get(path).await.problem(404, "NOT_FOUND");
    }
    let cases = [
        (Method::DELETE, "/v1/orders", "GET, HEAD, POST"),
        (Method::PATCH, "/v1/inventory/products/tea", "GET, HEAD, PUT"),
        (Method::GET, "/v1/sagas/x/retry", "POST"),
        (Method::POST, "/livez", "GET, HEAD"),
    ];
    for (method, path, allow) in cases {
        let reply = site.send(method, path, &[], "").await;
        reply.problem(405, "METHOD_NOT_ALLOWED");
        assert_eq!(reply.header("allow"), Some(allow), "{path}");
    }
}

#[actix_web::test]
async fn a_head_request_gets_the_headers_alone() {
    let site = Site::new();
    let reply = site.send(Method::HEAD, "/v1/orders", &[], "").await;
    assert_eq!((reply.status.as_u16(), reply.body.len()), (200, 0));
    assert_eq!(reply.header("content-type"), Some("application/json"));
}

#[actix_web::test]
async fn every_answer_is_marked_as_not_to_be_kept_or_framed() {
    let site = Site::new();
    for path in ["/", "/v1/orders", "/v1/orders/x", "/nowhere", "/livez"] {
        let reply = site.get(path).await;
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(policy.contains("script-src 'self'") && policy.contains("connect-src 'self'"));
        assert!(!policy.contains("unsafe"), "{policy}");
    }
}
