//! The stores of the workers, as plain values that lie on a desk or are lent to it for a call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use skald::orders::ProductId;
use skald::ports::StoreError;
use skald::ports::inventory::{
    Holding, InventoryChange, InventoryStore, InventoryView, Product, StockSet,
};
use skald::ports::mail::{Mail, MailError, Mailer};
use skald::ports::notification::{Notification, NotificationChange, NotificationStore};
use skald::ports::work::{RecordKey, WorkRecord};

/// What becomes of a transaction, or of a mail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Luck {
    /// It is done.
    #[default]
    Fine,
    /// It is not done.
    Fails,
    /// It is done, but nobody is told.
    Unheard,
    /// It will never be done: a mail's address is refused.
    Never,
}

/// The inventory worker's store.
#[derive(Clone, Debug, Default, Hash)]
pub struct Warehouse {
    pub records: BTreeMap<RecordKey, WorkRecord>,
    pub holdings: BTreeMap<RecordKey, Holding>,
    pub products: BTreeMap<ProductId, (i64, i64)>,
}

/// The notification worker's store, and the mails that were sent.
#[derive(Clone, Debug, Default, Hash)]
pub struct Post {
    pub records: BTreeMap<RecordKey, WorkRecord>,
    pub notifications: BTreeMap<String, String>,
    pub mails: BTreeMap<String, u32>,
}

fn unavailable(store: &'static str) -> StoreError {
    StoreError::Unavailable { store, cause: "the simulation has it so".to_owned() }
}

/// A value that is lent for a call, and the luck of what is done with it.
struct Lent<T> {
    value: T,
    luck: Vec<Luck>,
}

/// Where a value lies, its own or a lent one.
pub struct Desk<T>(Mutex<Lent<T>>);

impl<T: Default> Desk<T> {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Lent { value: T::default(), luck: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Lent<T>> {
        self.0.lock().expect("one thread")
    }

    pub fn lend<R>(&self, value: &mut T, luck: Luck, call: impl FnOnce() -> R) -> R {
        {
            let mut lent = self.lock();
            std::mem::swap(&mut lent.value, value);
            lent.luck = vec![luck];
        }
        let result = call();
        std::mem::swap(&mut self.lock().value, value);
        result
    }
}

impl<T> Lent<T> {
    /// The luck of the next transaction; those after the first are fine.
    fn next(&mut self) -> Luck {
        self.luck.pop().unwrap_or_default()
    }
}

impl InventoryStore for Desk<Warehouse> {
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        wanted: &BTreeSet<ProductId>,
        settle: &mut dyn FnMut(&InventoryView) -> InventoryChange,
    ) -> Result<(), StoreError> {
        let mut lent = self.lock();
        let luck = lent.next();
        if luck == Luck::Fails {
            return Err(unavailable("inventory"));
        }
        let Warehouse { records, holdings, products } = &mut lent.value;
        let mut view = InventoryView::default();
        let mut touched: BTreeSet<&ProductId> = wanted.iter().collect();
        for key in keys {
            view.records.insert(key.clone(), records.get(key).cloned().unwrap_or_default());
            if let Some(held) = holdings.get(key) {
                view.holdings.insert(key.clone(), held.clone());
                touched.extend(held.keys());
            }
        }
        for id in touched {
            if let Some(&(on_hand, reserved)) = products.get(id) {
                view.products.insert(id.clone(), Product { id: id.clone(), on_hand, reserved });
            }
        }
        let change = settle(&view);
        for (id, by) in change.reserved.iter().filter(|(_, by)| **by != 0) {
            let fits = products
                .get(id)
                .is_some_and(|(on_hand, reserved)| (0..=*on_hand).contains(&(reserved + by)));
            if !fits {
                let cause = format!("{id} would break 0 ≤ reserved ≤ on_hand");
                return Err(StoreError::Refused { store: "inventory", cause });
            }
        }
        for (id, by) in change.reserved {
            if let Some((_, reserved)) = products.get_mut(&id) {
                *reserved += by;
            }
        }
        records.extend(change.records);
        change.released.iter().for_each(|key| drop(holdings.remove(key)));
        holdings.extend(change.held);
        match luck {
            Luck::Unheard => Err(unavailable("inventory")),
            _ => Ok(()),
        }
    }

    fn set_on_hand(&self, id: &ProductId, on_hand: i64) -> Result<StockSet, StoreError> {
        let products = &mut self.lock().value.products;
        let reserved = products.get(id).map_or(0, |(_, reserved)| *reserved);
        if on_hand < reserved {
            let on_hand = products.get(id).map_or(0, |(on_hand, _)| *on_hand);
            return Ok(StockSet::BelowReserved(Product { id: id.clone(), on_hand, reserved }));
        }
        products.insert(id.clone(), (on_hand, reserved));
        Ok(StockSet::Set(Product { id: id.clone(), on_hand, reserved }))
    }

    fn product(&self, id: &ProductId) -> Result<Option<Product>, StoreError> {
        let found = self.lock().value.products.get(id).copied();
        Ok(found.map(|(on_hand, reserved)| Product { id: id.clone(), on_hand, reserved }))
    }

    fn products(&self, after: Option<&ProductId>, limit: u32) -> Result<Vec<Product>, StoreError> {
        let lent = self.lock();
        let rest = lent.value.products.iter().filter(|(id, _)| after.is_none_or(|last| *id > last));
        let products =
            rest.map(|(id, &(on_hand, reserved))| Product { id: id.clone(), on_hand, reserved });
        Ok(products.take(limit as usize).collect())
    }

    fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl NotificationStore for Desk<Post> {
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        settle: &mut dyn FnMut(&BTreeMap<RecordKey, WorkRecord>) -> NotificationChange,
    ) -> Result<(), StoreError> {
        let mut lent = self.lock();
        let luck = lent.next();
        if luck == Luck::Fails {
            return Err(unavailable("notification"));
        }
        let Post { records, notifications, .. } = &mut lent.value;
        let view = keys
            .iter()
            .map(|key| (key.clone(), records.get(key).cloned().unwrap_or_default()))
            .collect();
        let change = settle(&view);
        records.extend(change.records);
        for Notification { key, outcome, .. } in change.notifications {
            notifications.entry(key).or_insert(outcome);
        }
        match luck {
            Luck::Unheard => Err(unavailable("notification")),
            _ => Ok(()),
        }
    }

    fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for outcome in self.lock().value.notifications.values() {
            *counts.entry(outcome.clone()).or_default() += 1;
        }
        Ok(counts.into_iter().collect())
    }

    fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Mailer for Desk<Post> {
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>> {
        let mut lent = self.lock();
        let luck = lent.next();
        let sent = mails.iter().map(|mail| {
            if matches!(luck, Luck::Fine | Luck::Unheard) {
                *lent.value.mails.entry(mail.message_id.clone()).or_default() += 1;
            }
            match luck {
                Luck::Fine => Ok(()),
                Luck::Fails | Luck::Unheard => Err(MailError::Transient("so it is".to_owned())),
                Luck::Never => Err(MailError::Undeliverable("so it is".to_owned())),
            }
        });
        sent.collect()
    }
}
