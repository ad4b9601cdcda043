//! Cancelling orders.

use std::sync::atomic::Ordering;

use actix_web::http::Method;
use skald::orders::order::Order;
use skald::ports::door::Request;

use crate::client::{Reply, Site};

async fn cancel(site: &Site, order: &Order, headers: &[(&str, &str)], body: &str) -> Reply {
    site.post(&format!("/v1/orders/{}/cancel", order.id), headers, body).await
}

#[actix_web::test]
async fn a_cancellation_in_time_is_granted_while_the_undoing_goes_on() {
    let site = Site::new();
    let order = site.order().await.order;
    let reply = cancel(&site, &order, &[], r#"{"reason":"found it cheaper"}"#).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["status"], "PENDING");
    assert_eq!(reply.json()["cancellation"]["state"], "IN_PROGRESS");
    let request = site.world.lock().inputs[0].0.request.clone();
    let Request::Cancel { by, reason } = request else { panic!("{request:?}") };
    assert_eq!(by, "customer");
    assert_eq!(
        (reason.code.as_str(), &*reason.text),
        ("CANCELLED_BY_CUSTOMER", "found it cheaper")
    );

    site.world.succeed(order.saga, "reserve-inventory");
    let again = cancel(&site, &order, &[], "").await;
    assert_eq!(again.status, 200);
    assert_eq!(again.json()["cancellation"]["state"], "DONE");
    assert_eq!(again.json()["reason"]["code"], "CANCELLED_BY_CUSTOMER");
    assert_eq!(site.world.lock().inputs.len(), 1, "what is cancelled is not asked again");
}

#[actix_web::test]
async fn a_cancellation_needs_no_body_but_a_form_is_refused() {
    let site = Site::new();
    let order = site.order().await.order;
    let path = format!("/v1/orders/{}/cancel", order.id);
    for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        let reply = site.send(Method::POST, &path, &[("content-type", form)], "").await;
        reply.problem(415, "UNSUPPORTED_MEDIA_TYPE");
    }
    assert!(site.world.lock().inputs.is_empty());
    let reply = site.send(Method::POST, &path, &[], "").await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[actix_web::test]
async fn a_confirmed_order_is_not_cancelled_any_more() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.succeed(order.saga, "reserve-inventory");
    cancel(&site, &order, &[], "").await.problem(409, "CONFLICT");
    assert!(site.world.lock().inputs.is_empty());
}

#[actix_web::test]
async fn a_cancellation_that_comes_too_late_is_refused_by_the_owner() {
    let site = Site::new();
    let order = site.order().await.order;
    cancel(&site, &order, &[], "").await;
    let problem = cancel(&site, &order, &[], "").await.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("already being rolled back"));
}

#[actix_web::test]
async fn a_repeat_under_the_same_key_is_the_same_wish() {
    let site = Site::new();
    let order = site.order().await.order;
    let key = [("idempotency-key", "\"c-1\"")];
    assert_eq!(cancel(&site, &order, &key, "").await.status, 200);
    assert_eq!(cancel(&site, &order, &key, "").await.status, 200);
    let other = cancel(&site, &order, &key, r#"{"reason":"another"}"#).await;
    other.problem(422, "KEY_REUSED");
    assert_eq!(site.world.lock().inputs.len(), 1);
}

#[actix_web::test]
async fn an_owner_that_is_away_makes_202_and_a_place_to_look() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.owner_is_away.store(true, Ordering::Relaxed);
    let reply = cancel(&site, &order, &[], "").await;
    assert_eq!(reply.status, 202, "{reply:?}");
    assert_eq!(reply.header("location"), Some(&*format!("/v1/orders/{}", order.id)));
    assert_eq!(reply.json()["cancellation"]["state"], "REQUESTED");
}

#[actix_web::test]
async fn an_order_that_moved_on_is_not_cancelled_against_an_older_version() {
    let site = Site::new();
    let order = site.order().await.order;
    let old = [("if-match", "\"1\"")];
    let problem = cancel(&site, &order, &old, "").await.problem(412, "VERSION_MISMATCH");
    assert!(problem["detail"].as_str().unwrap().contains("version 2"), "{problem}");
    for bad in ["7", "W/\"2\"", "\"2\", \"3\"", "\"x\"", "\"9223372036854775808\""] {
        let reply = cancel(&site, &order, &[("if-match", bad)], "").await;
        reply.fault(400, "BAD_PARAMETER", ("header", "If-Match"));
    }
    assert_eq!(cancel(&site, &order, &[("if-match", "*")], "").await.status, 200);
}

#[actix_web::test]
async fn a_reason_is_a_short_line_of_text() {
    let site = Site::new();
    let order = site.order().await.order;
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(501));
    for body in [r#"{"reason":""}"#, r#"{"reason":"a\u0000"}"#, r#"{"reason":7}"#, &long] {
        let reply = cancel(&site, &order, &[], body).await;
        reply.fault(422, "INVALID_FIELDS", ("pointer", "/reason"));
    }
    let reply = cancel(&site, &order, &[], r#"{"why":"x"}"#).await;
    reply.fault(422, "INVALID_FIELDS", ("pointer", "/why"));
    let unknown = "/v1/orders/0190b5a2-0000-7000-8000-000000000000/cancel";
    site.post(unknown, &[], "").await.problem(404, "NOT_FOUND");
    assert!(site.world.lock().inputs.is_empty());
}
