//! What a transition did to the steps of a saga, for those who count it.

use crate::saga::definition::Direction;
use crate::saga::event::Setback;
use crate::saga::id::{StepName, Timestamp};
use crate::saga::state::{Call, State, StepState, Wait};

/// Something that happened to a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A worker is asked: for the first time under this key, or again.
    Asked {
        /// Whether it was asked before.
        again: bool,
    },
    /// An attempt came to no outcome.
    SetBack(Setback),
    /// What a worker was asked for is over.
    Settled {
        /// What came of it.
        outcome: &'static str,
        /// When it was asked last; none where the outcome came during a pause.
        asked_at: Option<Timestamp>,
    },
}

/// Tells `tell` what made `after` of `before`, step by step.
pub(super) fn changes(
    before: Option<&State>,
    after: &State,
    mut tell: impl FnMut(&StepName, Direction, Change),
) {
    for step in &after.steps {
        let was = before.and_then(|before| before.step(&step.name)).and_then(StepState::call);
        let is = step.state.call();
        let goes_on = matches!((was, is), (Some((was, _)), Some((is, _))) if was == is);
        if let Some((direction, call)) = was
            && !goes_on
        {
            let outcome = outcome(direction, &step.state);
            tell(&step.name, direction, Change::Settled { outcome, asked_at: asked_at(call) });
        }
        if let Some((direction, call)) = is {
            let was = was.filter(|_| goes_on).map(|(_, call)| call);
            if was.and_then(Call::newest_ask) != call.newest_ask() {
                tell(&step.name, direction, Change::Asked { again: call.attempt > 1 });
            }
            if let Wait::Pause { after, .. } = call.wait
                && was.is_none_or(|was| was.wait != call.wait)
            {
                tell(&step.name, direction, Change::SetBack(after));
            }
        }
    }
}

fn asked_at(call: &Call) -> Option<Timestamp> {
    match call.wait {
        Wait::Answer { asked_at, .. } => Some(asked_at),
        Wait::Pause { .. } => None,
    }
}

/// What the asking came to, by where the step stands now.
fn outcome(direction: Direction, now: &StepState) -> &'static str {
    match (direction, now) {
        (Direction::Do, StepState::Succeeded { .. }) => "succeeded",
        (Direction::Do, StepState::Failed { .. }) => "failed",
        (_, StepState::Refused { .. } | StepState::UndoRefused { .. }) => "refused",
        (Direction::Undo, StepState::Undone { .. }) => "undone",
        // In doubt, or being undone before anybody knew.
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::definition::definition;
    use crate::saga::decide::{begin, decide};
    use crate::saga::event::{Birth, Reason};
    use crate::saga::id::SagaId;
    use crate::saga::input::{Answer, Decision, Input, Reached};
    use crate::saga::json::Json;
    use crate::saga::state::Saga;

    const SECOND: u64 = 1_000;

    fn told(before: Option<&Saga>, after: &Saga) -> Vec<(String, Direction, Change)> {
        let mut told = Vec::new();
        changes(before.map(|saga| &saga.state), &after.state, |step, direction, change| {
            told.push((step.to_string(), direction, change));
        });
        told
    }

    fn born() -> Saga {
        let definition = definition().unwrap();
        let birth = Birth {
            definition: definition.reference(),
            key: "an order".to_owned(),
            input: Json::null(),
            deadline: Timestamp(0).plus_millis(definition.deadline_ms),
            traceparent: None,
        };
        begin(&definition, SagaId(uuid::Uuid::nil()), birth, Timestamp(0)).unwrap().saga
    }

    fn after(saga: &Saga, input: &Input, seconds: u64) -> Saga {
        let now = Timestamp(0).plus_millis(seconds * SECOND);
        match decide(&definition().unwrap(), saga, input, now).unwrap() {
            Decision::Moved(moved) => moved.saga,
            Decision::Ignored(kind) => panic!("{kind:?}"),
        }
    }

    /// The answer to the step that is open.
    fn answer(saga: &Saga, answer: Answer) -> Input {
        let to = saga.state.calls().next().and_then(|(_, _, call)| call.newest_ask()).unwrap();
        Input::Answer { to, answer }
    }

    fn step(name: &str, direction: Direction, change: Change) -> (String, Direction, Change) {
        (name.to_owned(), direction, change)
    }

    #[test]
    fn an_answer_settles_one_step_and_asks_the_next() {
        let born = born();
        let first = Change::Asked { again: false };
        assert_eq!(told(None, &born), [step("reserve-inventory", Direction::Do, first)]);
        let reserved = after(&born, &answer(&born, Answer::Success(Json::null())), 1);
        let settled = Change::Settled { outcome: "succeeded", asked_at: Some(Timestamp(0)) };
        let expected = [
            step("reserve-inventory", Direction::Do, settled),
            step("send-confirmation", Direction::Do, Change::Asked { again: false }),
        ];
        assert_eq!(told(Some(&born), &reserved), expected);
        assert_eq!(told(Some(&reserved), &reserved), []);
    }

    #[test]
    fn a_setback_is_told_once_and_the_repeat_is_a_repeat() {
        let born = born();
        let setback = Answer::Setback(Setback::Retryable);
        let pausing = after(&born, &answer(&born, setback), 1);
        let set_back = Change::SetBack(Setback::Retryable);
        let expected = [step("reserve-inventory", Direction::Do, set_back)];
        assert_eq!(told(Some(&born), &pausing), expected);
        let again = after(&pausing, &Input::Due { reached: Reached::new() }, 60);
        let asked = Change::Asked { again: true };
        assert_eq!(told(Some(&pausing), &again), [step("reserve-inventory", Direction::Do, asked)]);
        let late = after(&pausing, &answer(&pausing, Answer::Success(Json::null())), 2);
        let settled = Change::Settled { outcome: "succeeded", asked_at: None };
        assert_eq!(
            told(Some(&pausing), &late)[0],
            step("reserve-inventory", Direction::Do, settled)
        );
    }

    #[test]
    fn a_step_that_is_undone_before_its_outcome_was_known_ends_unknown() {
        let born = born();
        let cancel = Input::Cancel { by: "ada".into(), reason: Reason::of("CUSTOMER_REQUEST") };
        let undoing = after(&born, &cancel, 3);
        let unknown = Change::Settled { outcome: "unknown", asked_at: Some(Timestamp(0)) };
        let expected = [
            step("reserve-inventory", Direction::Do, unknown),
            step("reserve-inventory", Direction::Undo, Change::Asked { again: false }),
        ];
        assert_eq!(told(Some(&born), &undoing), expected);
        let undone = after(&undoing, &answer(&undoing, Answer::Success(Json::null())), 4);
        let asked_at = Some(Timestamp(0).plus_millis(3 * SECOND));
        let settled = Change::Settled { outcome: "undone", asked_at };
        assert_eq!(
            told(Some(&undoing), &undone)[0],
            step("reserve-inventory", Direction::Undo, settled)
        );
    }
}
