//! The orchestrator, as the API sees it.

use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::orders::Order;
use crate::orders::outcome::Outcome;
use crate::ports::ledger::{Claim, Shard, StoredAnswer};
use crate::saga::id::SagaId;

/// An order that was checked and is to be accepted.
#[derive(Clone, Debug)]
pub struct NewOrder {
    /// The order.
    pub order: Order,
    /// The client's idempotency key, if there is one.
    pub claim: Option<Claim>,
    /// The W3C trace that the submission belongs to.
    pub traceparent: Option<String>,
    /// Whether somebody waits for the outcome.
    pub watch: Watch,
}

/// Whether somebody waits for an order's outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nobody does.
    Unwatched,
    /// Somebody does.
    Outcome,
}

/// What became of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// The order is durable; nothing can lose it any more. The outcome comes later, to whoever
    /// asked for it; the sender is dropped if it can't be told.
    Accepted(Option<oneshot::Receiver<Outcome>>),
    /// The idempotency key was used before; nothing was written.
    Replayed(StoredAnswer),
}

/// Why an order was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too much is under way. Nothing was written.
    #[error("{what} is full; try again in {retry_after_s} s")]
    Busy {
        /// What is full.
        what: String,
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// The store does not take it. Nothing was written, as far as anybody knows.
    #[error("the order could not be stored: {0}")]
    Store(String),
    /// The process is on its way out, or lost track. The order may have been written: ask again
    /// with the same idempotency key.
    #[error("the orchestrator stopped before it could tell whether the order was stored")]
    Unknown,
}

/// What the orchestrator is busy with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Sagas in memory.
    pub awake: u64,
    /// Commands that wait for their outcome, by queue.
    pub outstanding: Vec<(String, u64)>,
    /// Transitions that wait for a transaction.
    pub waiting: u64,
    /// Transactions of the journal since the start.
    pub commits: u64,
    /// Transitions that they wrote.
    pub transitions: u64,
    /// Answers that changed nothing, by kind.
    pub ignored: Vec<(&'static str, u64)>,
}

impl Activity {
    /// What two parts are busy with together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.awake += other.awake;
        self.waiting += other.waiting;
        self.commits += other.commits;
        self.transitions += other.transitions;
        add(&mut self.outstanding, other.outstanding);
        add(&mut self.ignored, other.ignored);
        self
    }
}

fn add<K: PartialEq>(sums: &mut Vec<(K, u64)>, counts: Vec<(K, u64)>) {
    for (key, count) in counts {
        match sums.iter_mut().find(|(known, _)| *known == key) {
            Some((_, sum)) => *sum += count,
            None => sums.push((key, count)),
        }
    }
}

/// Runs sagas.
pub trait Orchestrator: Send + Sync {
    /// Accepts an order. Resolves once it is durable.
    fn submit(&self, order: NewOrder) -> BoxFuture<'static, Result<Submitted, SubmitError>>;

    /// Has the owner of `saga`, which is in `shard`, look at its inputs. Resolves once it did, or
    /// could not, or was told on another node; the caller bounds how long it waits, and reads the
    /// outcome from the store.
    fn knock(&self, shard: Shard, saga: SagaId) -> BoxFuture<'static, ()>;

    /// Has this node look for requeued dead letters, which it would do a few seconds later anyway.
    /// Never waits.
    fn look_for_requeued(&self);

    /// What it is busy with.
    fn activity(&self) -> BoxFuture<'static, Activity>;

    /// Why it can't do its work at the moment; empty where it can.
    fn troubles(&self) -> Vec<String>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parts_are_busy_with_adds_up() {
        let activity = |n: u64, queue: &str| Activity {
            awake: n,
            outstanding: vec![("inventory.commands".to_owned(), n), (queue.to_owned(), n)],
            waiting: 2 * n,
            commits: 3 * n,
            transitions: 4 * n,
            ignored: vec![("settled", 5 * n)],
        };
        let outstanding = [("inventory.commands", 11), ("mail", 1), ("post", 10)]
            .map(|(queue, n)| (queue.to_owned(), n));
        let sum = Activity {
            awake: 11,
            outstanding: outstanding.into(),
            waiting: 22,
            commits: 33,
            transitions: 44,
            ignored: vec![("settled", 55)],
        };
        assert_eq!(activity(1, "mail").and(activity(10, "post")), sum);
    }
}
