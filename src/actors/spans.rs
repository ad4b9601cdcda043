//! What a saga's transitions look like in its trace: a span for each step, from its first asking to its
//! outcome, and one for the whole saga.

use super::steps::{Change, changes};
use crate::contract::trace::{TraceContext, saga_span, step_span};
use crate::ports::spans::{Span, SpanKind};
use crate::saga::definition::{Definition, Direction};
use crate::saga::effect::IdempotencyKey;
use crate::saga::id::{StepName, Timestamp};
use crate::saga::state::{Saga, StepState};

/// When the open steps of a saga were asked for the first time, as far as its actor saw it.
#[derive(Debug, Default)]
pub(super) struct Begun(Vec<(IdempotencyKey, Timestamp)>);

impl Begun {
    /// The spans that ended with the transition from `before` to `after`, which was committed `now`.
    /// `submitted` is the span in which the saga was accepted.
    pub fn ended(
        &mut self,
        submitted: TraceContext,
        definition: &Definition,
        before: Option<&Saga>,
        after: &Saga,
        now: Timestamp,
    ) -> Vec<Span> {
        let whole = saga_span(after.id);
        let mut ended = Vec::new();
        changes(
            before.map(|saga| &saga.state),
            &after.state,
            |step, direction, change| match change {
                Change::Asked { again: false } => {
                    self.0.extend(key(after, step).map(|key| (key, now)));
                }
                Change::Settled { outcome, asked_at } => {
                    let Some(key) = before.and_then(|before| key(before, step)) else { return };
                    let from = self.take(&key).or(asked_at).unwrap_or(now);
                    let span = step_of(submitted.with_span(step_span(&key)), &key, direction);
                    let error = (!matches!(outcome, "succeeded" | "undone")).then_some(outcome);
                    let mut span = Span { parent: Some(whole), from, to: now, error, ..span };
                    span.attributes.push(("skald.outcome", outcome.into()));
                    ended.push(span);
                }
                Change::Asked { again: true } | Change::SetBack(_) => {}
            },
        );
        for key in local(before, after) {
            let span = step_of(submitted.with_span(step_span(&key)), &key, Direction::Do);
            ended.push(Span { parent: Some(whole), from: now, to: now, ..span });
        }
        if after.state.phase.is_end() {
            ended.push(saga_of(submitted, definition, after, now));
        }
        ended
    }

    fn take(&mut self, key: &IdempotencyKey) -> Option<Timestamp> {
        let at = self.0.iter().position(|(begun, _)| begun == key)?;
        Some(self.0.swap_remove(at).1)
    }
}

/// The key under which a step is asked.
fn key(saga: &Saga, step: &StepName) -> Option<IdempotencyKey> {
    let (direction, call) = saga.state.step(step)?.call()?;
    Some(IdempotencyKey {
        saga: saga.id,
        step: step.clone(),
        generation: call.generation,
        direction,
    })
}

/// Steps that were done without asking anybody.
fn local(before: Option<&Saga>, after: &Saga) -> Vec<IdempotencyKey> {
    let is_new = |step: &StepName| before.is_none_or(|before| before.state.step(step).is_none());
    let done = after.state.steps.iter().filter_map(|step| match step.state {
        StepState::Succeeded { generation, .. } if is_new(&step.name) => Some(IdempotencyKey {
            saga: after.id,
            step: step.name.clone(),
            generation,
            direction: Direction::Do,
        }),
        _ => None,
    });
    done.collect()
}

fn step_of(context: TraceContext, key: &IdempotencyKey, direction: Direction) -> Span {
    let name = match direction {
        Direction::Do => key.step.to_string(),
        Direction::Undo => format!("undo {}", key.step),
    };
    Span {
        context,
        parent: None,
        name,
        kind: SpanKind::Internal,
        from: Timestamp::default(),
        to: Timestamp::default(),
        attributes: vec![
            ("skald.saga.id", key.saga.to_string().into()),
            ("skald.step", key.step.as_str().into()),
            ("skald.key", key.to_string().into()),
        ],
        error: None,
    }
}

