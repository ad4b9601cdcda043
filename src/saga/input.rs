//! What a saga is told, and what it makes of it.

use std::collections::BTreeMap;

use super::event::{Reason, Recorded, Setback};
use super::evolve::HistoryError;
use super::id::{DefinitionRef, QueueName, Sequence, StepName, Timestamp};
use super::json::Json;
use super::state::{Saga, SagaStatus};

/// Something that a saga is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// What became of the command sent with the event at `to`.
    Answer {
        /// The event's position.
        to: Sequence,
        /// What became of it.
        answer: Answer,
    },
    /// Some moment that the saga waits for may have come.
    Due {
        /// How far each queue has got; decides whether a silence counts.
        reached: Reached,
    },
    /// Somebody wants the saga undone.
    Cancel {
        /// Who.
        by: String,
        /// The reason that is recorded and told.
        reason: Reason,
    },
    /// An operator wants what is stuck tried again.
    Retry {
        /// Who.
        by: String,
        /// Why.
        note: String,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// It was carried out.
    Success(Json),
    /// It was refused for a reason of the business.
    Failure(Reason),
    /// Anything else that is known to have happened instead of an answer.
    Setback(Setback),
}

/// For each queue, the newest moment of asking among the commands it has answered.
///
/// A queue that has answered a command asked at T has got past everything asked before T, or nearly
/// so. While it has not got to a command, its silence says nothing about that command: the worker
/// is away or behind. A queue that is not listed has answered nothing.
pub type Reached = BTreeMap<QueueName, Timestamp>;

/// What a saga makes of an input.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Something happened.
    Moved(Moved),
    /// Nothing happened, harmlessly.
    Ignored(Ignored),
}

/// New events, and the saga after them. Neither counts before the events are committed.
#[derive(Clone, Debug)]
pub struct Moved {
    /// What happened, in order; at least one event.
    pub events: Vec<Recorded>,
    /// Where the saga stands after that.
    pub saga: Saga,
}

/// Why an input changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ignored {
    /// An answer to a command whose outcome is settled: a duplicate, or one that came too late.
    Settled,
    /// An answer to something that was never asked.
    NeverAsked,
    /// A setback of an earlier sending, while a newer one is still open.
    Superseded,
    /// Nothing is due, or the queue has not got to what is.
    NothingDue,
}

/// Why a saga can't do what it was told. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A cancellation after the point of no return.
    #[error("the saga is past its point of no return; it can't be cancelled any more")]
    PastPivot,
    /// A cancellation of something that was rolled back anyway.
    #[error("the saga is already being rolled back ({})", .0.code)]
    AlreadyRollingBack(Reason),
    /// A retry where nothing is stuck.
    #[error("the saga does not need attention; it is {}", .0.as_str())]
    NotStuck(SagaStatus),
    /// Not the definition that the saga is pinned to.
    #[error("the saga runs {pinned}, not {given}")]
    WrongDefinition {
        /// What it is pinned to.
        pinned: DefinitionRef,
        /// What was given.
        given: DefinitionRef,
    },
    /// A step that the definition does not have.
    #[error("the definition has no step {0}")]
    NoSuchStep(StepName),
    /// A broken invariant of the core itself.
    #[error("the core contradicts itself: {0}")]
    Contradiction(#[from] HistoryError),
}
