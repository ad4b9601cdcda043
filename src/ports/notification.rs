//! The store of the notification worker.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::error::StoreError;
use crate::ports::work::{RecordKey, WorkRecord};
use crate::saga::id::Timestamp;

/// A notification that was dealt with; one row for each idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The idempotency key.
    pub key: String,
    /// The order's id.
    pub order_id: String,
    /// Which text, e.g. `ORDER_CONFIRMED`.
    pub template: String,
    /// Whom it went to; none for [`NO_ADDRESS`](Self::outcome).
    pub recipient: Option<String>,
    /// `SENT`, `NO_ADDRESS` or `UNDELIVERABLE`.
    pub outcome: String,
    /// When.
    pub at: Timestamp,
}

/// What a transaction writes.
#[derive(Clone, Debug, Default)]
pub struct NotificationChange {
    /// Records that changed, whole.
    pub records: BTreeMap<RecordKey, WorkRecord>,
    /// Notifications that were dealt with.
    pub notifications: Vec<Notification>,
}

/// Notifications and the notification worker's records. Every method is one transaction.
pub trait NotificationStore: Send + Sync {
    /// Locks the records `keys` in a fixed order, shows them to `settle` (new ones empty), and
    /// writes what it returns.
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        settle: &mut dyn FnMut(&BTreeMap<RecordKey, WorkRecord>) -> NotificationChange,
    ) -> Result<(), StoreError>;

    /// How many notifications there are, by outcome.
    fn counts(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// Whether the store answers.
    fn ping(&self) -> Result<(), StoreError>;
}
