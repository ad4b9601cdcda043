//! The stores: the ports' durable side, one adapter for each kind of database.
//!
//! Three databases belong together, because three programs own them: the orchestrator's sagas and
//! orders, the inventory worker's products, the notification worker's mails. Nothing reads across
//! them and no transaction spans two.
//!
//! | | embedded | production |
//! |---|---|---|
//! | adapter | [`sqlite`] | [`postgres`] |
//! | a database is | a file | a schema or a database |
//! | one writer at a time through | the file's write lock | row locks |
//!
//! Each adapter speaks its database's own idiom; one conformance suite
//! (`tests/adapters/store_conformance`) holds them to the ports' words.

mod counters;
mod encode;
mod failure;
pub mod inspection;
pub mod postgres;
mod prefix;
mod saga_page;
pub mod sqlite;
mod waits;

use std::sync::Arc;

use crate::ports::door::Door;
use crate::ports::inventory::InventoryStore;
use crate::ports::leases::Leases;
use crate::ports::ledger::{Ledger, Shard};
use crate::ports::letters::Letters;
use crate::ports::notification::NotificationStore;
use crate::ports::queries::Queries;

/// All stores of one installation, open and migrated.
#[derive(Clone)]
pub struct Stores {
    /// The orchestrator's, for the owner of its shards.
    pub ledger: Arc<dyn Ledger>,
    /// The orchestrator's, for nodes that share its shards.
    pub leases: Arc<dyn Leases>,
    /// The orchestrator's, for whoever wants something of a saga.
    pub door: Arc<dyn Door>,
    /// The orchestrator's, for whoever looks after dead letters.
    pub letters: Arc<dyn Letters>,
    /// The orchestrator's, for readers.
    pub queries: Arc<dyn Queries>,
    /// The inventory worker's.
    pub inventory: Arc<dyn InventoryStore>,
    /// The notification worker's.
    pub notification: Arc<dyn NotificationStore>,
}

impl Stores {
    /// All stores of an installation, from wherever each is.
    pub fn of(
        orchestrator: OrchestratorStore,
        inventory: Arc<dyn InventoryStore>,
        notification: Arc<dyn NotificationStore>,
    ) -> Self {
        let OrchestratorStore { ledger, leases, door, letters, queries } = orchestrator;
        Self { ledger, leases, door, letters, queries, inventory, notification }
    }
}

/// The orchestrator's store, open and migrated.
#[derive(Clone)]
pub struct OrchestratorStore {
    /// For the owner of its shards.
    pub ledger: Arc<dyn Ledger>,
    /// For nodes that share its shards.
    pub leases: Arc<dyn Leases>,
    /// For whoever wants something of a saga.
    pub door: Arc<dyn Door>,
    /// For whoever looks after dead letters.
    pub letters: Arc<dyn Letters>,
    /// For readers.
    pub queries: Arc<dyn Queries>,
}

/// Why a store could not be opened. Nothing in it was changed, except for migrations that were
/// complete by then.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory can't be made or used.
    #[error("the data directory {path} can't be used: {cause}")]
    Directory {
        /// The directory.
        path: String,
        /// What the system said.
        cause: String,
    },
    /// The store's URL makes no sense.
    #[error("the URL of the {store} store can't be used: {cause}")]
    Url {
        /// Which store.
        store: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// Nobody answers there, or not to us.
    #[error(
        "the {store} store at {place} can't be reached: {cause}; check that PostgreSQL runs there \
         and that the URL's user, password and database are right"
    )]
    Unreachable {
        /// Which store.
        store: &'static str,
        /// Where, without secrets.
        place: String,
        /// What was heard.
        cause: String,
    },
    /// The database is not one that a store can live in.
    #[error("the {store} store can't live at {place}: {cause}")]
    Unfit {
        /// Which store.
        store: &'static str,
        /// Where, without secrets.
        place: String,
        /// What it lacks.
        cause: String,
    },
    /// There is something else in the store's place.
    #[error("{place} is not Skald's {store} store: {cause}; move it away or choose another place")]
    NotOurs {
        /// Which store.
        store: &'static str,
        /// Where.
        place: String,
        /// What gives it away.
        cause: String,
    },
    /// A newer program has been here.
    #[error(
        "the {store} store in {place} has migration {migration}, which this program does not know; \
         run the version of Skald that made it, or a later one"
    )]
    Newer {
        /// Which store.
        store: &'static str,
        /// Where.
        place: String,
        /// The first migration that is not known.
        migration: String,
    },
    /// The number of shards is fixed when a store is made.
    #[error(
        "the {store} store in {place} was made with {found} shards, not {wanted}; the number can't be changed"
    )]
    Shards {
        /// Which store.
        store: &'static str,
        /// Where.
        place: String,
        /// How many it has.
        found: Shard,
        /// How many it was to have.
        wanted: Shard,
    },
    /// The database does not answer, or can't be migrated.
    #[error("the {store} store in {place} can't be opened: {cause}")]
    Database {
        /// Which store.
        store: &'static str,
        /// Where.
        place: String,
        /// What the database said.
        cause: String,
    },
}
