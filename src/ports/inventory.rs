//! The store of the inventory worker.

use std::collections::{BTreeMap, BTreeSet};

use crate::orders::ProductId;
use crate::ports::error::StoreError;
use crate::ports::work::{RecordKey, WorkRecord};

/// A product and how much of it there is; `0 ≤ reserved ≤ on_hand` always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// How many lie in the warehouse.
    pub on_hand: i64,
    /// How many of them are promised to orders.
    pub reserved: i64,
}

/// How many of which product a reservation holds.
pub type Holding = BTreeMap<ProductId, i64>;

/// What a transaction has locked and read.
#[derive(Clone, Debug, Default)]
pub struct InventoryView {
    /// The records asked for; new ones are empty.
    pub records: BTreeMap<RecordKey, WorkRecord>,
    /// What these records hold; a record that holds nothing is missing.
    pub holdings: BTreeMap<RecordKey, Holding>,
    /// The products asked for and those held; unknown ones are missing.
    pub products: BTreeMap<ProductId, Product>,
    /// Those of them that another transaction changed while this one waited for them, as far as the
    /// store can tell.
    pub contended: BTreeSet<ProductId>,
}

/// What a transaction writes.
#[derive(Clone, Debug, Default)]
pub struct InventoryChange {
    /// Records that changed, whole.
    pub records: BTreeMap<RecordKey, WorkRecord>,
    /// By how much each product's reserved amount changes; summed over the batch.
    pub reserved: BTreeMap<ProductId, i64>,
    /// Records that hold something from now on; written after `released`. Each was written before, or
    /// is among `records`.
    pub held: BTreeMap<RecordKey, Holding>,
    /// Records that give up what they held so far; a record may be in `held` as well, with something
    /// new.
    pub released: BTreeSet<RecordKey>,
}

/// What became of setting a product's stock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockSet {
    /// The product as it is now.
    Set(Product),
    /// Refused: so many are reserved.
    BelowReserved(Product),
}

/// Products, reservations and the inventory worker's records. Every method is one transaction.
pub trait InventoryStore: Send + Sync {
    /// Locks the records `keys` and the products they hold or that are `wanted`, in a fixed order;
    /// shows them to `settle`; and writes what it returns.
    ///
    /// # Errors
    /// [`StoreError::Refused`] if a product would break `0 ≤ reserved ≤ on_hand`; nothing is
    /// written then.
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        wanted: &BTreeSet<ProductId>,
        settle: &mut dyn FnMut(&InventoryView) -> InventoryChange,
    ) -> Result<(), StoreError>;

    /// Sets how many of a product lie in the warehouse; makes the product if it is new.
    fn set_on_hand(&self, id: &ProductId, on_hand: i64) -> Result<StockSet, StoreError>;

    /// A product.
    fn product(&self, id: &ProductId) -> Result<Option<Product>, StoreError>;

    /// Products by id, from the one after `after`.
    fn products(&self, after: Option<&ProductId>, limit: u32) -> Result<Vec<Product>, StoreError>;

    /// Whether the store answers.
    fn ping(&self) -> Result<(), StoreError>;
}
