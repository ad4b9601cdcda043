//! Inputs and histories that make no sense.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use skald::saga::decide::{begin, decide};
use skald::saga::definition::Direction;
use skald::saga::event::{AttentionCause, Birth, Doubt, Event, Reason, Recorded, Setback};
use skald::saga::evolve::{evolve, replay};
use skald::saga::id::Timestamp;
use skald::saga::input::{Answer, Decision, Input};
use skald::saga::json::Json;

use crate::blueprint::blueprint;
use crate::definitions::REFUSED;
use crate::invariants::{check_history, check_move};
use crate::properties::config;
use crate::scenario::{SAGA, START};
use crate::world::check_rejection;

fn reason() -> impl Strategy<Value = Reason> {
    prop_oneof![Just(REFUSED), Just("ERR_OOPS"), Just("")].prop_map(Reason::of)
}

fn setback() -> impl Strategy<Value = Setback> {
    prop_oneof![
        Just(Setback::Retryable),
        Just(Setback::TimedOut),
        Just(Setback::DeadLettered),
        Just(Setback::Unroutable),
        Just(Setback::Unexplained),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        3 => Just(Answer::Success(Json::null())),
        1 => reason().prop_map(Answer::Failure),
        2 => setback().prop_map(Answer::Setback),
    ]
}

/// Any moment: near the saga's life mostly, but clocks jump.
fn moment() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0..2_000_u64).prop_map(|millis| START.plus_millis(millis)),
        1 => any::<i64>().prop_map(Timestamp),
        1 => Just(Timestamp(i64::MAX)),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let sequence = prop_oneof![8 => 0..40_u64, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    let queue = prop_oneof!["back-[0-3]", "on-[0-2]", "sorry-[01]", "pivot"];
    let queue = queue.prop_map(|service| format!("{service}.commands").as_str().into());
    prop_oneof![
        8 => (sequence, answer()).prop_map(|(to, answer)| Input::Answer { to, answer }),
        4 => btree_map(queue, moment(), 0..8).prop_map(|reached| Input::Due { reached }),
        1 => reason().prop_map(|reason| Input::Cancel { by: String::new(), reason }),
        1 => Just(Input::Retry { by: String::new(), note: String::new() }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    let step = || prop_oneof![Just("one"), Just("two")].prop_map(Into::into);
    let direction = prop_oneof![Just(Direction::Do), Just(Direction::Undo)];
    let number = || prop_oneof![0..3_u32, Just(u32::MAX)];
    let asked = (step(), direction, number(), number(), moment());
    let cause = prop_oneof![
        Just(AttentionCause::DeadlineExceeded),
        reason().prop_map(AttentionCause::Refused),
    ];
    prop_oneof![
        8 => asked.prop_map(|(step, direction, generation, attempt, until)| {
            Event::StepAsked { step, direction, generation, attempt, until }
        }),
        2 => (step(), setback(), moment()).prop_map(|(step, setback, until)| {
            Event::StepDeferred { step, setback, until }
        }),
        2 => (step(), number()).prop_map(|(step, generation)| {
            Event::StepSucceeded { step, generation, result: Json::null() }
        }),
        1 => (step(), reason()).prop_map(|(step, reason)| Event::StepFailed { step, reason }),
        1 => (step(), setback()).prop_map(|(step, setback)| {
            Event::StepGivenUp { step, doubt: Doubt::NoAnswer(setback) }
        }),
        2 => (step(), reason()).prop_map(|(step, reason)| Event::StepRefused { step, reason }),
        2 => (step(), number()).prop_map(|(step, generation)| {
            Event::StepUndone { step, generation }
        }),
        2 => reason().prop_map(|reason| Event::RollbackStarted { reason, by: None }),
        1 => reason().prop_map(|reason| Event::RolledBack { reason }),
        1 => Just(Event::DeadlinePassed),
        1 => (proptest::option::of(step()), cause).prop_map(|(step, cause)| {
            Event::AttentionRaised { step, cause }
        }),
        1 => Just(Event::RetryRequested { by: String::new(), note: String::new() }),
        1 => Just(Event::SagaCompleted),
        1 => reason().prop_map(|reason| Event::SagaCancelled { reason }),
        1 => Just(Event::SagaStarted(birth())),
    ]
}

fn birth() -> Birth {
    Birth {
        definition: serde_json::from_str(r#"{"name":"random","version":1}"#).expect("a reference"),
        key: String::new(),
        input: Json::null(),
        deadline: START.plus_millis(1_000),
        traceparent: None,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_input_breaks_a_saga_and_only_people_are_ever_told_no(
        blueprint in blueprint(),
        inputs in vec((input(), moment()), 0..80),
    ) {
        let definition = blueprint.build();
        let born = begin(&definition, SAGA, birth(), START).expect("a saga can always begin");
        let (mut saga, mut history) = (born.saga, born.events);
        for (input, now) in inputs {
            match decide(&definition, &saga, &input, now) {
                Ok(Decision::Moved(moved)) => {
                    check_move(&definition, saga.state.clone(), &moved.events)
                        .map_err(TestCaseError::fail)?;
                    history.extend(moved.events);
                    saga = moved.saga;
                    check_history(SAGA, &history, &saga).map_err(TestCaseError::fail)?;
                }
                Ok(Decision::Ignored(_)) => {}
                Err(rejection) => {
                    check_rejection(&input, &rejection).map_err(TestCaseError::fail)?;
                }
            }
        }
    }

    #[test]
    fn no_event_breaks_a_state_and_each_that_is_possible_raises_the_version_by_one(
        events in vec((event(), prop_oneof![9 => Just(1_u64), 1 => 0..3_u64]), 0..60),
    ) {
        let first = Recorded { sequence: 1, at: START, event: Event::SagaStarted(birth()) };
        let mut state = replay(SAGA, &[first]).expect("a saga is born").state;
        for (event, ahead) in events {
            let (version, was_over) = (state.version, state.phase.is_end());
            let recorded = Recorded { sequence: version + ahead, at: START, event };
            if let Ok(next) = evolve(state.clone(), &recorded) {
                prop_assert_eq!(next.version, version + 1);
                prop_assert_eq!(ahead, 1);
                prop_assert!(!was_over, "something happened after the end");
                state = next;
            }
        }
    }
}
