//! Reading sagas, and trying again what is stuck.

use std::sync::atomic::Ordering;

use serde_json::Value;
use skald::saga::id::SagaId;
use skald::saga::state::SagaStatus;

use crate::client::{Reply, Site};

async fn stuck(site: &Site) -> SagaId {
    let saga = site.order().await.order.saga;
    site.world.succeed(saga, "reserve-inventory");
    site.world.exhaust(saga, "send-confirmation");
    saga
}

async fn retry(site: &Site, saga: SagaId, headers: &[(&str, &str)], body: &str) -> Reply {
    site.post(&format!("/v1/sagas/{saga}/retry"), headers, body).await
}

fn step<'a>(saga: &'a Value, name: &str) -> &'a Value {
    let steps = saga["steps"].as_array().unwrap();
    steps.iter().find(|step| step["name"] == name).unwrap()
}

#[actix_web::test]
async fn a_saga_shows_every_step_even_those_not_started() {
    let site = Site::new();
    let order = site.order().await.order;
    let reply = site.get(&format!("/v1/sagas/{}", order.saga)).await;
    assert_eq!(reply.header("etag"), Some("\"2\""));
    let saga = reply.json();
    assert_eq!((&saga["status"], &saga["phase"]), (&"RUNNING".into(), &"FORWARD".into()));
    assert_eq!(saga["definition"], serde_json::json!({"name": "order", "version": 1}));
    assert_eq!(saga["deadline"], "2026-09-22T14:13:20.000000Z");
    let names: Vec<_> =
        saga["steps"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
    let expected = ["reserve-inventory", "confirm-order", "send-confirmation", "send-cancellation"];
    assert_eq!(names, expected);
    let reserve = step(&saga, "reserve-inventory");
    assert_eq!((&reserve["state"], &reserve["attempt"]), (&"DOING".into(), &1.into()));
    assert_eq!(reserve["waitsFor"], "ANSWER");
    assert_eq!(reserve["until"], "2026-09-21T14:13:50.000000Z");
    assert_eq!(reserve["undo"], "inventory.release");
    let of_steps = |member: &str| {
        let steps = saga["steps"].as_array().unwrap().iter();
        steps.map(|step| step[member].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of_steps("kind"), ["COMPENSATABLE", "PIVOT", "RETRIABLE", "RETRIABLE"]);
    assert_eq!(of_steps("runs"), ["AT_WORKER", "LOCALLY", "AT_WORKER", "AT_WORKER"]);
    assert_eq!(step(&saga, "confirm-order")["state"], "NOT_STARTED");

    site.world.refuse(order.saga, "reserve-inventory", "INSUFFICIENT_STOCK");
    let saga = site.get(&format!("/v1/sagas/{}", order.saga)).await.json();
    assert_eq!(saga["status"], "ROLLING_BACK");
    assert_eq!(saga["reason"]["code"], "INSUFFICIENT_STOCK");
    assert_eq!(step(&saga, "reserve-inventory")["reason"]["code"], "INSUFFICIENT_STOCK");
    assert_eq!(step(&saga, "confirm-order")["state"], "SKIPPED");
    assert_eq!(step(&saga, "send-cancellation")["state"], "DOING");
}

#[actix_web::test]
async fn a_saga_of_an_unknown_definition_shows_what_was_started() {
    let site = Site::with(|mut services| {
        services.definitions.clear();
        services
    });
    let order = site.order().await.order;
    let saga = site.get(&format!("/v1/sagas/{}", order.saga)).await.json();
    assert_eq!(saga["steps"].as_array().unwrap().len(), 1);
    assert_eq!(step(&saga, "reserve-inventory")["state"], "DOING");
}

#[actix_web::test]
async fn the_history_is_paged_without_gaps() {
    let site = Site::new();
    let order = site.order().await.order;
    site.world.confirm(order.saga);
    let mut types = Vec::new();
    let mut url = format!("/v1/sagas/{}/history?limit=3", order.saga);
    loop {
        let page = site.get(&url).await.json();
        for event in page["events"].as_array().unwrap() {
            assert_eq!(event["sequence"], types.len() + 1);
            types.push(event["type"].as_str().unwrap().to_owned());
        }
        let Some(cursor) = page["nextCursor"].as_str() else { break };
        url = format!("/v1/sagas/{}/history?limit=3&cursor={cursor}", order.saga);
    }
    let expected = [
        "SAGA_STARTED",
        "STEP_ASKED",
        "STEP_SUCCEEDED",
        "STEP_SUCCEEDED",
        "STEP_ASKED",
        "STEP_SUCCEEDED",
        "SAGA_COMPLETED",
    ];
    assert_eq!(types, expected);
    let first = site.get(&format!("/v1/sagas/{}/history", order.saga)).await.json();
    assert_eq!(first["events"][0]["data"]["input"]["userId"], "ada");
    assert_eq!(first["events"][1]["at"], "2026-09-21T14:13:20.000000Z");
    assert_eq!(first["events"][1]["data"]["until"], "2026-09-21T14:13:50.000000Z");
    assert_eq!(first["events"][1]["data"]["direction"], "DO");
    let past = site.get(&format!("/v1/sagas/{}/history?cursor=99", order.saga)).await;
    assert_eq!(past.json()["events"], serde_json::json!([]));
}

#[actix_web::test]
async fn the_history_says_why_a_step_was_given_up_and_that_it_is_undone() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    site.world.exhaust(saga, "reserve-inventory");
    let history = site.get(&format!("/v1/sagas/{saga}/history?limit=100")).await.json();
    let events = history["events"].as_array().unwrap();
    let given_up = events.iter().position(|event| event["type"] == "STEP_GIVEN_UP").unwrap();
    assert_eq!(events[given_up]["data"]["setback"], "RETRYABLE");
    let undo = events[given_up..].iter().find(|event| event["type"] == "STEP_ASKED").unwrap();
    assert_eq!(undo["data"]["direction"], "UNDO");
}

#[actix_web::test]
async fn sagas_are_filtered_and_found() {
    let site = Site::new();
    let order = site.order().await.order;
    let saga = stuck(&site).await;
    let ids = async |query: String| {
        let page = site.get(&format!("/v1/sagas?{query}")).await.json();
        let sagas = page["sagas"].as_array().unwrap().iter();
        sagas.map(|it| it["sagaId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(String::new()).await, [saga.to_string(), order.saga.to_string()]);
    assert_eq!(ids("status=NEEDS_ATTENTION".into()).await, [saga.to_string()]);
    assert_eq!(ids(format!("q={}", order.id)).await, [order.saga.to_string()]);
    assert_eq!(ids(format!("q={saga}&definition=order")).await, [saga.to_string()]);
    assert!(ids("definition=parcel".into()).await.is_empty());
    let reply = site.get("/v1/sagas?limit=1").await;
    assert_eq!(reply.json()["nextCursor"], saga.to_string());
    let next = format!("</v1/sagas?limit=1&cursor={saga}>; rel=\"next\"");
    assert_eq!(reply.header("link"), Some(&*next));
    let odd = site.get("/v1/sagas?status=&q=%3E%22%0A").await;
    odd.fault(400, "BAD_PARAMETER", ("parameter", "q"));
}

#[actix_web::test]
async fn what_is_not_there_is_not_found() {
    let site = Site::new();
    let unknown = "/v1/sagas/0190b5a2-0000-7000-8000-000000000000";
    for path in [unknown.to_owned(), format!("{unknown}/history")] {
        site.get(&path).await.problem(404, "NOT_FOUND");
        let bad = path.replace("0190b5a2-", "");
        site.get(&bad).await.fault(400, "BAD_PARAMETER", ("parameter", "id"));
    }
    let body = r#"{"reason":"try"}"#;
    site.post(&format!("{unknown}/retry"), &[], body).await.problem(404, "NOT_FOUND");
}

#[actix_web::test]
async fn what_is_stuck_is_tried_again() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let before = site.get(&format!("/v1/sagas/{saga}")).await;
    let attention = &before.json()["attention"][0];
    assert_eq!(
        (&attention["step"], &attention["cause"]),
        (&"send-confirmation".into(), &"NOT_ANSWERED".into())
    );
    assert_eq!((&attention["attempts"], &attention["setback"]), (&5.into(), &"RETRYABLE".into()));
    let tag = before.header("etag").unwrap();
    let reply = retry(&site, saga, &[("if-match", tag)], r#"{"reason":"mail is back"}"#).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["attention"], serde_json::json!([]));
    assert_ne!(reply.header("etag"), Some(tag));
    site.world.succeed(saga, "send-confirmation");
    assert_eq!(site.world.lock().sagas[&saga].saga.state.status(), SagaStatus::Completed);
    let history = site.get(&format!("/v1/sagas/{saga}/history")).await;
    assert!(history.text().contains(r#""by":"operator","note":"mail is back""#), "{history:?}");
}

#[actix_web::test]
async fn a_retry_that_is_on_record_is_not_refused_because_the_saga_cannot_be_read_again() {
    let site = Site::new();
    let saga = stuck(&site).await;
    site.world.readable_sagas.store(1, Ordering::Relaxed);
    let reply = retry(&site, saga, &[], r#"{"reason":"mail is back"}"#).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["sagaId"], saga.to_string());
    site.world.readable_sagas.store(0, Ordering::Relaxed);
    let reply = retry(&site, saga, &[], r#"{"reason":"mail is back"}"#).await;
    reply.problem(503, "STORE_UNAVAILABLE");
    assert_eq!(site.world.lock().inputs.len(), 1, "nothing was wished without a look at the saga");
}

#[actix_web::test]
async fn what_is_not_stuck_is_not_tried_again() {
    let site = Site::new();
    let saga = site.order().await.order.saga;
    let problem = retry(&site, saga, &[], r#"{"reason":"why not"}"#).await.problem(409, "CONFLICT");
    assert!(problem["detail"].as_str().unwrap().contains("does not need attention"));
    let old = [("if-match", "\"1\"")];
    retry(&site, saga, &old, r#"{"reason":"x"}"#).await.problem(412, "VERSION_MISMATCH");
}

#[actix_web::test]
async fn a_retry_needs_a_reason() {
    let site = Site::new();
    let saga = stuck(&site).await;
    let long = format!("{{\"reason\":\"{}\"}}", "x".repeat(501));
    for body in ["{}", r#"{"reason":""}"#, r#"{"reason":"  "}"#, r#"{"reason":"a\nb"}"#, &long] {
        let reply = retry(&site, saga, &[], body).await;
        reply.fault(422, "INVALID_FIELDS", ("pointer", "/reason"));
    }
    retry(&site, saga, &[], "").await.problem(400, "MALFORMED_BODY");
    assert!(site.world.lock().inputs.is_empty());
}

#[actix_web::test]
async fn a_retry_that_waits_for_its_owner_says_where_to_look() {
    let site = Site::new();
    let saga = stuck(&site).await;
    site.world.owner_is_away.store(true, Ordering::Relaxed);
    let key = [("idempotency-key", "r-1")];
    let reply = retry(&site, saga, &key, r#"{"reason":"x"}"#).await;
    assert_eq!(reply.status, 202);
    assert_eq!(reply.header("location"), Some(&*format!("/v1/sagas/{saga}")));
    site.world.owner_is_away.store(false, Ordering::Relaxed);
    assert_eq!(retry(&site, saga, &key, r#"{"reason":"x"}"#).await.status, 200);
    assert_eq!(site.world.lock().inputs.len(), 1);
}
