//! The embedded stores: three SQLite files, each with one writer.
//!
//! | file | does |
//! |---|---|
//! | `connection` | opens a file; one connection that writes, a few that read |
//! | `migrate` | makes a file ours and brings it up to date |
//! | `inspect` | looking at the files without changing them |
//! | `schema` | the tables |
//! | `encode` | ids, states and events as columns |
//! | `update` | updates that are prepared once |
//! | `failure` | what a failed transaction comes to |
//! | `ledger/`, `leases`, `door`, `letters`, `queries/` | the orchestrator's ports |
//! | `inventory`, `notification`, `records` | the workers' ports, and what both remember |
//!
//! A statement costs no round trip here, so a batch is a loop of single-row statements whose
//! prepared forms are kept, within one transaction.

mod connection;
mod door;
mod encode;
mod failure;
mod inspect;
mod inventory;
mod leases;
mod ledger;
mod letters;
mod migrate;
mod notification;
mod queries;
mod records;
mod schema;
mod update;

use std::path::Path;
use std::sync::Arc;

use connection::Database;
use diesel::prelude::*;
use inventory::Inventory;
use notification::Notifications;
use schema::orchestrator::installation;

pub use inspect::{Inspection, inspect};

use super::{OpenError, Stores};
use crate::ports::ledger::Shard;

/// How many shards a new installation of one process gets: one writer needs no more.
pub const EMBEDDED_SHARDS: Shard = 1;

/// Opens the stores in `directory`; makes what is missing and migrates what is old.
///
/// # Errors
/// When a file there is not ours, was written by a newer program, was made with another number of
/// shards, or can't be used.
pub fn open(directory: &Path, shards: Shard) -> Result<Stores, OpenError> {
    make_directory(directory).map_err(|error| OpenError::Directory {
        path: directory.display().to_string(),
        cause: error.to_string(),
    })?;
    let orchestrator = Arc::new(Orchestrator::open(directory, shards)?);
    let inventory = Database::open(directory, &migrate::INVENTORY)?;
    let notification = Database::open(directory, &migrate::NOTIFICATION)?;
    Ok(Stores {
        ledger: orchestrator.clone(),
        leases: orchestrator.clone(),
        door: orchestrator.clone(),
        letters: orchestrator.clone(),
        queries: orchestrator,
        inventory: Arc::new(Inventory { database: inventory }),
        notification: Arc::new(Notifications { database: notification }),
    })
}

/// Makes the directory and its name durable. SQLite does the same for the files in it.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    match directory.canonicalize()?.parent() {
        Some(parent) => std::fs::File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// The orchestrator's file; its ports are in modules of their own.
#[derive(Debug)]
struct Orchestrator {
    database: Database,
}

impl Orchestrator {
    fn open(directory: &Path, shards: Shard) -> Result<Self, OpenError> {
        let kind = &migrate::ORCHESTRATOR;
        let place = || directory.join(kind.file).display().to_string();
        let database = Database::open(directory, kind)?;
        let found = database
            .write(|connection| {
                diesel::insert_into(installation::table)
                    .values((installation::id.eq(1), installation::shards.eq(i64::from(shards))))
                    .on_conflict(installation::id)
                    .do_nothing()
                    .execute(connection)?;
                Self::forget_owners(connection)?;
                Ok(installation::table.select(installation::shards).first::<i64>(connection)?)
            })
            .map_err(|error| OpenError::Database {
                store: kind.store,
                place: place(),
                cause: error.to_string(),
            })?;
        match Shard::try_from(found) {
            Ok(found) if found == shards => Ok(Self { database }),
            found => Err(OpenError::Shards {
                store: kind.store,
                place: place(),
                found: found.unwrap_or(Shard::MAX),
                wanted: shards,
            }),
        }
    }
}
