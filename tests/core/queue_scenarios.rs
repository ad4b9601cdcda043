//! The queues that commands wait in.

use serde_json::json;
use skald::saga::event::Setback;
use skald::saga::id::{CommandName, QueueName};
use skald::saga::outage::Outstanding;
use skald::saga::state::State;

use crate::definitions::{REFUSED, SECOND, trip};
use crate::scenario::Scenario;

/// Counts what `scenario` has outstanding, after it had what `before` had.
fn watch(watch: &mut Outstanding, before: Option<&State>, scenario: &Scenario) -> State {
    watch.moved(&scenario.definition, before, &scenario.saga().state);
    scenario.saga().state.clone()
}

fn queue(name: &str) -> QueueName {
    name.into()
}

#[test]
fn a_command_waits_in_the_queue_of_its_service() {
    assert_eq!(CommandName::from("inventory.reserve").queue(), queue("inventory.commands"));
    assert_eq!(CommandName::from("inventory.release").queue(), queue("inventory.commands"));
}

#[test]
fn what_is_outstanding_rises_when_a_worker_is_asked_and_falls_with_the_outcome() {
    let mut watched = Outstanding::default();
    let scenario = Scenario::of(trip()).begins().expect_asked("flight");
    let before = watch(&mut watched, None, &scenario);
    assert_eq!(watched.of(&queue("flight.commands")), 1);
    assert_eq!(watched.of(&queue("hotel.commands")), 0);

    let scenario =
        scenario.given_success("flight", json!(1)).expect_asked("hotel").expect_asked("car");
    let before = watch(&mut watched, Some(&before), &scenario);
    assert_eq!(watched.of(&queue("flight.commands")), 0);
    assert_eq!(watched.of(&queue("hotel.commands")), 1);
    assert_eq!(watched.of(&queue("car.commands")), 1);

    let scenario = scenario
        .given_refusal("hotel")
        .expect_failed("hotel")
        .expect_rollback(REFUSED)
        .expect_undo_asked("car");
    watch(&mut watched, Some(&before), &scenario);
    assert_eq!(watched.of(&queue("hotel.commands")), 0);
    assert_eq!(watched.of(&queue("car.commands")), 1, "its do is over, its undo is not");
    assert_eq!(watched.fullest(), Some((&queue("car.commands"), 1)));
}

#[test]
fn what_pauses_is_outstanding_since_it_will_be_asked_again() {
    let mut watched = Outstanding::default();
    let scenario = Scenario::of(trip()).begins().expect_asked("flight");
    let before = watch(&mut watched, None, &scenario);
    let scenario = scenario.given_setback("flight", Setback::Retryable).expect_pause(
        "flight",
        Setback::Retryable,
        SECOND,
    );
    watch(&mut watched, Some(&before), &scenario);
    assert_eq!(watched.of(&queue("flight.commands")), 1);
}
