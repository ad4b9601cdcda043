//! Opening the stores: files in the data folder, or PostgreSQL. The URL decides; nothing falls back
//! to anything else.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::config::{Config, Run, Secret, StorePlace};
use crate::ports::inventory::InventoryStore;
use crate::ports::ledger::Shard;
use crate::ports::locks::Locks;
use crate::ports::notification::NotificationStore;
use crate::store::{OrchestratorStore, postgres, sqlite};

/// Makes or migrates every store that is configured.
///
/// # Errors
/// As for [`open`].
pub fn migrate(config: &Config) -> anyhow::Result<()> {
    open(config).map(drop)
}

/// The orchestrator's store, and those of the workers that this process can reach.
pub struct Stores {
    /// Sagas and orders.
    pub orchestrator: OrchestratorStore,
    /// The stock.
    pub inventory: Option<Arc<dyn InventoryStore>>,
    /// The mails.
    pub notification: Option<Arc<dyn NotificationStore>>,
    /// How many shards there are.
    pub shards: Shard,
    /// Held where the stores are files: nobody else has them open.
    pub alone: Option<File>,
}

/// Opens every store that is configured, and makes or migrates it if need be.
///
/// # Errors
/// When one can't be opened, or another process has the files.
pub fn open(config: &Config) -> anyhow::Result<Stores> {
    match &config.store.orchestrator {
        Some(url) => {
            let orchestrator = postgres::orchestrator(url.reveal(), postgres::SHARDS)?;
            let inventory = inventory(config)?;
            let notification = notification(config)?;
            let shards = postgres::SHARDS;
            Ok(Stores { orchestrator, inventory, notification, shards, alone: None })
        }
        None => {
            for (key, place) in [
                ("store.inventory_url", &config.store.inventory),
                ("store.notification_url", &config.store.notification),
            ] {
                if *place != StorePlace::Same {
                    bail!(
                        "{key} is given, but store.url is not: give both, or neither for files in the data folder"
                    );
                }
            }
            let alone = Some(lock(&config.data_dir)?);
            let shards = sqlite::EMBEDDED_SHARDS;
            let stores = sqlite::open(&config.data_dir, shards)?;
            Ok(Stores {
                orchestrator: OrchestratorStore {
                    ledger: stores.ledger,
                    leases: stores.leases,
                    door: stores.door,
                    letters: stores.letters,
                    queries: stores.queries,
                },
                inventory: Some(stores.inventory),
                notification: Some(stores.notification),
                shards,
                alone,
            })
        }
    }
}

/// Opens the stores of these workers alone, for a process that runs nothing else.
///
/// # Errors
/// When one of them is not configured or can't be opened.
pub fn open_for_workers(config: &Config, run: Run) -> anyhow::Result<WorkerStores> {
    let needed = "a worker in a process of its own needs PostgreSQL: give store.url";
    let mut stores = WorkerStores::default();
    if run.inventory {
        stores.inventory =
            Some(inventory(config)?.with_context(|| format!("{needed} or store.inventory_url"))?);
    }
    if run.notification {
        let store = notification(config)?;
        stores.notification =
            Some(store.with_context(|| format!("{needed} or store.notification_url"))?);
    }
    Ok(stores)
}

/// The stores of workers.
#[derive(Clone, Default)]
pub struct WorkerStores {
    /// The stock.
    pub inventory: Option<Arc<dyn InventoryStore>>,
    /// What those who share the stock keep out of each other's way with, if anything.
    pub locks: Option<Arc<dyn Locks>>,
    /// The mails.
    pub notification: Option<Arc<dyn NotificationStore>>,
}

/// The databases that this configuration reaches.
#[derive(Clone, Debug, Default)]
pub struct Databases {
    /// Where the orchestrator's store is; none for a file.
    pub orchestrator: Option<Secret>,
    /// Where the inventory worker's store is; none for a file, or out of reach.
    pub inventory: Option<Secret>,
    /// Where the notification worker's store is; none for a file, or out of reach.
    pub notification: Option<Secret>,
}

/// The databases that this configuration reaches.
pub fn databases(config: &Config) -> Databases {
    Databases {
        orchestrator: config.store.orchestrator.clone(),
        inventory: database(config, &config.store.inventory).cloned(),
        notification: database(config, &config.store.notification).cloned(),
    }
}

fn inventory(config: &Config) -> anyhow::Result<Option<Arc<dyn InventoryStore>>> {
    let url = database(config, &config.store.inventory);
    Ok(url.map(|url| postgres::inventory(url.reveal())).transpose()?)
}

fn notification(config: &Config) -> anyhow::Result<Option<Arc<dyn NotificationStore>>> {
    let url = database(config, &config.store.notification);
    Ok(url.map(|url| postgres::notification(url.reveal())).transpose()?)
}

fn database<'a>(config: &'a Config, place: &'a StorePlace) -> Option<&'a Secret> {
    match place {
        StorePlace::Same => config.store.orchestrator.as_ref(),
        StorePlace::Own(url) => Some(url),
        StorePlace::Nowhere => None,
    }
}

/// One process to a data folder: two would depose each other and share no bus. Holds until the file
/// is dropped.
fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let place = data_dir.display();
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("the data folder {place} can't be made"))?;
    let file = File::create(data_dir.join("skald.lock"))
        .with_context(|| format!("the data folder {place} can't be written to"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another Skald uses the data folder {place}; stop it, or choose another one with --data-dir"
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("the data folder {place} can't be locked"))
        }
    }
}
