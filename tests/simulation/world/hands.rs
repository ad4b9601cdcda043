//! The shipped workers, one of each for a thread, at stores that are lent to them for a call.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use skald::contract::message::Outgoing;
use skald::orders::ProductId;
use skald::ports::StoreError;
use skald::ports::bus::{Delivery, Settle, Verdict};
use skald::ports::inventory::{
    Holding, InventoryChange, InventoryStore, InventoryView, Product, StockSet,
};
use skald::ports::mail::{Mail, MailError, Mailer};
use skald::ports::notification::{Notification, NotificationChange, NotificationStore};
use skald::ports::work::{RecordKey, WorkRecord};
use skald::workers::inventory::InventoryWorker;
use skald::workers::notification::NotificationWorker;
use skald::workers::runtime::batch::Done;

use super::broker::{Held, Parcel};

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

/// Where a lent value lies while it is lent.
struct Desk<T>(Mutex<Lent<T>>);

impl<T: Default> Desk<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Lent { value: T::default(), luck: Vec::new() })))
    }

    fn lock(&self) -> MutexGuard<'_, Lent<T>> {
        self.0.lock().expect("one thread")
    }

    fn lend<R>(&self, value: &mut T, luck: Luck, call: impl FnOnce() -> R) -> R {
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
        for (id, by) in &change.reserved {
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

    fn set_on_hand(&self, _: &ProductId, _: i64) -> Result<StockSet, StoreError> {
        unimplemented!("the simulation sets its stock itself")
    }

    fn product(&self, _: &ProductId) -> Result<Option<Product>, StoreError> {
        unimplemented!("nobody asks")
    }

    fn products(&self, _: Option<&ProductId>, _: u32) -> Result<Vec<Product>, StoreError> {
        unimplemented!("nobody asks")
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
        unimplemented!("nobody asks")
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

/// A thread's workers.
struct Hands {
    inventory: InventoryWorker,
    warehouse: Arc<Desk<Warehouse>>,
    notification: NotificationWorker,
    post: Arc<Desk<Post>>,
}

thread_local! {
    static HANDS: Hands = {
        let (warehouse, post) = (Desk::<Warehouse>::new(), Desk::<Post>::new());
        Hands {
            inventory: InventoryWorker::new(warehouse.clone()),
            warehouse,
            notification: NotificationWorker::new(post.clone(), post.clone(), "sim"),
            post,
        }
    };
}

/// Has the inventory worker do something with this warehouse.
pub fn in_warehouse<R>(
    warehouse: &mut Warehouse,
    luck: Luck,
    call: impl FnOnce(&InventoryWorker) -> R,
) -> R {
    HANDS.with(|hands| hands.warehouse.lend(warehouse, luck, || call(&hands.inventory)))
}

/// Has the notification worker do something with this post office.
pub fn at_post<R>(post: &mut Post, luck: Luck, call: impl FnOnce(&NotificationWorker) -> R) -> R {
    HANDS
        .with(|Hands { notification, post: desk, .. }| desk.lend(post, luck, || call(notification)))
}

/// A delivery that notes if it is rejected.
struct Noted {
    index: usize,
    rejected: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Settle for Noted {
    fn settle(self: Box<Self>, verdict: Verdict) {
        if let Verdict::Reject(reason) = verdict {
            self.rejected.lock().expect("one thread").push((self.index, reason));
        }
    }
}

/// Deliveries as the runtime takes them; what it rejects is found in the list.
pub fn deliveries<'a>(
    parcels: impl IntoIterator<Item = &'a (Held, Parcel)>,
) -> (Vec<Delivery>, Rejected) {
    let rejected = Rejected::default();
    let deliveries = parcels.into_iter().enumerate().map(|(index, (_, parcel))| {
        let noted = Noted { index, rejected: Arc::clone(&rejected.0) };
        Delivery::new(Arc::clone(&parcel.message), parcel.redeliveries, Box::new(noted))
    });
    (deliveries.collect(), rejected)
}

/// Which deliveries of a batch were rejected, and why.
#[derive(Default)]
pub struct Rejected(Arc<Mutex<Vec<(usize, String)>>>);

/// What became of a batch: commands with their replies, and commands that will never be done.
pub type Worked = (Vec<(Held, Option<Outgoing>)>, Vec<(Held, String)>);

impl Rejected {
    /// Splits a batch into what was done and what was rejected.
    pub fn split(self, batch: &[(Held, Parcel)], done: Vec<Done>) -> Worked {
        let rejected = std::mem::take(&mut *self.0.lock().expect("one thread"));
        let is_rejected = |index: &usize| rejected.iter().any(|(at, _)| at == index);
        let kept = (0..batch.len()).filter(|index| !is_rejected(index));
        let replies = kept
            .zip(done)
            .map(|(index, done)| (batch[index].0, done.reply.map(|(reply, _)| reply)))
            .collect();
        let rejected = rejected.into_iter().map(|(index, reason)| (batch[index].0, reason));
        (replies, rejected.collect())
    }
}
