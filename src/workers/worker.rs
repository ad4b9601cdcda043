//! What a worker is.

use crate::contract::command::IncomingCommand;
use crate::contract::reply::{ReplyBody, WorkOutcome};
use crate::orders::definition::reason::INSUFFICIENT_STOCK;
use crate::ports::StoreError;
use crate::saga::event::Reason;
use crate::saga::id::{QueueName, Timestamp};

/// Does the commands of one queue.
pub trait Worker: Send + Sync + 'static {
    /// A command that was read and checked.
    type Command;

    /// Where its commands wait.
    fn queue(&self) -> QueueName;

    /// Reads a command.
    ///
    /// # Errors
    /// When it can't be read, or is not this worker's. It becomes a dead letter.
    fn read(&self, command: IncomingCommand) -> Result<Self::Command, Poison>;

    /// Does a batch, and says for each command in their order what came of it. What it answers for
    /// good is durable when it returns; the same command handed in again is answered the same.
    ///
    /// Blocks. Never called for two batches at a time, so commands are done in their order.
    fn handle(&self, batch: &[Self::Command], now: Timestamp) -> Vec<Result<Answer, Poison>>;
}

/// What a worker answers to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What the answer is called, e.g. `inventory.reserved`.
    pub name: &'static str,
    /// What it says.
    pub body: ReplyBody,
}

/// Why a command will never be done; what an operator finds with its dead letter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Poison(pub String);

/// What a command comes to whose transaction failed: *retryable* at once if the store is not there,
/// a dead letter if it does not take the row.
///
/// # Errors
/// The latter.
pub fn not_committed(error: &StoreError, retryable: &'static str) -> Result<Answer, Poison> {
    match error {
        StoreError::Unavailable { .. } if seeded!(LostCommitIsRefusal) => {
            let reason = Reason::of(INSUFFICIENT_STOCK);
            Ok(Answer { name: retryable, body: ReplyBody::Settled(WorkOutcome::Failure(reason)) })
        }
        StoreError::Unavailable { .. } | StoreError::Deposed { .. } => {
            Ok(Answer { name: retryable, body: ReplyBody::Retryable })
        }
        StoreError::Refused { .. } | StoreError::Corrupt { .. } => Err(Poison(error.to_string())),
    }
}
