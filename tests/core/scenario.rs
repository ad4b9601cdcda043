//! A given/expect language for sagas.
//!
//! ```ignore
//! Scenario::of(order_like())
//!     .begins()
//!     .expect_asked("reserve")
//!     .given_success("reserve", json!({"shelf": 7}))
//!     .expect_done("confirm")
//!     .expect_asked("mail")
//!     .given_success("mail", json!(null))
//!     .expect_completed();
//! ```
//!
//! Each `begins`, `given_…`, `after_…`, `cancelled_by` and `retried_by` is one decision, or moves
//! the clock. What comes of a decision has to be mentioned in full by the `expect_…` that follow:
//! an event too many fails the scenario as surely as one too few. The event that merely notes a
//! given success is the exception; it need not be mentioned.
//!
//! Every decision is also taken twice (it must come out the same), replayed from the whole history,
//! and written as JSON and read back.

use serde::Serialize;
use skald::saga::check::Checked;
use skald::saga::decide::{begin, decide};
use skald::saga::definition::Direction;
use skald::saga::effect::{self, IdempotencyKey};
use skald::saga::event::{Birth, Event, Reason, Recorded, Setback};
use skald::saga::evolve::replay;
use skald::saga::id::{QueueName, SagaId, Sequence, Timestamp};
use skald::saga::input::{Answer, Decision, Ignored, Input, Reached, Rejection};
use skald::saga::json::Json;
use skald::saga::state::{Call, Saga, State};
use uuid::Uuid;

use crate::sending::{Sending, refusal, success};

/// When every scenario begins.
pub const START: Timestamp = Timestamp(1_700_000_000_000_000);

/// The saga of every scenario.
pub const SAGA: SagaId = SagaId(Uuid::from_u128(0x018b_cfe5_6800_7000_8000_0000_0000_0001));

/// A saga on its way, and what its newest decision came to.
pub struct Scenario {
    pub(crate) definition: Checked,
    pub(crate) now: Timestamp,
    pub(crate) history: Vec<Recorded>,
    pub(crate) unmentioned: Unmentioned,
    saga: Option<Saga>,
    reached: Reached,
}

/// What the newest decision came to, less what was mentioned.
#[derive(Debug)]
pub(crate) enum Unmentioned {
    Events(Vec<Event>),
    Ignored(Ignored),
    Rejected(Rejection),
}

impl Scenario {
    pub fn of(definition: Checked) -> Self {
        Self {
            definition,
            now: START,
            history: Vec::new(),
            unmentioned: Unmentioned::Events(Vec::new()),
            saga: None,
            reached: Reached::new(),
        }
    }

    /// The saga is born.
    #[track_caller]
    pub fn begins(mut self) -> Self {
        let birth = Birth {
            definition: self.definition.reference(),
            key: "order-1".into(),
            input: Json::of(&["anything"]).expect("the input has a JSON form"),
            deadline: START.plus_millis(self.definition.deadline_ms),
            traceparent: None,
        };
        let moved =
            begin(&self.definition, SAGA, birth.clone(), self.now).expect("the saga begins");
        assert_eq!(moved.events[0].event, Event::SagaStarted(birth), "birth comes first");
        self.commit(moved.events, moved.saga);
        self.take("SagaStarted", |event| matches!(event, Event::SagaStarted(_)));
        self
    }

    /// The worker that is asked for `step` answers that it did, or undid, it.
    #[track_caller]
    pub fn given_success(self, step: &str, result: impl Serialize) -> Self {
        let newest = self.newest_ask(step);
        self.given_answer(newest, success(result)).noting_success(step)
    }

    /// The worker that is asked for `step` refuses with a reason of its closed set.
    #[track_caller]
    pub fn given_refusal(self, step: &str) -> Self {
        let newest = self.newest_ask(step);
        self.given_answer(newest, refusal())
    }

    /// The worker that is asked for `step` answers with an error of its own making.
    #[track_caller]
    pub fn given_failure(self, step: &str, code: &str) -> Self {
        let newest = self.newest_ask(step);
        self.given_answer(newest, Answer::Failure(Reason::of(code)))
    }

    /// Something else than an answer is heard of the newest command for `step`.
    #[track_caller]
    pub fn given_setback(self, step: &str, setback: Setback) -> Self {
        let newest = self.newest_ask(step);
        self.given_answer(newest, Answer::Setback(setback))
    }

    /// The time for an answer about `step` runs out, though its queue has got past the command.
    #[track_caller]
    pub fn given_silence(mut self, step: &str) -> Self {
        let queue = self.open_command_queue(step);
        let asked_at = self.asked_at(step);
        self.reached.insert(queue, asked_at);
        self.given_silence_of_an_absent_worker(step)
    }

    /// The time for an answer about `step` runs out, while its queue has not got to the command.
    #[track_caller]
    pub fn given_silence_of_an_absent_worker(mut self, step: &str) -> Self {
        self.now = self.now.max(self.open_call(step).1.wait.until());
        self.when_due()
    }

    /// The pause of `step` ends.
    #[track_caller]
    pub fn given_the_pause_ends(self, step: &str) -> Self {
        self.given_silence_of_an_absent_worker(step)
    }

