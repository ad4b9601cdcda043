//! The shipped workers, asked by hand.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use skald::contract::message::Outgoing;
use skald::contract::{command, reply};
use skald::orders::ProductId;
use skald::ports::StoreError;
use skald::ports::inventory::{InventoryChange, InventoryStore, InventoryView, Product, StockSet};
use skald::ports::mail::{Mail, MailError, Mailer};
use skald::ports::work::RecordKey;
use skald::saga::id::Timestamp;
use skald::store::sqlite;
use skald::workers::inventory::InventoryWorker;
use skald::workers::notification::NotificationWorker;
use skald::workers::worker::Worker;
use tempfile::TempDir;

/// Both workers on stores of their own.
pub struct Desk {
    inventory: InventoryWorker,
    notification: NotificationWorker,
    post: Arc<Post>,
    _folder: TempDir,
}

/// Mails that go nowhere.
#[derive(Default)]
struct Post(Mutex<Option<MailError>>);

impl Mailer for Post {
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>> {
        let error = self.0.lock().unwrap().clone();
        mails.iter().map(|_| error.clone().map_or(Ok(()), Err)).collect()
    }
}

impl Desk {
    /// With so many harps, and strings enough.
    pub fn with_harps(harps: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stores = sqlite::open(folder.path(), sqlite::EMBEDDED_SHARDS).unwrap();
        for (product, on_hand) in [("harp", harps), ("string", 1_000)] {
            stores.inventory.set_on_hand(&product.into(), on_hand).unwrap();
        }
        let post = Arc::<Post>::default();
        Self {
            inventory: InventoryWorker::new(stores.inventory),
            notification: NotificationWorker::new(stores.notification, post.clone(), "skald.local"),
            post,
            _folder: folder,
        }
    }

    /// The same, but every mail fails like this.
    pub fn failing(self, error: MailError) -> Self {
        *self.post.0.lock().unwrap() = Some(error);
        self
    }

    /// The same, but the inventory's database can't be reached.
    pub fn without_database(self) -> Self {
        Self { inventory: InventoryWorker::new(Arc::new(Away)), ..self }
    }

    /// What the worker concerned answers.
    pub fn answer(&self, asked: &Outgoing, now: Timestamp) -> Outgoing {
        match asked.routing_key.split('.').next() {
            Some("inventory") => ask(&self.inventory, asked, now),
            _ => ask(&self.notification, asked, now),
        }
    }
}

fn ask<W: Worker>(worker: &W, asked: &Outgoing, now: Timestamp) -> Outgoing {
    let command = worker.read(command::read(&asked.message).unwrap()).unwrap();
    let answer = worker.handle(&[command], now).pop().unwrap().unwrap();
    reply::write(&asked.message, answer.name, &answer.body, now).unwrap().unwrap()
}

/// A store that can't be reached.
struct Away;

impl Away {
    fn error() -> StoreError {
        StoreError::Unavailable { store: "inventory", cause: "the disk is away".to_owned() }
    }
}

impl InventoryStore for Away {
    fn transact(
        &self,
        _: &BTreeSet<RecordKey>,
        _: &BTreeSet<ProductId>,
        _: &mut dyn FnMut(&InventoryView) -> InventoryChange,
    ) -> Result<(), StoreError> {
        Err(Self::error())
    }

    fn set_on_hand(&self, _: &ProductId, _: i64) -> Result<StockSet, StoreError> {
        Err(Self::error())
    }

    fn product(&self, _: &ProductId) -> Result<Option<Product>, StoreError> {
        Err(Self::error())
    }

    fn products(&self, _: Option<&ProductId>, _: u32) -> Result<Vec<Product>, StoreError> {
        Err(Self::error())
    }

    fn ping(&self) -> Result<(), StoreError> {
        Err(Self::error())
    }
}
