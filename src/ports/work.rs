//! What a worker remembers of its work.

use serde::{Deserialize, Serialize};

pub use crate::contract::reply::WorkOutcome;
use crate::saga::effect::IdempotencyKey;
use crate::saga::id::{SagaId, StepName, Timestamp};

/// What a record is about. Do and undo of a step meet on one record, even in two workers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKey {
    /// The saga.
    pub saga: SagaId,
    /// The step.
    pub step: StepName,
}

impl From<&IdempotencyKey> for RecordKey {
    fn from(key: &IdempotencyKey) -> Self {
        Self { saga: key.saga, step: key.step.clone() }
    }
}

/// What a worker remembers of one step of one saga. Outlives any possible re-send.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkRecord {
    /// What it answered to the newest do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<Answered>,
    /// What it answered to the newest undo. Any do of the same or an older generation that comes
    /// later is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Answered>,
    /// Who is at it right now, outside any transaction, and until when nobody else may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_until: Option<Timestamp>,
}

/// An answer and the generation it was given to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Answered {
    /// The generation.
    pub generation: u32,
    /// The answer.
    pub outcome: WorkOutcome,
}
