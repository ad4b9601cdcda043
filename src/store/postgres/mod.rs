//! The production stores: three schemas of PostgreSQL 13 or later, in one database or in three.
//!
//! | store | schema |
//! |---|---|
//! | orchestrator | `skald_orchestrator` |
//! | inventory | `skald_inventory` |
//! | notification | `skald_notification` |
//!
//! | file | does |
//! |---|---|
//! | `url` | where a database is, without its secrets |
//! | `connection` | two pools; transactions, tried again where that helps |
//! | `migrate` | makes a schema ours and brings it up to date |
//! | `inspect` | looking at a database without changing it |
//! | `schema` | the tables |
//! | `statement` | constant SQL that is prepared once |
//! | `encode` | moments and JSON as columns |
//! | `failure` | what PostgreSQL's errors come to |
//! | `silent` | ends sessions whose clients fell silent within a transaction |
//! | `ledger/`, `leases`, `door`, `letters`, `queries/` | the orchestrator's ports |
//! | `inventory`, `notification`, `records` | the workers' ports, and what both remember |
//!
//! A statement costs a round trip here, so a batch is a few statements over arrays, whatever its
//! size. Every table is named with its schema; nothing depends on a search path. What Skald tells a
//! connection holds for its session, so a pooler in between must pool sessions, not transactions.

mod connection;
mod door;
mod encode;
mod failure;
mod inspect;
mod inventory;
mod leases;
pub mod ledger;
mod letters;
mod migrate;
mod notification;
mod queries;
mod records;
mod schema;
mod silent;
mod statement;
mod url;

use std::sync::Arc;

use diesel::prelude::*;

use connection::Database;
pub use connection::LONGEST_HOLD;
pub use inspect::{
    Inspection, Server, inspect_inventory, inspect_notification, inspect_orchestrator,
};
use inventory::Inventory;
use ledger::doubt::Doubts;
use notification::Notifications;
use schema::orchestrator::{installation, shards};
use url::Url;

use super::{OpenError, OrchestratorStore};
use crate::ports::inventory::InventoryStore;
use crate::ports::ledger::Shard;
use crate::ports::notification::NotificationStore;

/// How many shards a new installation gets: enough for as many nodes as one PostgreSQL can feed,
/// few enough that a node with all of them is not slowed down.
pub const SHARDS: Shard = 64;

/// Makes sure that a URL makes sense, and connects to nobody.
///
/// # Errors
/// What is wrong with it, without repeating it.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    Url::parse(url).map(drop)
}

/// Opens the orchestrator's store at `url`; makes and migrates its schema if need be.
///
/// # Errors
/// When the server can't be reached or used, the schema is not ours, was made for a newer program or
/// with another number of shards.
pub fn orchestrator(url: &str, shards: Shard) -> Result<OrchestratorStore, OpenError> {
    let kind = &migrate::ORCHESTRATOR;
    let database =
        Database::open(url, kind, |connection, place| settle_shards(connection, place, shards))?;
    let orchestrator = Arc::new(Orchestrator { database, doubts: Doubts::default() });
    Ok(OrchestratorStore {
        ledger: orchestrator.clone(),
        leases: orchestrator.clone(),
        door: orchestrator.clone(),
        letters: orchestrator.clone(),
        queries: orchestrator,
    })
}

/// Opens the inventory worker's store at `url`; makes and migrates its schema if need be.
///
/// # Errors
/// When the server can't be reached or used, the schema is not ours or made for a newer program.
pub fn inventory(url: &str) -> Result<Arc<dyn InventoryStore>, OpenError> {
    let database = Database::open(url, &migrate::INVENTORY, |_, _| Ok(()))?;
    Ok(Arc::new(Inventory { database }))
}

/// Opens the notification worker's store at `url`; makes and migrates its schema if need be.
///
/// # Errors
/// When the server can't be reached or used, the schema is not ours or made for a newer program.
pub fn notification(url: &str) -> Result<Arc<dyn NotificationStore>, OpenError> {
    let database = Database::open(url, &migrate::NOTIFICATION, |_, _| Ok(()))?;
    Ok(Arc::new(Notifications { database }))
}

/// The orchestrator's schema; its ports are in modules of their own.
#[derive(Debug)]
struct Orchestrator {
    database: Database,
    doubts: Doubts,
}

/// Gives a new installation its shards, and makes sure that an old one has as many.
fn settle_shards(
    connection: &mut PgConnection,
    place: &Url,
    wanted: Shard,
) -> Result<(), OpenError> {
    let store = migrate::ORCHESTRATOR.store;
    let found = connection.transaction(|connection| {
        let found: Option<i32> =
            installation::table.select(installation::shards).first(connection).optional()?;
        if let Some(found) = found {
            return Ok(found);
        }
        diesel::insert_into(installation::table)
            .values((installation::id.eq(1), installation::shards.eq(i32::from(wanted))))
            .execute(connection)?;
        let rows: Vec<_> = (0..wanted).map(|shard| shards::shard.eq(i32::from(shard))).collect();
        diesel::insert_into(shards::table).values(rows).execute(connection)?;
        QueryResult::Ok(i32::from(wanted))
    });
    match found {
        Ok(found) if found == i32::from(wanted) => Ok(()),
        Ok(found) => Err(OpenError::Shards {
            store,
            place: place.to_string(),
            found: found.try_into().unwrap_or(Shard::MAX),
            wanted,
        }),
        Err(error) => Err(OpenError::Database {
            store,
            place: place.to_string(),
            cause: place.redact(&error.to_string()),
        }),
    }
}
