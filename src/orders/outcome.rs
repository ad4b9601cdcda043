//! How an order ends, as its saga's events tell it.

use super::definition::CONFIRM;
use super::order::OrderStatus;
use crate::saga::event::{Event, Reason, Recorded};
use crate::saga::id::Timestamp;
use crate::saga::state::{Phase, Saga};

/// What became of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// CONFIRMED or CANCELLED.
    pub status: OrderStatus,
    /// Why, if it was cancelled.
    pub reason: Option<Reason>,
}

impl Outcome {
    fn confirmed() -> Self {
        Self { status: OrderStatus::Confirmed, reason: None }
    }

    fn cancelled(reason: &Reason) -> Self {
        Self { status: OrderStatus::Cancelled, reason: Some(reason.clone()) }
    }
}

/// The outcome that these events brought, and when; none where they brought none.
pub fn brought_by(events: &[Recorded]) -> Option<(Outcome, Timestamp)> {
    events.iter().find_map(|recorded| {
        let outcome = match &recorded.event {
            Event::StepSucceeded { step, .. } if step.as_str() == CONFIRM => Outcome::confirmed(),
            Event::RolledBack { reason } => Outcome::cancelled(reason),
            _ => return None,
        };
        Some((outcome, recorded.at))
    })
}

/// The outcome of the order that `saga` is about, once that is known.
pub fn of(saga: &Saga) -> Option<Outcome> {
    match &saga.state.phase {
        Phase::RolledBack(reason) | Phase::Cancelled(reason) => Some(Outcome::cancelled(reason)),
        _ if saga.state.succeeded(&CONFIRM.into()) => Some(Outcome::confirmed()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::orders::definition::{definition, reason};
    use crate::saga::decide::{begin, decide};
    use crate::saga::event::Birth;
    use crate::saga::id::SagaId;
    use crate::saga::input::{Answer, Decision, Input, Moved};
    use crate::saga::json::Json;

    const START: Timestamp = Timestamp(1_780_000_000_000_000);

    fn begun() -> Moved {
        let definition = definition().unwrap();
        let birth = Birth {
            definition: definition.reference(),
            key: String::new(),
            input: Json::null(),
            deadline: START.plus_millis(60_000),
            traceparent: None,
        };
        begin(&definition, SagaId(Uuid::from_u128(1)), birth, START).unwrap()
    }

    /// What comes of this answer to the reservation, a millisecond later.
    fn reserving(answer: Answer) -> Moved {
        let saga = begun().saga;
        let input = Input::Answer { to: saga.state.version, answer };
        match decide(&definition().unwrap(), &saga, &input, START.plus_millis(1)).unwrap() {
            Decision::Moved(moved) => moved,
            Decision::Ignored(ignored) => panic!("{ignored:?}"),
        }
    }

    #[test]
    fn an_order_has_no_outcome_before_its_pivot() {
        let Moved { events, saga } = begun();
        assert_eq!((brought_by(&events), of(&saga)), (None, None));
        let events = reserving(Answer::Success(Json::null())).events;
        let Event::StepSucceeded { step, .. } = &events[0].event else { panic!("{events:?}") };
        assert_eq!((step.as_str(), brought_by(&events[..1])), ("reserve-inventory", None));
    }

    #[test]
    fn a_reserved_order_is_confirmed() {
        let Moved { events, saga } = reserving(Answer::Success(Json::null()));
        let outcome = Outcome { status: OrderStatus::Confirmed, reason: None };
        assert_eq!(brought_by(&events), Some((outcome.clone(), START.plus_millis(1))));
        assert_eq!(of(&saga), Some(outcome));
    }

    #[test]
    fn a_refused_order_is_cancelled_for_the_reason_of_the_refusal() {
        let reason = Reason::of(reason::INSUFFICIENT_STOCK);
        let Moved { events, saga } = reserving(Answer::Failure(reason.clone()));
        let outcome = Outcome { status: OrderStatus::Cancelled, reason: Some(reason) };
        assert_eq!(brought_by(&events), Some((outcome.clone(), START.plus_millis(1))));
        assert_eq!(of(&saga), Some(outcome));
    }
}