fn saga_of(submitted: TraceContext, definition: &Definition, saga: &Saga, now: Timestamp) -> Span {
    // Its deadline was set when it was accepted.
    let lasts = i64::try_from(definition.deadline_ms.saturating_mul(1000)).unwrap_or(i64::MAX);
    let mut attributes = vec![
        ("skald.saga.id", saga.id.to_string().into()),
        ("skald.saga.key", saga.birth.key.as_str().into()),
        ("skald.saga.definition", saga.birth.definition.to_string().into()),
        ("skald.saga.status", saga.state.status().as_str().into()),
    ];
    let reason = saga.state.rollback_reason();
    attributes.extend(reason.map(|reason| ("skald.saga.reason", reason.code.as_str().into())));
    Span {
        context: submitted.with_span(saga_span(saga.id)),
        parent: Some(submitted.span),
        name: format!("saga {}", definition.name),
        kind: SpanKind::Internal,
        from: Timestamp(saga.birth.deadline.0.saturating_sub(lasts)),
        to: now,
        attributes,
        error: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orders::definition::definition;
    use crate::saga::decide::{begin, decide};
    use crate::saga::event::{Birth, Reason, Setback};
    use crate::saga::id::SagaId;
    use crate::saga::input::{Answer, Decision, Input, Reached};
    use crate::saga::json::Json;

    const SUBMITTED: TraceContext = TraceContext { trace: 1, span: 2, sampled: true };

    /// A saga in memory, with the spans that its transitions ended.
    struct Watched {
        saga: Saga,
        begun: Begun,
        seconds: i64,
    }

    impl Watched {
        fn born() -> Self {
            let definition = definition().unwrap();
            let birth = Birth {
                definition: definition.reference(),
                key: "an order".to_owned(),
                input: Json::null(),
                deadline: Timestamp(0).plus_millis(definition.deadline_ms),
                traceparent: None,
            };
            let id = SagaId(uuid::Uuid::from_u128(5));
            let saga = begin(&definition, id, birth, Timestamp(0)).unwrap().saga;
            let mut begun = Begun::default();
            let ended = begun.ended(SUBMITTED, &definition, None, &saga, Timestamp(0));
            assert_eq!(ended, []);
            Self { saga, begun, seconds: 0 }
        }

        fn next(&mut self, input: &Input) -> Vec<Span> {
            self.seconds += 60;
            let (definition, now) = (definition().unwrap(), Timestamp(self.seconds * 1_000_000));
            let Decision::Moved(moved) = decide(&definition, &self.saga, input, now).unwrap()
            else {
                panic!("{input:?} does nothing");
            };
            let ended =
                self.begun.ended(SUBMITTED, &definition, Some(&self.saga), &moved.saga, now);
            self.saga = moved.saga;
            ended
        }

        fn answered(&mut self, answer: Answer) -> Vec<Span> {
            let to = self.saga.state.calls().next().and_then(|(_, _, call)| call.newest_ask());
            self.next(&Input::Answer { to: to.unwrap(), answer })
        }
    }

    fn told(spans: &[Span]) -> Vec<(&str, i64, i64, Option<&str>)> {
        let seconds = |at: Timestamp| at.0 / 1_000_000;
        spans
            .iter()
            .map(|span| (span.name.as_str(), seconds(span.from), seconds(span.to), span.error))
            .collect()
    }

    #[test]
    fn an_order_that_goes_well_is_a_saga_of_three_steps() {
        let mut watched = Watched::born();
        let reserved = watched.answered(Answer::Success(Json::null()));
        let expected = [("reserve-inventory", 0, 60, None), ("confirm-order", 60, 60, None)];
        assert_eq!(told(&reserved), expected);
        let ended = watched.answered(Answer::Success(Json::null()));
        assert_eq!(
            told(&ended),
            [("send-confirmation", 60, 120, None), ("saga order", 0, 120, None)]
        );
        let saga = ended.last().unwrap();
        assert_eq!(saga.parent, Some(SUBMITTED.span));
        for step in reserved.iter().chain(&ended[..1]) {
            assert_eq!(step.parent, Some(saga.context.span));
            assert_eq!(step.context.trace, SUBMITTED.trace);
        }
    }

    #[test]
    fn a_step_begins_with_its_first_attempt() {
        let mut watched = Watched::born();
        assert_eq!(watched.answered(Answer::Setback(Setback::Retryable)), []);
        assert_eq!(watched.next(&Input::Due { reached: Reached::new() }), []);
        let reserved = watched.answered(Answer::Success(Json::null()));
        assert_eq!(told(&reserved)[0], ("reserve-inventory", 0, 180, None));
    }

    #[test]
    fn what_an_actor_did_not_see_begin_began_with_the_newest_attempt() {
        let mut watched = Watched::born();
        watched.answered(Answer::Setback(Setback::Retryable));
        watched.next(&Input::Due { reached: Reached::new() });
        watched.begun = Begun::default();
        let reserved = watched.answered(Answer::Success(Json::null()));
        assert_eq!(told(&reserved)[0], ("reserve-inventory", 120, 180, None));
    }

    #[test]
    fn an_undo_is_a_step_of_its_own() {
        let mut watched = Watched::born();
        let cancel = Input::Cancel { by: "ada".into(), reason: Reason::of("CUSTOMER_REQUEST") };
        let given_up = watched.next(&cancel);
        assert_eq!(told(&given_up), [("reserve-inventory", 0, 60, Some("unknown"))]);
        let undone = watched.answered(Answer::Success(Json::null()));
        assert_eq!(told(&undone)[0], ("undo reserve-inventory", 60, 120, None));
        assert_ne!(given_up[0].context.span, undone[0].context.span);
    }
}
