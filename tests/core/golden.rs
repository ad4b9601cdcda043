//! Stored states and events stay readable.
//!
//! The files in `golden/` hold what this version stores, each entry on a line of its own, just as it
//! is stored. A test that fails here means that what is stored has changed: sagas that live through
//! an update of the program could be misread.
//!
//! - Where something was added that old texts do not have (a field with a default, a variant), write
//!   the files anew with `GOLDEN=update cargo test --test core golden`, and look at the difference.
//! - Where an old text would now be read as something else, or not at all, raise `STATE_FORMAT` or
//!   `EVENT_FORMAT`, keep the old file as it is, and add a test that reads it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use skald::saga::definition::Direction;
use skald::saga::event::{
    AttentionCause, Birth, Doubt, EVENT_FORMAT, Event, Reason, Recorded, Setback,
};
use skald::saga::id::Timestamp;
use skald::saga::json::Json;
use skald::saga::state::{
    Attention, Call, Deadline, Phase, STATE_FORMAT, StartedStep, State, StepState, Wait,
};

const LATER: Timestamp = Timestamp(1_700_000_005_000_000);
const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

#[derive(Deserialize)]
struct Golden<T> {
    format: i32,
    entries: Vec<T>,
}

#[test]
fn stored_states_read_and_write_as_they_did() {
    let states = check("states.json", STATE_FORMAT, states());
    let seen: BTreeSet<usize> =
        states.iter().flat_map(|state| &state.steps).map(|step| place(&step.state)).collect();
    assert_eq!(seen, (0..8).collect(), "every state of a step is in the file");
}

#[test]
fn stored_events_read_and_write_as_they_did() {
    let recorded = check("events.json", EVENT_FORMAT, events());
    let seen: BTreeSet<usize> = recorded.iter().map(|recorded| number(&recorded.event)).collect();
    assert_eq!(seen, (0..15).collect(), "every event is in the file");
}

/// Compares the file with what is stored now, both ways. Gives back what the file says.
fn check<T>(file: &str, format: i32, expected: Vec<T>) -> Vec<T>
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/core/golden").join(file);
    if std::env::var_os("GOLDEN").is_some_and(|wish| wish == "update") {
        std::fs::write(&path, text_of(format, &expected)).expect("the file can be written");
    }
    let text = std::fs::read_to_string(&path).expect("the file can be read");
    let golden: Golden<T> = serde_json::from_str(&text).expect("it is still readable");
    assert_eq!(golden.format, format, "the format that {file} was written in");
    for (found, expected) in golden.entries.iter().zip(&expected) {
        assert_eq!(found, expected, "as {file} is read");
    }
    assert_eq!(golden.entries.len(), expected.len(), "the entries of {file}");
    assert_eq!(text_of(golden.format, &golden.entries), text, "{file} written again");
    golden.entries
}

fn text_of<T: Serialize>(format: i32, entries: &[T]) -> String {
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| serde_json::to_string(entry).expect("it has a JSON form"))
        .collect();
    format!("{{\"format\": {format}, \"entries\": [\n{}\n]}}\n", lines.join(",\n"))
}

/// One state in which every kind of step is found, then one for each way a saga may stand.
fn states() -> Vec<State> {
    let plain = |version, phase, deadline| State {
        version,
        phase,
        steps: Vec::new(),
        deadline,
        attention: Vec::new(),
    };
    vec![
        rich_state(),
        plain(1, Phase::Forward, Deadline::Ahead(LATER)),
        plain(9, Phase::RolledBack(told()), Deadline::Passed),
        plain(10, Phase::Cancelled(told()), Deadline::Passed),
        plain(11, Phase::Completed, Deadline::Ahead(LATER)),
    ]
}

