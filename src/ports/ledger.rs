//! The owner's side of the store: sagas and their history, written batch by batch.

#[cfg(test)]
pub mod examples;

use std::collections::BTreeMap;

use crate::orders::{Order, OrderId, OrderStatus};
use crate::ports::door::{InputId, InputOutcome};
use crate::ports::error::StoreError;
use crate::saga::event::{Reason, Recorded};
use crate::saga::id::{SagaId, Sequence, Timestamp};
use crate::saga::state::{Saga, SagaStatus};

/// A slice of the sagas, owned by one node at a time.
pub type Shard = u16;

/// The position of a history row within its shard, from 1 in the order of commits.
pub type Seq = u64;

/// How much of a shard's history the broker has confirmed: each mark is the end of a contiguous
/// prefix.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks {
    /// Every command up to here is confirmed, or was given up and recorded.
    pub commands: Seq,
    /// Every event up to here is confirmed.
    pub events: Seq,
}

/// Where a shard stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardState {
    /// Its owner's fencing number.
    pub epoch: i64,
    /// The newest history row.
    pub last_seq: Seq,
    /// What of it is confirmed.
    pub marks: Marks,
}

/// Everything that one transaction writes for one shard.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The shard.
    pub shard: Shard,
    /// The writer's epoch; a batch with an older one than the shard's writes nothing.
    pub epoch: i64,
    /// The marks as they are by now; never lower than stored.
    pub marks: Marks,
    /// What happened to sagas, at most one entry for each saga.
    pub entries: Vec<Entry>,
}

/// What happened to one saga.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The version the saga had; 0 at birth. If it has another by now, nothing of the entry is
    /// written.
    pub expected: Sequence,
    /// What happened; empty where only inputs are settled.
    pub events: Vec<Recorded>,
    /// The saga afterwards.
    pub saga: Saga,
    /// Its status before; none at birth.
    pub status_before: Option<SagaStatus>,
    /// What becomes of the order.
    pub order: Option<OrderChange>,
    /// The inputs that this settles, with their outcomes.
    pub inputs: Vec<(InputId, InputOutcome)>,
}

/// What becomes of the order that a saga is about.
#[derive(Clone, Debug)]
pub enum OrderChange {
    /// It is accepted, under an idempotency key if the client gave one.
    Placed(Box<Order>, Option<Claim>),
    /// Its outcome is known.
    Settled {
        /// Which order.
        id: OrderId,
        /// What it is now; PENDING is what it was.
        status: OrderStatus,
        /// Why, if it was cancelled.
        reason: Option<Reason>,
        /// Since when.
        at: Timestamp,
    },
}

/// An idempotency key and the answer that repeats get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The client's key.
    pub key: String,
    /// The fingerprint of what was submitted and the answer to it.
    pub answer: StoredAnswer,
}

/// The answer that was given under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StoredAnswer {
    /// A hash of the submission, to tell a repeat from another order under the same key.
    pub fingerprint: Vec<u8>,
    /// The order that was accepted.
    pub order: OrderId,
    /// The body of the answer.
    pub body: String,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryOutcome {
    /// It is written; its events have these consecutive positions in the shard, from the first.
    Written(Seq),
    /// The saga has another version; nothing of the entry is written.
    Conflict,
    /// The idempotency key was taken; nothing of the entry is written.
    Replayed(StoredAnswer),
}

/// A saga whose moment has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Its shard.
    pub shard: Shard,
    /// The moment.
    pub at: Timestamp,
    /// The saga.
    pub saga: SagaId,
}

/// A row of the history together with its saga.
#[derive(Clone, Debug)]
pub struct HistoryRow {
    /// Its position in the shard.
    pub seq: Seq,
    /// The event.
    pub recorded: Recorded,
    /// The saga as it stands now.
    pub saga: Saga,
}

/// The sagas of the shards that a node owns. Every method is one transaction.
pub trait Ledger: Send + Sync {
    /// Makes the caller the owner of `shard` and raises its epoch. The shard is created if it is
    /// new.
    fn claim(&self, shard: Shard) -> Result<ShardState, StoreError>;

    /// Writes a batch: history, sagas, orders, inputs, counters and marks, all of it or, by entry,
    /// nothing of a saga that changed meanwhile. Once it returns, the batch survives a crash.
    ///
    /// The outcomes are in the order of the entries. Sequence numbers of written events follow the
    /// shard's last one without gaps.
    ///
    /// # Errors
    /// [`StoreError::Deposed`] for a stale epoch, [`StoreError::Refused`] if some row can't be
    /// written; nothing is written then.
    fn commit(&self, batch: &Batch) -> Result<Vec<EntryOutcome>, StoreError>;

    /// The sagas of `shard` with these ids, in no order; unknown ids and those of other shards are left
    /// out. At most 1,000 at a time.
    fn load(&self, shard: Shard, ids: &[SagaId]) -> Result<Vec<Saga>, StoreError>;

    /// The sagas of `shard` that have not ended, by id, from the one after `after`.
    fn unfinished(
        &self,
        shard: Shard,
        after: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<Saga>, StoreError>;

    /// The sagas that are due up to `until`: of each shard in `after` those beyond the position that
    /// it stands at there, by (moment, id), at most `limit` of each shard.
    fn due(
        &self,
        after: &BTreeMap<Shard, (Timestamp, SagaId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError>;

    /// The history of `shard` after `seq`, in order, each row with its saga as it stands now.
    fn history_after(
        &self,
        shard: Shard,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError>;

    /// Forgets idempotency keys taken before `before`, at most `limit` of them. Returns how many.
    fn forget_claims(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError>;
}
