//! What a scenario expects of the newest decision.

use std::fmt;

use skald::saga::definition::Direction;
use skald::saga::event::{AttentionCause, Doubt, Event, Setback};
use skald::saga::input::{Ignored, Rejection};
use skald::saga::state::{Phase, SagaStatus, StepState};

use crate::scenario::{Scenario, Unmentioned};

impl Scenario {
    /// A worker is asked to do `step` for the first time.
    #[track_caller]
    pub fn expect_asked(self, step: &str) -> Self {
        self.expect_sending(step, Direction::Do, 1, 1)
    }

    /// A worker is asked to do `step` again, under the same key.
    #[track_caller]
    pub fn expect_asked_again(self, step: &str, attempt: u32) -> Self {
        self.expect_same_key(step, Direction::Do, attempt)
    }

    /// A worker is asked to undo `step` for the first time.
    #[track_caller]
    pub fn expect_undo_asked(self, step: &str) -> Self {
        self.expect_sending(step, Direction::Undo, 1, 1)
    }

    /// A worker is asked to undo `step` again, under the same key.
    #[track_caller]
    pub fn expect_undo_asked_again(self, step: &str, attempt: u32) -> Self {
        self.expect_same_key(step, Direction::Undo, attempt)
    }

    /// A worker is asked to do `step` under the new key of `generation`.
    #[track_caller]
    pub fn expect_asked_anew(self, step: &str, generation: u32) -> Self {
        self.expect_sending(step, Direction::Do, generation, 1)
    }

    /// A worker is asked to undo `step` under the new key of `generation`.
    #[track_caller]
    pub fn expect_undo_asked_anew(self, step: &str, generation: u32) -> Self {
        self.expect_sending(step, Direction::Undo, generation, 1)
    }

    #[track_caller]
    fn expect_same_key(self, step: &str, direction: Direction, attempt: u32) -> Self {
        let generation = self.open_call(step).1.generation;
        let next = self.expect_sending(step, direction, generation, attempt);
        let keys: Vec<_> = next
            .history
            .iter()
            .filter(|recorded| {
                matches!(&recorded.event, Event::StepAsked { step: asked, direction: way, .. }
                    if asked.as_str() == step && *way == direction)
            })
            .map(|recorded| next.command_of(recorded).to_string())
            .collect();
        let [.., before, newest] = &keys[..] else { panic!("asked once only{next}") };
        assert_eq!(before, newest, "the key of {step}");
        next
    }

    #[track_caller]
    fn expect_sending(mut self, step: &str, way: Direction, generation: u32, attempt: u32) -> Self {
        let timeout = self.definition.step(&step.into()).expect("there is the step").timeout_ms;
        let expected = Event::StepAsked {
            step: step.into(),
            direction: way,
            generation,
            attempt,
            until: self.now.plus_millis(timeout),
        };
        self.take(&format!("{expected:?}"), |event| *event == expected);
        self
    }

    /// The orchestrator itself does `step`.
    #[track_caller]
    pub fn expect_done(mut self, name: &str) -> Self {
        self.take(
            &format!("{name} is done"),
            |event| matches!(event, Event::StepSucceeded { step, .. } if step.as_str() == name),
        );
        self
    }

    /// The orchestrator itself undoes `step`.
    #[track_caller]
    pub fn expect_undone(mut self, name: &str) -> Self {
        self.take(
            &format!("{name} is undone"),
            |event| matches!(event, Event::StepUndone { step, .. } if step.as_str() == name),
        );
        self
    }

    /// `step` was refused, and nothing was done.
    #[track_caller]
    pub fn expect_failed(mut self, name: &str) -> Self {
        self.take(
            &format!("{name} has failed"),
            |event| matches!(event, Event::StepFailed { step, .. } if step.as_str() == name),
        );
        self
    }

    /// `step` is not asked for any more, though it may have been done.
    #[track_caller]
    pub fn expect_given_up(mut self, name: &str, doubt: Doubt) -> Self {
        self.take(&format!("{name} is given up for {doubt:?}"), |event| {
            *event == Event::StepGivenUp { step: name.into(), doubt: doubt.clone() }
        });
        self
    }

    /// `step`, or its undo, was refused and needs an operator.
    #[track_caller]
    pub fn expect_refused(mut self, name: &str) -> Self {
        self.take(
            &format!("{name} is refused"),
            |event| matches!(event, Event::StepRefused { step, .. } if step.as_str() == name),
        );
        self
    }

    /// `step` will be asked again in so many milliseconds.
    #[track_caller]
    pub fn expect_pause(mut self, step: &str, setback: Setback, millis: u64) -> Self {
        let until = self.now.plus_millis(millis);
        self.take(&format!("{step} pauses for {millis} ms after {setback:?}"), |event| {
            *event == Event::StepDeferred { step: step.into(), setback, until }
        });
        self
    }

