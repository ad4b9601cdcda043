//! The order saga's steps, time-outs and retry rules.

use crate::saga::check::{Checked, DefinitionError};
use crate::saga::definition::{Definition, Runs, Step, StepKind, WorkerMemory};
use crate::saga::id::ReasonCode;
use crate::saga::retry::RetryPolicy;

/// Reserves the goods.
pub const RESERVE: &str = "reserve-inventory";
/// Makes the order CONFIRMED.
pub const CONFIRM: &str = "confirm-order";
/// Tells the customer that the order is confirmed.
pub const SEND_CONFIRMATION: &str = "send-confirmation";
/// Tells the customer that the order is cancelled.
pub const SEND_CANCELLATION: &str = "send-cancellation";

/// Why an order is cancelled; the closed set, the core's own reasons aside.
pub mod reason {
    /// Less is available than was ordered.
    pub const INSUFFICIENT_STOCK: &str = "INSUFFICIENT_STOCK";
    /// No such product.
    pub const UNKNOWN_PRODUCT: &str = "UNKNOWN_PRODUCT";
    /// The reservation came after its release.
    pub const ALREADY_RELEASED: &str = "ALREADY_RELEASED";
    /// The customer did not want it any more.
    pub const CANCELLED_BY_CUSTOMER: &str = "CANCELLED_BY_CUSTOMER";
}

/// A day: an order that waits out a long outage is still wanted, one that waits longer is not.
const DEADLINE_MS: u64 = 24 * 60 * 60 * 1000;

/// Reserving and mailing take milliseconds; half a minute leaves room for a full queue and stays
/// below the minute after which people ask what is wrong.
const TIMEOUT_MS: u64 = 30_000;

/// Reserving is given up, and the order cancelled, after some five minutes of *retryable* answers:
/// longer than a database takes to fail over or to be restarted, shorter than a customer waits for
/// a word.
const RESERVE_ATTEMPTS: u32 = 20;

/// The order saga, version 1.
///
/// # Errors
/// Never as shipped; a test sees to it.
pub fn definition() -> Result<Checked, DefinitionError> {
    Definition {
        name: "order".into(),
        version: 1,
        deadline_ms: DEADLINE_MS,
        steps: vec![
            Step {
                undo: Some("inventory.release".into()),
                reasons: [
                    reason::INSUFFICIENT_STOCK,
                    reason::UNKNOWN_PRODUCT,
                    reason::ALREADY_RELEASED,
                ]
                .map(ReasonCode::from)
                .into(),
                retry: RetryPolicy { max_attempts: RESERVE_ATTEMPTS, ..RetryPolicy::default() },
                ..step(RESERVE, StepKind::Compensatable, "inventory.reserve", None)
            },
            Step {
                runs: Runs::Locally,
                ..step(CONFIRM, StepKind::Pivot, "order.confirm", Some(RESERVE))
            },
            step(SEND_CONFIRMATION, StepKind::Retriable, "notification.send", Some(CONFIRM)),
        ],
        after_rollback: vec![step(
            SEND_CANCELLATION,
            StepKind::Retriable,
            "notification.send",
            None,
        )],
    }
    .check()
}

fn step(name: &str, kind: StepKind, command: &str, needs: Option<&str>) -> Step {
    Step {
        name: name.into(),
        needs: needs.map(Into::into).into_iter().collect(),
        kind,
        runs: Runs::AtWorker,
        command: command.into(),
        undo: None,
        timeout_ms: TIMEOUT_MS,
        retry: RetryPolicy::default(),
        reasons: Vec::new(),
        worker: WorkerMemory::Recorded,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_shipped_definition_passes_its_checks() {
        super::definition().unwrap();
    }
}
