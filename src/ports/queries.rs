//! The readers' side of the store.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::orders::{Order, OrderId, OrderStatus};
use crate::ports::error::StoreError;
use crate::ports::ledger::{Seq, Shard, StoredAnswer};
use crate::saga::event::Recorded;
use crate::saga::id::{DefinitionName, DefinitionRef, SagaId, Sequence, Timestamp};
use crate::saga::state::{Saga, SagaStatus};

/// A line of a list of sagas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SagaSummary {
    /// Which one.
    pub id: SagaId,
    /// What it runs.
    pub definition: DefinitionRef,
    /// What its business calls it.
    pub key: String,
    /// Where it stands.
    pub status: SagaStatus,
    /// Its newest event.
    pub version: Sequence,
    /// When it is due next.
    pub due_at: Option<Timestamp>,
    /// When it was born.
    pub created_at: Timestamp,
    /// When its newest event happened.
    pub updated_at: Timestamp,
}

/// Which sagas to list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SagaFilter {
    /// Only these.
    pub status: Option<SagaStatus>,
    /// Only those of this definition.
    pub definition: Option<DefinitionName>,
    /// Only those whose id or business key begins with this.
    pub text: Option<String>,
}

/// Which orders to list; all conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only those of this user.
    pub user: Option<String>,
    /// Only these.
    pub status: Option<OrderStatus>,
}

/// How many there are of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sagas by status; a status that none has may be missing.
    pub sagas: Vec<(SagaStatus, u64)>,
    /// Orders by status.
    pub orders: Vec<(OrderStatus, u64)>,
    /// Cancelled orders by reason code.
    pub cancelled_by_reason: Vec<(String, u64)>,
}

/// How far a shard's messages lag behind its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardLag {
    /// The shard.
    pub shard: Shard,
    /// History rows whose commands are not known to be confirmed.
    pub commands: Seq,
    /// The same for events.
    pub events: Seq,
}

/// Reads for people. They see what was committed, and never hold up the writer.
pub trait Queries: Send + Sync {
    /// An order with its lines.
    fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError>;

    /// Orders with their lines, newest first, from the one before `before`.
    fn orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Order>, StoreError>;

    /// A saga with the moments of its birth and its newest event.
    fn saga(&self, id: SagaId) -> Result<Option<(Saga, SagaSummary)>, StoreError>;

    /// Sagas, newest first, from the one before `before`.
    fn sagas(
        &self,
        filter: &SagaFilter,
        before: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<SagaSummary>, StoreError>;

    /// A saga's history after the position `after`, in order; empty where there is none.
    fn history(&self, id: SagaId, after: Sequence, limit: u32)
    -> Result<Vec<Recorded>, StoreError>;

    /// The counters, at no cost that grows with what they count.
    fn counts(&self) -> Result<Counts, StoreError>;

    /// How far each shard's messages lag.
    fn lags(&self) -> Result<Vec<ShardLag>, StoreError>;

    /// The versions of these sagas; those that don't exist are missing.
    fn versions(&self, ids: &[SagaId]) -> Result<BTreeMap<SagaId, Sequence>, StoreError>;

    /// How many events were ever recorded, of all sagas. It rises whenever one moves.
    fn events(&self) -> Result<u64, StoreError>;

    /// The answer given under an idempotency key.
    fn stored_answer(&self, key: &str) -> Result<Option<StoredAnswer>, StoreError>;

    /// Whether the store answers.
    fn ping(&self) -> Result<(), StoreError>;
}
