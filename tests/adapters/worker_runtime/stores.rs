//! Stores in memory, and what can be made to go wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use skald::orders::ProductId;
use skald::ports::StoreError;
use skald::ports::inventory::{
    Holding, InventoryChange, InventoryStore, InventoryView, Product, StockSet,
};
use skald::ports::notification::{Notification, NotificationChange, NotificationStore};
use skald::ports::work::{RecordKey, WorkRecord};

const NAME: &str = "test";

/// Longer than anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What goes wrong in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Unavailable,
    Refused,
    Panic,
}

/// Faults that a test sets, and a gate that it can close.
#[derive(Default)]
pub struct Faults {
    /// What happens to any transaction, after so many that go well.
    pub always: Mutex<Option<(usize, Trouble)>>,
    /// What happens to a transaction in which a saga takes part.
    pub about: Mutex<BTreeMap<u128, Trouble>>,
    /// Whether transactions wait, and how many do.
    gate: Mutex<(bool, usize)>,
    moved: Condvar,
}

impl Faults {
    pub fn set(&self, trouble: Option<Trouble>) {
        *self.always.lock().unwrap() = trouble.map(|trouble| (0, trouble));
    }

    pub fn close_gate(&self) {
        self.gate.lock().unwrap().0 = true;
    }

    pub fn open_gate(&self) {
        self.gate.lock().unwrap().0 = false;
        self.moved.notify_all();
    }

    /// Waits until a transaction waits at the gate. Blocks.
    pub fn await_arrival(&self) {
        let gate = self.gate.lock().unwrap();
        let arrival = self.moved.wait_timeout_while(gate, PATIENCE, |(_, waiting)| *waiting == 0);
        assert!(!arrival.unwrap().1.timed_out(), "nobody came to the gate");
    }

    fn meet(&self, keys: &BTreeSet<RecordKey>) -> Result<(), StoreError> {
        let mut gate = self.gate.lock().unwrap();
        gate.1 += 1;
        self.moved.notify_all();
        let (mut gate, _) =
            self.moved.wait_timeout_while(gate, PATIENCE, |(closed, _)| *closed).unwrap();
        gate.1 -= 1;
        drop(gate);
        match self.trouble(keys) {
            None => Ok(()),
            Some(Trouble::Unavailable) => {
                Err(StoreError::Unavailable { store: NAME, cause: "it is gone".to_owned() })
            }
            Some(Trouble::Refused) => {
                Err(StoreError::Refused { store: NAME, cause: "a check".to_owned() })
            }
            Some(Trouble::Panic) => panic!("the worker breaks off, as the test wants"),
        }
    }

    fn trouble(&self, keys: &BTreeSet<RecordKey>) -> Option<Trouble> {
        let mut always = self.always.lock().unwrap();
        match &mut *always {
            Some((0, trouble)) => return Some(*trouble),
            Some((more, _)) => *more -= 1,
            None => {}
        }
        let about = self.about.lock().unwrap();
        keys.iter().find_map(|key| about.get(&key.saga.0.as_u128()).copied())
    }
}

#[derive(Default)]
pub struct Warehouse {
    pub faults: Faults,
    pub state: Mutex<InventoryView>,
    /// How many commands each transaction was about.
    pub batches: Mutex<Vec<usize>>,
}

impl Warehouse {
    pub fn stock(&self, product: &str, on_hand: i64) {
        let id = ProductId::from(product);
        let product = Product { id: id.clone(), on_hand, reserved: 0 };
        self.state.lock().unwrap().products.insert(id, product);
    }

    pub fn reserved(&self, product: &str) -> i64 {
        self.state.lock().unwrap().products[product].reserved
    }
}

impl InventoryStore for Warehouse {
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        _wanted: &BTreeSet<ProductId>,
        settle: &mut dyn FnMut(&InventoryView) -> InventoryChange,
    ) -> Result<(), StoreError> {
        self.faults.meet(keys)?;
        self.batches.lock().unwrap().push(keys.len());
        let mut state = self.state.lock().unwrap();
        let change = settle(&state);
        state.records.extend(change.records);
        state.holdings.retain(|key, _: &mut Holding| !change.released.contains(key));
        state.holdings.extend(change.held);
        for (id, amount) in change.reserved {
            let product = state.products.get_mut(&id).unwrap();
            product.reserved += amount;
            assert!((0..=product.on_hand).contains(&product.reserved));
        }
        Ok(())
    }

    fn set_on_hand(&self, _id: &ProductId, _on_hand: i64) -> Result<StockSet, StoreError> {
        unimplemented!("no worker asks for it")
    }

    fn product(&self, _id: &ProductId) -> Result<Option<Product>, StoreError> {
        unimplemented!("no worker asks for it")
    }

    fn products(&self, _: Option<&ProductId>, _limit: u32) -> Result<Vec<Product>, StoreError> {
        unimplemented!("no worker asks for it")
    }

    fn ping(&self) -> Result<(), StoreError> {
        unimplemented!("no worker asks for it")
    }
}

#[derive(Default)]
pub struct Postroom {
    pub faults: Faults,
    pub records: Mutex<BTreeMap<RecordKey, WorkRecord>>,
    pub notifications: Mutex<Vec<Notification>>,
}

impl NotificationStore for Postroom {
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        settle: &mut dyn FnMut(&BTreeMap<RecordKey, WorkRecord>) -> NotificationChange,
    ) -> Result<(), StoreError> {
        self.faults.meet(keys)?;
        let mut records = self.records.lock().unwrap();
        let change = settle(&records);
        records.extend(change.records);
        self.notifications.lock().unwrap().extend(change.notifications);
        Ok(())
    }

    fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        unimplemented!("no worker asks for it")
    }

    fn ping(&self) -> Result<(), StoreError> {
        unimplemented!("no worker asks for it")
    }
}
