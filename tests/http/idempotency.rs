//! Repeats under the same Idempotency-Key.

use std::sync::atomic::Ordering;

use futures_util::future::join;
use skald::ports::orchestrator::SubmitError;

use crate::client::{ORDER, Site};

const KEY: (&str, &str) = ("idempotency-key", "\"k-1\"");

#[actix_web::test]
async fn a_repeat_gets_the_same_answer() {
    let site = Site::new();
    let first = site.post("/v1/orders", &[KEY], ORDER).await;
    let rewritten = r#"{ "currency":"USD","items":[{"price":9.990,"quantity":2,"productId":"tea"}],
        "email":"ada@example.org", "userId":"\u0061da" }"#;
    for (key, body) in [("\"k-1\"", ORDER), ("k-1", ORDER), ("\"k-1\"", rewritten)] {
        let again = site.post("/v1/orders", &[("idempotency-key", key)], body).await;
        assert_eq!(again.status, 202, "{again:?}");
        assert_eq!(again.body, first.body);
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
    }
    assert_eq!(first.header("idempotent-replayed"), None);
    assert_eq!(site.world.lock().orders.len(), 1);
}

#[actix_web::test]
async fn another_order_under_the_same_key_is_refused() {
    let site = Site::new();
    site.post("/v1/orders", &[KEY], ORDER).await;
    let others = [
        ORDER.replace("\"ada\"", "\"bob\""),
        ORDER.replace("ada@", "bob@"),
        ORDER.replace("tea", "cup"),
        ORDER.replace(":2", ":3"),
        ORDER.replace("9.99", "9.98"),
        ORDER.replace("\"userId\"", "\"currency\":\"EUR\",\"userId\""),
    ];
    for other in others {
        let reply = site.post("/v1/orders", &[KEY], &other).await;
        let problem = reply.problem(422, "KEY_REUSED");
        assert_eq!(problem["retryable"], false);
    }
    assert_eq!(site.world.lock().orders.len(), 1);
}

#[actix_web::test]
async fn a_repeat_while_the_first_is_in_flight_is_told_to_wait() {
    let site = Site::new();
    let world = site.world.clone();
    world.gate_is_shut.store(true, Ordering::Relaxed);
    let first = site.post("/v1/orders", &[KEY], ORDER);
    let second = async {
        world.arrived.acquire().await.unwrap().forget();
        let second = site.post("/v1/orders", &[KEY], ORDER).await;
        world.gate.add_permits(1);
        second
    };
    let (first, second) = join(first, second).await;
    assert_eq!(first.status, 202);
    second.problem(409, "IN_FLIGHT");
    assert_eq!(second.header("retry-after"), Some("1"));

    world.gate_is_shut.store(false, Ordering::Relaxed);
    let third = site.post("/v1/orders", &[KEY], ORDER).await;
    assert_eq!(third.body, first.body, "the flight ended with its answer");
}

#[actix_web::test]
async fn a_submission_that_failed_can_be_repeated_under_its_key() {
    let site = Site::new();
    let failures = [
        SubmitError::Store("full".to_owned()),
        SubmitError::Unknown,
        SubmitError::Busy { what: "queue".to_owned(), retry_after_s: 1 },
    ];
    for failure in failures {
        *site.world.next_failure.lock().unwrap() = Some(failure);
        assert_eq!(site.post("/v1/orders", &[KEY], ORDER).await.status, 503);
    }
    assert_eq!(site.post("/v1/orders", &[KEY], ORDER).await.status, 202);
}

#[actix_web::test]
async fn what_is_no_key_is_refused() {
    let site = Site::new();
    let long = "k".repeat(256);
    for key in ["\"\"", "two words", "\"open", long.as_str()] {
        let reply = site.post("/v1/orders", &[("idempotency-key", key)], ORDER).await;
        reply.fault(400, "BAD_PARAMETER", ("header", "Idempotency-Key"));
    }
    let twice = [KEY, ("idempotency-key", "\"k-2\"")];
    let reply = site.post("/v1/orders", &twice, ORDER).await;
    reply.fault(400, "BAD_PARAMETER", ("header", "Idempotency-Key"));
    assert!(site.world.lock().submissions.is_empty());
}

#[actix_web::test]
async fn a_repeat_that_waits_gets_the_order_once_it_is_settled() {
    let site = Site::new();
    site.post("/v1/orders", &[KEY], ORDER).await;
    let wait = [KEY, ("prefer", "wait=5")];
    let pending = site.post("/v1/orders", &wait, ORDER).await;
    assert_eq!((pending.status.as_u16(), &pending.json()["status"]), (202, &"PENDING".into()));
    let saga = site.world.lock().submissions[0].order.saga;
    site.world.confirm(saga);
    let settled = site.post("/v1/orders", &wait, ORDER).await;
    assert_eq!((settled.status.as_u16(), &settled.json()["status"]), (200, &"CONFIRMED".into()));
    assert_eq!(settled.header("idempotent-replayed"), Some("true"));
}

#[actix_web::test]
async fn a_refused_submission_does_not_use_up_its_key() {
    let site = Site::new();
    let bad = ORDER.replace("9.99", "-1");
    site.post("/v1/orders", &[KEY], &bad).await.problem(422, "INVALID_FIELDS");
    assert_eq!(site.post("/v1/orders", &[KEY], ORDER).await.status, 202);
}
