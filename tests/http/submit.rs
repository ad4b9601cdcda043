//! Submitting orders.

use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::rt;
use skald::ports::orchestrator::{SubmitError, Watch};
use tokio::time::timeout;

use crate::client::{ORDER, Site};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[actix_web::test]
async fn an_order_is_accepted_and_can_be_read_at_once() {
    let site = Site::new();
    let reply = site.post("/v1/orders", &[], ORDER).await;
    assert_eq!(reply.status, 202);
    let accepted = reply.json();
    let location = reply.header("location").unwrap();
    assert_eq!(location, format!("/v1/orders/{}", accepted["orderId"].as_str().unwrap()));
    assert_eq!(accepted["status"], "PENDING");
    assert_eq!(accepted["currency"], "USD");
    assert_eq!(accepted["createdAt"], "2026-09-21T14:13:20.000000Z");
    assert!(reply.text().contains(r#""totalAmount":19.98"#), "the server computes the total");
    assert_eq!(reply.header("idempotent-replayed"), None);

    let order = site.get(location).await;
    assert_eq!(order.status, 200);
    assert_eq!(order.json()["sagaId"], accepted["sagaId"]);
    assert!(order.text().contains(r#"{"productId":"tea","quantity":2,"price":9.99}"#));
    let saga = site.get(&format!("/v1/sagas/{}", accepted["sagaId"].as_str().unwrap())).await;
    assert_eq!(saga.json()["key"], accepted["orderId"]);
}

#[actix_web::test]
async fn whoever_waits_gets_the_outcome() {
    let site = Site::new();
    site.world.gate_is_shut.store(true, Ordering::Relaxed);
    let outcome = {
        let world = site.world.clone();
        rt::spawn(async move {
            world.arrived.acquire().await.unwrap().forget();
            world.gate.add_permits(1);
            let saga = world.lock().submissions[0].order.saga;
            while !world.lock().watchers.contains_key(&saga) {
                rt::task::yield_now().await;
            }
            world.refuse(saga, "reserve-inventory", "INSUFFICIENT_STOCK");
        })
    };
    let reply = site.post("/v1/orders", &[("prefer", "wait=30")], ORDER).await;
    outcome.await.unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.header("preference-applied"), Some("wait=30"));
    assert_eq!(reply.header("content-location"), reply.header("location"));
    let order = reply.json();
    assert_eq!(order["status"], "CANCELLED");
    assert_eq!(order["reason"]["code"], "INSUFFICIENT_STOCK");
    assert_eq!(order, site.get(reply.header("location").unwrap()).await.json());
    assert_eq!(site.world.lock().submissions[0].watch, Watch::Outcome);
}

#[actix_web::test]
async fn whoever_waits_in_vain_gets_a_place_to_look() {
    let site = Site::new();
    let reply = site.post("/v1/orders", &[("prefer", "wait=1")], ORDER).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.header("preference-applied"), Some("wait=1"));
    assert_eq!(reply.json()["status"], "PENDING");
}

#[actix_web::test]
async fn a_wait_ends_with_202_when_the_outcome_can_no_longer_be_told() {
    let site = Site::new();
    let world = site.world.clone();
    let loses_track = rt::spawn(async move {
        world.arrived.acquire().await.unwrap().forget();
        while world.lock().watchers.drain().count() == 0 {
            rt::task::yield_now().await;
        }
    });
    let reply = site.post("/v1/orders", &[("prefer", "wait=60")], ORDER);
    let reply = timeout(Duration::from_secs(10), reply).await.expect("no use to wait on");
    assert_eq!(reply.status, 202);
    loses_track.await.unwrap();
}

#[actix_web::test]
async fn whoever_waits_for_an_outcome_is_answered_when_the_server_stops() {
    let site = Site::new();
    let (world, api) = (site.world.clone(), site.api.clone());
    let stops = rt::spawn(async move {
        world.arrived.acquire().await.unwrap().forget();
        while world.lock().watchers.is_empty() {
            rt::task::yield_now().await;
        }
        api.stop_waiting();
    });
    let reply = site.post("/v1/orders", &[("prefer", "wait=60")], ORDER);
    let reply = timeout(Duration::from_secs(10), reply).await.expect("no use to wait on");
    assert_eq!(reply.status, 202);
    stops.await.unwrap();
    // Late ones don't wait, either.
    let reply = site.post("/v1/orders", &[("prefer", "wait=60")], ORDER);
    assert_eq!(timeout(Duration::from_secs(10), reply).await.unwrap().status, 202);
}

#[actix_web::test]
async fn a_full_orchestrator_says_when_to_come_again() {
    let site = Site::new();
    let busy = SubmitError::Busy { what: "queue inventory.commands".into(), retry_after_s: 7 };
    *site.world.next_failure.lock().unwrap() = Some(busy);
    let reply = site.post("/v1/orders", &[], ORDER).await;
    let problem = reply.problem(503, "OVERLOADED");
    assert_eq!(reply.header("retry-after"), Some("7"));
    assert_eq!(problem["retryable"], true);
    assert!(problem["detail"].as_str().unwrap().contains("inventory.commands is full"));
}

#[actix_web::test]
async fn a_store_that_fails_is_told_without_its_secrets() {
    let site = Site::new();
    let failure = SubmitError::Store("secret/path/orders.db is locked".to_owned());
    *site.world.next_failure.lock().unwrap() = Some(failure);
    let reply = site.post("/v1/orders", &[], ORDER).await;
    reply.problem(503, "STORE_UNAVAILABLE");
    assert!(reply.header("retry-after").is_some());
    assert!(!reply.text().contains("secret"), "{reply:?}");
}

#[actix_web::test]
async fn an_unknown_outcome_says_how_to_find_out() {
    let site = Site::new();
    *site.world.next_failure.lock().unwrap() = Some(SubmitError::Unknown);
    let problem = site.post("/v1/orders", &[], ORDER).await.problem(503, "OUTCOME_UNKNOWN");
    assert!(problem["detail"].as_str().unwrap().contains("same Idempotency-Key"));
}

#[actix_web::test]
async fn a_trace_is_passed_on_and_echoed() {
    let site = Site::new();
    let reply = site.post("/v1/orders", &[("traceparent", TRACE)], ORDER).await;
    assert_eq!(reply.header("traceparent"), Some(TRACE));
    let reply = site.post("/v1/orders", &[("traceparent", "00-nonsense")], ORDER).await;
    assert_eq!((reply.status.as_u16(), reply.header("traceparent")), (202, None));
    let traces: Vec<_> =
        site.world.lock().submissions.iter().map(|new| new.traceparent.clone()).collect();
    assert_eq!(traces, [Some(TRACE.to_owned()), None]);
}
