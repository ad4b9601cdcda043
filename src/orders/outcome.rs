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
