//! What is sent because of what happened.

use serde_json::json;
use skald::saga::definition::Direction;
use skald::saga::effect::{IdempotencyKey, asked_before, command, is_open, open_commands};
use skald::saga::event::{Event, Setback};

use crate::definitions::{DEADLINE_MS, REFUSED, SECOND, TIMEOUT_MS, order_like, trip};
use crate::scenario::{SAGA, START, Scenario};

fn open_keys(scenario: &Scenario) -> Vec<String> {
    let open = open_commands(&scenario.definition, scenario.saga());
    open.map(|command| format!("{} {} #{}", command.name, command.key, command.sequence)).collect()
}

#[test]
fn an_idempotency_key_names_saga_step_generation_and_direction() {
    let key = IdempotencyKey {
        saga: SAGA,
        step: "reserve".into(),
        generation: 3,
        direction: Direction::Undo,
    };
    let text = "018bcfe5-6800-7000-8000-000000000001:reserve:3:undo";
    assert_eq!(key.to_string(), text);
    assert_eq!(IdempotencyKey::parse(text), Some(key));
}

#[test]
fn what_is_no_idempotency_key_is_not_read_as_one() {
    let whole = "018bcfe5-6800-7000-8000-000000000001:reserve:3:do";
    assert!(IdempotencyKey::parse(whole).is_some());
    for end in 0..whole.len() {
        assert_eq!(IdempotencyKey::parse(&whole[..end]), None, "{}", &whole[..end]);
    }
    for broken in [
        "",
        ":::",
        "order-1:reserve:3:do",
        "018bcfe5-6800-7000-8000-000000000001:reserve:three:do",
        "018bcfe5-6800-7000-8000-000000000001:reserve:-1:do",
        "018bcfe5-6800-7000-8000-000000000001:reserve:4294967296:do",
        "018bcfe5-6800-7000-8000-000000000001:reserve:3:DO",
        "018bcfe5-6800-7000-8000-000000000001:reserve:3:do:",
        "018bcfe5-6800-7000-8000-000000000001:reserve:3:do:again",
    ] {
        assert_eq!(IdempotencyKey::parse(broken), None, "{broken}");
    }
}

#[test]
fn only_asking_sends_a_command() {
    let scenario = Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(7))
        .expect_done("confirm")
        .expect_asked("mail");
    let names: Vec<String> = scenario
        .history
        .iter()
        .filter_map(|recorded| command(&scenario.definition, scenario.saga(), recorded))
        .map(|command| command.name.to_string())
        .collect();
    assert_eq!(names, ["reserve.do", "mail.do"]);
}

#[test]
fn a_command_says_when_it_was_asked_how_often_and_until_when_it_is_waited_for() {
    let scenario = Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2);
    let newest = scenario.history.last().expect("it was asked");
    let sent = command(&scenario.definition, scenario.saga(), newest).expect("it is a command");
    assert_eq!((sent.sequence, sent.attempt), (4, 2));
    assert_eq!(sent.asked_at, START.plus_millis(SECOND));
    assert_eq!(sent.until, START.plus_millis(SECOND + TIMEOUT_MS));
    let resent = open_commands(&scenario.definition, scenario.saga()).next().expect("it is open");
    assert_eq!((resent.sequence, resent.attempt), (4, 2));
    assert_eq!((resent.asked_at, resent.until), (sent.asked_at, sent.until));
    assert_eq!(resent.key, sent.key);
}

#[test]
fn a_new_owner_asks_again_for_everything_that_is_open_under_the_same_ids_and_keys() {
    let scenario = Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_success("flight", json!(1))
        .expect_asked("hotel")
        .expect_asked("car")
        .given_refusal("hotel")
        .expect_failed("hotel")
        .expect_rollback(REFUSED)
        .expect_undo_asked("car");
    assert_eq!(open_keys(&scenario), [format!("car.undo {SAGA}:car:1:undo #8")]);
}

#[test]
fn what_pauses_is_not_asked_again_by_a_new_owner_but_is_due() {
    let scenario = Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_setback("flight", Setback::Retryable)
        .expect_pause("flight", Setback::Retryable, SECOND);
    assert_eq!(open_keys(&scenario), [""; 0]);
    assert_eq!(scenario.saga().state.next_due(), Some(START.plus_millis(SECOND)));
}

#[test]
fn a_command_is_of_interest_until_its_step_has_an_outcome() {
    let asked = 2;
    let scenario = Scenario::of(order_like()).begins().expect_asked("reserve");
    assert!(is_open(scenario.saga(), asked));
    let scenario = scenario
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2);
    assert!(is_open(scenario.saga(), asked), "a late reply to it would count");
    let scenario =
        scenario.given_success("reserve", json!(7)).expect_done("confirm").expect_asked("mail");
    assert!(!is_open(scenario.saga(), asked));
}

#[test]
fn a_saga_at_its_end_waits_for_nothing() {
    let scenario = Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .after_ms(DEADLINE_MS / 2)
        .given_refusal("flight")
        .expect_failed("flight")
        .expect_rollback(REFUSED)
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED);
    assert_eq!(open_keys(&scenario), [""; 0]);
    assert_eq!(scenario.saga().state.next_due(), None);
    let last = scenario.history.last().map(|recorded| &recorded.event);
    assert!(matches!(last, Some(Event::SagaCancelled { .. })));
}

#[test]
fn a_key_has_one_spelling() {
    let saga = "0192f3a0-0000-7000-8000-000000000001";
    assert!(IdempotencyKey::parse(&format!("{saga}:reserve:1:do")).is_some());
    for other in ["01:do", "+1:do", "1:DO", "1:do:"] {
        assert_eq!(IdempotencyKey::parse(&format!("{saga}:reserve:{other}")), None, "{other}");
    }
    assert_eq!(IdempotencyKey::parse(&format!("{}:reserve:1:do", saga.to_uppercase())), None);
}

#[test]
fn what_was_asked_before_a_moment_is_asked_again_by_who_takes_over_then() {
    let scenario = Scenario::of(order_like()).begins().expect_asked("reserve");
    let asked = |since| asked_before(scenario.saga(), since).collect::<Vec<_>>();
    assert!(asked(scenario.now).is_empty());
    assert_eq!(asked(scenario.now.plus_millis(1)), [2]);
}
