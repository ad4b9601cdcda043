//! Actors come and go; sagas stay.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skald::contract::reply::WorkOutcome;
use skald::saga::json::Json;
use skald::saga::state::SagaStatus;

use crate::rig::Rig;

#[actix::test]
async fn a_saga_that_sleeps_is_woken_by_the_answer_it_waits_for() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(folder.path(), Duration::from_millis(50), &[]).await;
    let mut inventory = rig.commands("inventory").await;
    let mut notification = rig.commands("notification").await;
    let saga = rig.submit().await;
    let command = inventory.next().await;
    rig.until_awake(0).await;
    inventory.succeed(command).await;
    let mail = notification.next_of("notification.send").await;
    notification.succeed(mail).await;
    rig.until_status(saga, SagaStatus::Completed).await;
    rig.until_awake(0).await;
    rig.stop().await;
}

#[actix::test]
async fn sleeping_sagas_are_woken_by_their_time_outs() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start_with(folder.path(), Duration::from_millis(50), &[]).await;
    let mut inventory = rig.commands("inventory").await;
    let (lost, answered) = (rig.submit().await, rig.submit().await);
    let (first, second) = (inventory.next().await, inventory.next().await);
    rig.until_awake(0).await;
    // The second command is answered: the queue has got past the first, whose silence now counts.
    let second =
        if second.message.id.starts_with(&answered.to_string()) { second } else { unreachable!() };
    inventory.succeed(second).await;
    rig.clock.advance(Duration::from_secs(31));
    rig.until_event(lost, |event| event.name() == "stepDeferred").await;
    drop(first);
    rig.stop().await;
}

#[actix::test]
async fn what_was_not_confirmed_is_sent_again_with_the_same_id_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let listened = [("listener", 100)];
    let rig = Rig::start_with(folder.path(), Duration::from_secs(60), &listened).await;
    let mut inventory = rig.commands("inventory").await;
    let saga = rig.submit().await;
    let sent = inventory.next().await.message.clone();
    let folder_path = rig.stop().await;

    let rig = Rig::start_with(&folder_path, Duration::from_secs(60), &listened).await;
    let mut inventory = rig.commands("inventory").await;
    let again = inventory.next().await;
    assert_eq!((&again.message.id, &again.message.body), (&sent.id, &sent.body));
    let mut listener = rig.consume("listener").await;
    assert_eq!(listener.next().await.message.kind, "order.created");
    inventory.refuse(again, "INSUFFICIENT_STOCK").await;
    let mut notification = rig.commands("notification").await;
    let mail = notification.next_of("notification.send").await;
    notification.succeed(mail).await;
    rig.until_status(saga, SagaStatus::Cancelled).await;
    rig.stop().await;
}

#[actix::test]
async fn a_late_answer_wakes_an_ended_saga_only_to_be_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let mut notification = rig.commands("notification").await;
    let saga = rig.submit().await;
    let reserve = inventory.next_of("inventory.reserve").await;
    inventory.answer(&reserve.message, WorkOutcome::Success(Json::null())).await;
    let mail = notification.next_of("notification.send").await;
    notification.succeed(mail).await;
    rig.until_status(saga, SagaStatus::Completed).await;
    rig.until_awake(0).await;
    let history = rig.event_names(saga);
    inventory.succeed(reserve).await;
    assert_eq!(rig.event_names(saga), history);
    rig.until_awake(0).await;
    rig.stop().await;
}

/// Panics inside a saga's actor when it counts an answer that it ignores.
struct Trap;

static ARMED: AtomicBool = AtomicBool::new(false);

impl metrics::Recorder for Trap {
    fn describe_counter(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }
    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        let trapped =
            key.name() == "skald_answers_ignored_total" && ARMED.swap(false, Ordering::SeqCst);
        assert!(!trapped, "the trap");
        metrics::Counter::noop()
    }

    fn register_gauge(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::noop()
    }

    fn register_histogram(
        &self,
        _: &metrics::Key,
        _: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[actix::test]
async fn a_saga_whose_actor_panics_is_rebuilt_and_loses_nothing() {
    metrics::set_global_recorder(Trap).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let mut notification = rig.commands("notification").await;
    let saga = rig.submit().await;
    let command = inventory.next().await;
    inventory.answer(&command.message, WorkOutcome::Success(Json::null())).await;
    let mail = notification.next_of("notification.send").await;
    ARMED.store(true, Ordering::SeqCst);
    // A duplicate: the first to take it panics, and it comes again to the one made in its place.
    inventory.succeed(command).await;
    assert!(!ARMED.load(Ordering::SeqCst), "the actor panicked");
    notification.succeed(mail).await;
    rig.until_status(saga, SagaStatus::Completed).await;
    rig.stop().await;
}