    #[track_caller]
    pub fn expect_rollback(mut self, code: &str) -> Self {
        self.take(&format!("rollback for {code}"), |event| {
            matches!(event, Event::RollbackStarted { reason, .. } if reason.code.as_str() == code)
        });
        self
    }

    #[track_caller]
    pub fn expect_rolled_back(mut self, code: &str) -> Self {
        self.take(
            &format!("rolled back for {code}"),
            |event| matches!(event, Event::RolledBack { reason } if reason.code.as_str() == code),
        );
        self
    }

    /// The saga ends, undone.
    #[track_caller]
    pub fn expect_cancelled(mut self, code: &str) -> Self {
        self.take(&format!("cancelled for {code}"), |event| {
            matches!(event, Event::SagaCancelled { reason } if reason.code.as_str() == code)
        });
        assert!(matches!(&self.saga().state.phase, Phase::Cancelled(r) if r.code.as_str() == code));
        self.expect_over(SagaStatus::Cancelled)
    }

    /// The saga ends, all done.
    #[track_caller]
    pub fn expect_completed(mut self) -> Self {
        self.take("completed", |event| *event == Event::SagaCompleted);
        self.expect_over(SagaStatus::Completed)
    }

    #[track_caller]
    pub fn expect_deadline_passed(mut self) -> Self {
        self.take("the deadline passes", |event| *event == Event::DeadlinePassed);
        self
    }

    /// An operator is called, because of `step` or of the saga as a whole.
    #[track_caller]
    pub fn expect_attention(mut self, step: Option<&str>, cause: AttentionCause) -> Self {
        let step = step.map(Into::into);
        self.take(&format!("attention to {step:?} for {cause:?}"), |event| {
            *event == Event::AttentionRaised { step: step.clone(), cause: cause.clone() }
        });
        let kept = self.saga().state.attention.iter().find(|attention| attention.step == step);
        let kept = kept.unwrap_or_else(|| panic!("the attention is not kept{self}"));
        assert_eq!((&kept.cause, kept.since), (&cause, self.now));
        self.expect_status(SagaStatus::NeedsAttention)
    }

    #[track_caller]
    pub fn expect_ignored(mut self, expected: Ignored) -> Self {
        let Unmentioned::Ignored(found) = &self.unmentioned else {
            panic!("expected that it is ignored as {expected:?}{self}")
        };
        assert_eq!(*found, expected);
        self.unmentioned = Unmentioned::Events(Vec::new());
        self
    }

    #[track_caller]
    pub fn expect_rejected(mut self, expected: Rejection) -> Self {
        let Unmentioned::Rejected(found) = &self.unmentioned else {
            panic!("expected a rejection: {expected}{self}")
        };
        assert_eq!(*found, expected);
        self.unmentioned = Unmentioned::Events(Vec::new());
        self
    }

    #[track_caller]
    fn expect_over(self, status: SagaStatus) -> Self {
        assert_eq!(self.saga().state.attention, [], "nobody need look at what is over{self}");
        self.expect_status(status)
    }

    #[track_caller]
    pub fn expect_status(self, expected: SagaStatus) -> Self {
        assert_eq!(self.saga().state.status(), expected, "the status{self}");
        self
    }

    /// Looks at where `step` stands.
    #[track_caller]
    pub fn expect_state(self, step: &str, holds: impl Fn(&StepState) -> bool) -> Self {
        let state = self.saga().state.step(&step.into());
        assert!(state.is_some_and(holds), "{step} stands otherwise: {state:?}{self}");
        self
    }

    /// Nobody was ever asked for `step`.
    #[track_caller]
    pub fn expect_not_started(self, step: &str) -> Self {
        assert_eq!(self.saga().state.step(&step.into()), None, "{step} was started{self}");
        self
    }

    /// Removes the event that `matches` from what is still to be mentioned.
    #[track_caller]
    pub(crate) fn take(&mut self, wanted: &str, matches: impl Fn(&Event) -> bool) {
        let found = match &self.unmentioned {
            Unmentioned::Events(events) => events.iter().position(matches),
            _ => None,
        };
        let Some(position) = found else { panic!("expected: {wanted}{self}") };
        if let Unmentioned::Events(events) = &mut self.unmentioned {
            events.remove(position);
        }
    }

    #[track_caller]
    pub(crate) fn must_be_all_mentioned(&self) {
        let quiet = matches!(&self.unmentioned, Unmentioned::Events(events) if events.is_empty());
        assert!(quiet, "the scenario does not mention all that happened{self}");
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.must_be_all_mentioned();
        }
    }
}

/// The story so far, for failure messages.
impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nnot mentioned: {:?}\nthe story so far:", self.unmentioned)?;
        for recorded in &self.history {
            writeln!(f, "  {:>3} {:?}", recorded.sequence, recorded.event)?;
        }
        Ok(())
    }
}