fn rich_state() -> State {
    let asked = Call {
        generation: 1,
        attempt: 1,
        asks: vec![4],
        wait: Wait::Answer { asked_at: NOW, until: LATER },
    };
    let pausing = |after| Call {
        generation: 2,
        attempt: 3,
        asks: vec![5, 7, 9],
        wait: Wait::Pause { until: LATER, after },
    };
    let result = || json(r#"{ "shelf": 7, "price": 9.90 }"#);
    let steps = vec![
        ("asked", StepState::Doing(asked.clone())),
        ("pausing", StepState::Doing(pausing(Setback::Retryable))),
        ("done", StepState::Succeeded { generation: 1, result: result() }),
        ("failed", StepState::Failed { generation: 1, reason: told() }),
        (
            "unanswered",
            StepState::InDoubt { generation: 1, doubt: Doubt::NoAnswer(Setback::TimedOut) },
        ),
        ("late", StepState::InDoubt { generation: 1, doubt: Doubt::RefusedLate(told()) }),
        ("refused", StepState::Refused { generation: 3, reason: Reason::of("NO_ADDRESS") }),
        ("undoing", StepState::Undoing { call: asked, result: Some(result()) }),
        (
            "undoing-nothing",
            StepState::Undoing { call: pausing(Setback::DeadLettered), result: None },
        ),
        (
            "undo-refused",
            StepState::UndoRefused { generation: 2, reason: told(), result: Some(Json::null()) },
        ),
        (
            "undo-refused-blindly",
            StepState::UndoRefused { generation: 1, reason: told(), result: None },
        ),
        ("undone", StepState::Undone { generation: 1 }),
    ];
    let attention =
        |step: Option<&str>, cause| Attention { step: step.map(Into::into), cause, since: NOW };
    State {
        version: 42,
        phase: Phase::RollingBack(Reason { code: "NO_STOCK".into(), text: "Sold out.".into() }),
        steps: steps
            .into_iter()
            .map(|(name, state)| StartedStep { name: name.into(), state })
            .collect(),
        deadline: Deadline::Passed,
        attention: vec![
            attention(None, AttentionCause::DeadlineExceeded),
            attention(Some("undo-refused"), AttentionCause::Refused(told())),
            attention(
                Some("undoing-nothing"),
                AttentionCause::NotAnswered { attempts: 3, last: Setback::Unexplained },
            ),
        ],
    }
}

/// Every event, and every variant of what events carry.
fn events() -> Vec<Recorded> {
    let step = || "reserve".into();
    let asked = |direction| Event::StepAsked {
        step: step(),
        direction,
        generation: 1,
        attempt: 2,
        until: LATER,
    };
    let deferred = |setback| Event::StepDeferred { step: step(), setback, until: LATER };
    let raised = |step, cause| Event::AttentionRaised { step, cause };
    let birth = Birth {
        definition: serde_json::from_str(r#"{"name":"order","version":3}"#).expect("a reference"),
        key: "order-1".into(),
        input: json(r#"{"items": [1, 2]}"#),
        deadline: LATER,
        traceparent: None,
    };
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let traced = Birth { traceparent: Some(trace.into()), ..birth.clone() };
    let attempts = AttentionCause::NotAnswered { attempts: 5, last: Setback::TimedOut };
    let doubt = Doubt::NoAnswer(Setback::Unroutable);
    let events = vec![
        Event::SagaStarted(birth),
        Event::SagaStarted(traced),
        asked(Direction::Do),
        asked(Direction::Undo),
        deferred(Setback::Retryable),
        deferred(Setback::TimedOut),
        deferred(Setback::DeadLettered),
        deferred(Setback::Unroutable),
        deferred(Setback::Unexplained),
        Event::StepSucceeded { step: step(), generation: 1, result: json("[1.10, null]") },
        Event::StepFailed { step: step(), reason: told() },
        Event::StepGivenUp { step: step(), doubt },
        Event::StepGivenUp { step: step(), doubt: Doubt::RefusedLate(told()) },
        Event::StepRefused { step: step(), reason: told() },
        Event::StepUndone { step: step(), generation: 2 },
        Event::RollbackStarted { reason: told(), by: None },
        Event::RollbackStarted { reason: Reason::of("UNWANTED"), by: Some("customer".into()) },
        Event::RolledBack { reason: told() },
        Event::DeadlinePassed,
        raised(Some(step()), attempts),
        raised(Some(step()), AttentionCause::Refused(told())),
        raised(None, AttentionCause::DeadlineExceeded),
        Event::RetryRequested { by: "ops".into(), note: "the worker is back".into() },
        Event::SagaCompleted,
        Event::SagaCancelled { reason: told() },
    ];
    let numbered = (1..).zip(events);
    numbered.map(|(sequence, event)| Recorded { sequence, at: NOW, event }).collect()
}

fn told() -> Reason {
    Reason { code: "NO_STOCK".into(), text: "Sold out.".into() }
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).expect("it is JSON")
}

/// One number for each state of a step; a new one does not compile until it is in the file.
fn place(state: &StepState) -> usize {
    match state {
        StepState::Doing(_) => 0,
        StepState::Succeeded { .. } => 1,
        StepState::Failed { .. } => 2,
        StepState::InDoubt { .. } => 3,
        StepState::Refused { .. } => 4,
        StepState::Undoing { .. } => 5,
        StepState::UndoRefused { .. } => 6,
        StepState::Undone { .. } => 7,
    }
}

/// One number for each event; a new one does not compile until it is in the file.
fn number(event: &Event) -> usize {
    match event {
        Event::SagaStarted(_) => 0,
        Event::StepAsked { .. } => 1,
        Event::StepDeferred { .. } => 2,
        Event::StepSucceeded { .. } => 3,
        Event::StepFailed { .. } => 4,
        Event::StepGivenUp { .. } => 5,
        Event::StepRefused { .. } => 6,
        Event::StepUndone { .. } => 7,
        Event::RollbackStarted { .. } => 8,
        Event::RolledBack { .. } => 9,
        Event::DeadlinePassed => 10,
        Event::AttentionRaised { .. } => 11,
        Event::RetryRequested { .. } => 12,
        Event::SagaCompleted => 13,
        Event::SagaCancelled { .. } => 14,
    }
}
