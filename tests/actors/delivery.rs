//! Messages get through: lost ones, refused ones, dead ones.

use std::time::Duration;

use skald::contract::message::{Exchange, Message, Outgoing};
use skald::ports::orchestrator::SubmitError;
use skald::saga::event::{Event, Setback};
use skald::saga::state::SagaStatus;

use crate::rig::{Rig, publish};

#[actix::test]
async fn an_event_that_a_full_queue_refused_comes_later_and_holds_up_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(folder.path(), Duration::from_secs(60), &[("slow", 1)]).await;
    let mut inventory = rig.commands("inventory").await;
    let mut notification = rig.commands("notification").await;
    let saga = rig.submit().await;
    let reserve = inventory.next_of("inventory.reserve").await;
    inventory.succeed(reserve).await;
    let mail = notification.next().await;
    notification.succeed(mail).await;
    rig.until_status(saga, SagaStatus::Completed).await;

    let mut slow = rig.consume("slow").await;
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 4 {
        let delivery = slow.next().await;
        seen.insert(delivery.message.kind.clone());
        delivery.ack();
    }
    let expected = ["inventory.reserved", "notification.sent", "order.confirmed", "order.created"];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
    let drained = || {
        rig.stores.queries.lags().unwrap().iter().all(|lag| (lag.commands, lag.events) == (0, 0))
    };
    rig.until("the marks at the end of the history", drained).await;
    rig.stop().await;
}

#[actix::test]
async fn what_was_committed_while_the_answer_was_lost_goes_out_as_soon_as_the_store_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    rig.gate.lose_answers(true);
    let lost = rig.submit_order(rig.order(), None).await;
    assert!(matches!(lost, Err(SubmitError::Unknown)), "{lost:?}");
    rig.gate.lose_answers(false);
    let reserve = inventory.next_of("inventory.reserve").await;
    inventory.succeed(reserve).await;
    let saga = rig.submit().await;
    rig.until_status(saga, SagaStatus::Running).await;
    rig.stop().await;
}

#[actix::test]
async fn a_command_that_dies_is_told_to_its_saga_as_an_unknown_outcome() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let saga = rig.submit().await;
    inventory.next().await.reject("the test does not like it");
    rig.until_event(saga, |event| {
        matches!(event, Event::StepDeferred { setback: Setback::DeadLettered, .. })
    })
    .await;
    // It is asked again under the same key, as a new sending.
    rig.clock.advance(Duration::from_secs(2));
    let again = inventory.next().await;
    assert!(again.message.id.starts_with(&saga.to_string()));
    assert!(String::from_utf8_lossy(&again.message.body).contains(r#""attempt":2"#));
    rig.stop().await;
}

#[actix::test]
async fn while_a_queue_is_silent_a_few_probes_are_sent_and_no_attempt_is_spent() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let saga = rig.submit().await;
    let sent = inventory.next().await;
    rig.clock.advance(Duration::from_secs(60));
    let probe = inventory.next().await;
    assert_eq!(probe.message.id, sent.message.id);
    assert_eq!(rig.event_names(saga), ["sagaStarted", "stepAsked"]);
    inventory.succeed(probe).await;
    rig.until_event(saga, |event| event.name() == "stepSucceeded").await;
    rig.stop().await;
}

#[actix::test]
async fn answers_to_nothing_are_stored_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let stray = |correlation_id: Option<String>| Outgoing {
        exchange: Exchange::Default,
        routing_key: "skald.replies.0".to_owned(),
        message: Message {
            id: uuid::Uuid::now_v7().to_string(),
            kind: "x".to_owned(),
            correlation_id,
            reply_to: None,
            traceparent: None,
            body: "{}".into(),
            death: None,
        },
    };
    // Confirmed means that the reader acknowledged each of them: none comes again.
    publish(rig.bus.as_ref(), stray(None)).await;
    publish(rig.bus.as_ref(), stray(Some("nonsense".to_owned()))).await;
    publish(rig.bus.as_ref(), stray(Some(format!("{}:2", uuid::Uuid::now_v7())))).await;
    let saga = rig.submit().await;
    publish(rig.bus.as_ref(), stray(Some(format!("{saga}:999")))).await;
    assert_eq!(rig.event_names(saga), ["sagaStarted", "stepAsked"]);
    let ignored = rig.orchestrator.activity().await.ignored;
    assert_eq!(ignored, [("never_asked", 1)]);
    rig.stop().await;
}