    /// An answer to an earlier sending arrives; the step's open call may be another one by now.
    #[track_caller]
    pub fn given_late(self, sending: Sending, answer: Answer) -> Self {
        let succeeded = matches!(answer, Answer::Success(_));
        let to = self.sequence_of(&sending);
        let next = self.given_answer(to, answer);
        if succeeded { next.noting_success(sending.step.as_str()) } else { next }
    }

    /// An answer to the event at `to` arrives.
    #[track_caller]
    pub fn given_answer(self, to: Sequence, answer: Answer) -> Self {
        self.given(Input::Answer { to, answer })
    }

    /// Only the clock moves.
    pub fn after_ms(mut self, millis: u64) -> Self {
        self.now = self.now.plus_millis(millis);
        self
    }

    /// The saga is told that some moment may have come.
    #[track_caller]
    pub fn when_due(self) -> Self {
        let reached = self.reached.clone();
        self.given(Input::Due { reached })
    }

    /// The queue of `step` has answered something asked at this moment.
    #[track_caller]
    pub fn when_the_queue_gets_here(mut self, step: &str) -> Self {
        let queue = self.open_command_queue(step);
        self.reached.insert(queue, self.now);
        self
    }

    #[track_caller]
    pub fn cancelled_by(self, by: &str, code: &str) -> Self {
        self.given(Input::Cancel { by: by.into(), reason: Reason::of(code) })
    }

    #[track_caller]
    pub fn retried_by(self, by: &str) -> Self {
        let mut next = self.given(Input::Retry { by: by.into(), note: "try again".into() });
        if matches!(next.unmentioned, Unmentioned::Events(_)) {
            next.take(
                "RetryRequested",
                |event| matches!(event, Event::RetryRequested { by: who, .. } if who == by),
            );
        }
        next
    }

    #[track_caller]
    fn given(mut self, input: Input) -> Self {
        self.must_be_all_mentioned();
        let decision = decide(&self.definition, self.saga(), &input, self.now);
        let again = decide(&self.definition, self.saga(), &input, self.now);
        assert_eq!(format!("{decision:?}"), format!("{again:?}"), "decisions are repeatable");
        match decision {
            Ok(Decision::Moved(moved)) => self.commit(moved.events, moved.saga),
            Ok(Decision::Ignored(ignored)) => self.unmentioned = Unmentioned::Ignored(ignored),
            Err(rejection) => self.unmentioned = Unmentioned::Rejected(rejection),
        }
        self
    }

    #[track_caller]
    fn commit(&mut self, events: Vec<Recorded>, saga: Saga) {
        assert!(!events.is_empty(), "a move has at least one event");
        self.unmentioned =
            Unmentioned::Events(events.iter().map(|recorded| recorded.event.clone()).collect());
        self.history.extend(events.iter().map(through_json));
        assert_eq!(replay(SAGA, &self.history).as_ref(), Ok(&saga), "replaying the history");
        assert_eq!(through_json::<State>(&saga.state), saga.state, "the state, read back");
        self.saga = Some(saga);
        for recorded in events.iter().filter(|r| matches!(r.event, Event::StepAsked { .. })) {
            self.command_of(recorded);
        }
    }

    /// The key of the command that `recorded` sends.
    #[track_caller]
    pub(crate) fn command_of(&self, recorded: &Recorded) -> IdempotencyKey {
        effect::command(&self.definition, self.saga(), recorded)
            .expect("asking sends a command")
            .key
    }

    #[track_caller]
    pub fn saga(&self) -> &Saga {
        self.saga.as_ref().expect("the scenario begins with `begins`")
    }

    #[track_caller]
    pub(crate) fn open_call(&self, step: &str) -> (Direction, &Call) {
        let found = self.saga().state.step(&step.into()).and_then(|state| state.call());
        found.unwrap_or_else(|| panic!("nobody is asked for {step}{self}"))
    }

    #[track_caller]
    fn newest_ask(&self, step: &str) -> Sequence {
        self.open_call(step).1.newest_ask().expect("an open call was sent")
    }

    #[track_caller]
    fn asked_at(&self, step: &str) -> Timestamp {
        let newest = self.newest_ask(step);
        self.history.iter().find(|r| r.sequence == newest).expect("the history has no gap").at
    }

    #[track_caller]
    fn open_command_queue(&self, step: &str) -> QueueName {
        let (direction, _) = self.open_call(step);
        let step = self.definition.step(&step.into()).expect("the definition has the step");
        step.command_for(direction).expect("the step has the command").queue()
    }

    #[track_caller]
    fn sequence_of(&self, wanted: &Sending) -> Sequence {
        let asked = self.history.iter().rev().find(|recorded| {
            matches!(&recorded.event, Event::StepAsked { step, direction, attempt, .. }
                if *step == wanted.step
                    && *direction == wanted.direction
                    && *attempt == wanted.attempt)
        });
        asked.unwrap_or_else(|| panic!("there was no such sending{self}")).sequence
    }

    /// A success need not be mentioned again where it was just given.
    #[track_caller]
    fn noting_success(mut self, name: &str) -> Self {
        if matches!(self.unmentioned, Unmentioned::Events(_)) {
            self.take(&format!("the success of {name}"), |event| {
                matches!(event, Event::StepSucceeded { step, .. } | Event::StepUndone { step, .. }
                    if step.as_str() == name)
            });
        }
        self
    }
}

fn through_json<T: Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    let text = serde_json::to_string(value).expect("it has a JSON form");
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault} in {text}"))
}
