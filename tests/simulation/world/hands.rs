//! The shipped workers, one of each for a thread, at stores that are lent to them for a call.

use std::sync::{Arc, Mutex};

use skald::contract::message::Outgoing;
use skald::ports::bus::{Delivery, Settle, Verdict};
use skald::workers::inventory::InventoryWorker;
use skald::workers::notification::NotificationWorker;
use skald::workers::runtime::batch::Done;

use super::broker::{Held, Parcel};
use super::desk::{Desk, Luck, Post, Warehouse};

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
