//! Histories that can't have happened.

use serde_json::json;
use skald::saga::definition::Direction;
use skald::saga::event::{AttentionCause, Event, Reason, Recorded, Setback};
use skald::saga::evolve::{HistoryError, evolve, replay};
use skald::saga::id::Timestamp;
use skald::saga::json::Json;

use crate::definitions::order_like;
use crate::scenario::{SAGA, START, Scenario};

/// The history of a saga that completed.
fn completed() -> Vec<Recorded> {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(7))
        .expect_done("confirm")
        .expect_asked("mail")
        .given_success("mail", json!(null))
        .expect_completed()
        .history
        .clone()
}

/// The events that need no step to stand in a certain way.
fn events_of_the_whole_saga() -> Vec<Event> {
    let reason = Reason::of("UNWANTED");
    vec![
        Event::DeadlinePassed,
        Event::RetryRequested { by: "ops".into(), note: "why not".into() },
        Event::AttentionRaised { step: None, cause: AttentionCause::DeadlineExceeded },
        Event::RollbackStarted { reason: reason.clone(), by: None },
        Event::RolledBack { reason: reason.clone() },
        Event::SagaCancelled { reason },
        Event::SagaCompleted,
    ]
}

fn after(history: &[Recorded], event: Event) -> Result<(), HistoryError> {
    let saga = replay(SAGA, history).expect("the history is sound");
    let next = Recorded { sequence: saga.state.version + 1, at: START, event };
    evolve(saga.state, &next).map(drop)
}

#[test]
fn a_history_begins_with_a_birth() {
    assert_eq!(replay(SAGA, &[]), Err(HistoryError::NoBirth));
    assert_eq!(replay(SAGA, &completed()[1..]), Err(HistoryError::NoBirth));
}

#[test]
fn a_history_begins_at_one() {
    let mut history = completed();
    history[0].sequence = 2;
    assert_eq!(replay(SAGA, &history[..1]), Err(HistoryError::OutOfOrder { last: 0, found: 2 }));
}

#[test]
fn a_gap_or_a_repetition_in_a_history_is_noticed() {
    for position in 1..completed().len() {
        let mut gap = completed();
        gap.remove(position);
        let mut repetition = completed();
        repetition.insert(position, repetition[position - 1].clone());
        let last = position as u64;
        if position < gap.len() {
            let error = HistoryError::OutOfOrder { last, found: last + 2 };
            assert_eq!(replay(SAGA, &gap), Err(error));
        }
        let error = HistoryError::OutOfOrder { last, found: last };
        assert_eq!(replay(SAGA, &repetition), Err(error));
    }
}

#[test]
fn nothing_can_happen_after_the_end() {
    let history = completed();
    for event in events_of_the_whole_saga() {
        let found = after(&history, event.clone());
        assert!(matches!(found, Err(HistoryError::Illegal { .. })), "{event:?} after the end");
    }
}

#[test]
fn a_saga_is_born_once() {
    let history = completed();
    let birth = history[0].event.clone();
    let found = after(&history[..2], birth);
    assert!(matches!(found, Err(HistoryError::Illegal { sequence: 3, .. })));
}

#[test]
fn a_step_that_was_never_asked_for_can_only_be_done_locally() {
    let history = &completed()[..2];
    let (step, reason) = (|| "car".into(), Reason::of("UNWANTED"));
    for event in [
        Event::StepDeferred { step: step(), setback: Setback::TimedOut, until: Timestamp(0) },
        Event::StepFailed { step: step(), reason: reason.clone() },
        Event::StepRefused { step: step(), reason },
        Event::StepUndone { step: step(), generation: 1 },
        Event::StepAsked {
            step: step(),
            direction: Direction::Undo,
            generation: 1,
            attempt: 1,
            until: Timestamp(0),
        },
    ] {
        let found = after(history, event.clone());
        assert!(matches!(found, Err(HistoryError::Illegal { .. })), "{event:?}");
    }
    let event = Event::StepSucceeded { step: step(), generation: 1, result: Json::null() };
    assert_eq!(after(history, event), Ok(()));
}

#[test]
fn a_deadline_passes_once() {
    let mut history = completed()[..2].to_vec();
    assert_eq!(after(&history, Event::DeadlinePassed), Ok(()));
    let passed = Recorded { sequence: 3, event: Event::DeadlinePassed, ..history[1].clone() };
    history.push(passed);
    let found = after(&history, Event::DeadlinePassed);
    assert!(matches!(found, Err(HistoryError::Illegal { sequence: 4, .. })));
}

#[test]
fn what_was_done_is_neither_asked_for_nor_done_again() {
    let history = completed();
    let reserved = &history[..3];
    for event in [history[1].event.clone(), history[2].event.clone()] {
        let found = after(reserved, event.clone());
        assert!(matches!(found, Err(HistoryError::Illegal { .. })), "{event:?}");
    }
}

#[test]
fn an_error_names_the_event_and_where_the_saga_stood() {
    let text = after(&completed()[..2], Event::SagaCancelled { reason: Reason::of("UNWANTED") })
        .expect_err("it moves forward")
        .to_string();
    for part in ["event 3", "sagaCancelled", "RUNNING"] {
        assert!(text.contains(part), "{part} is not in: {text}");
    }
}

#[test]
fn a_text_that_came_as_json_is_kept_to_the_letter() {
    for text in [r#"{ "a" : 1.10, "a":1e400 }"#, "  7\n", r#""\u0041""#, "[[],{}]"] {
        let came: Json = serde_json::from_str(text).expect("it is JSON");
        let stored = serde_json::to_string(&Event::StepSucceeded {
            step: "reserve".into(),
            generation: 1,
            result: came.clone(),
        });
        let read: Event = serde_json::from_str(&stored.expect("it has a JSON form")).expect("same");
        let Event::StepSucceeded { result, .. } = read else { panic!("another event: {read:?}") };
        assert_eq!(result.as_str(), text.trim());
        assert_eq!(result, came);
    }
}
