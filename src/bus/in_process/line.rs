//! A queue shared between threads, and the hands that reach into it: consumers and deliveries.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::task::coop::poll_proceed;

use super::broker::Broker;
use super::confirmation::Confirmation;
use super::queue::{Bell, ConsumerId, Entry, Queue};
use crate::ports::bus::{
    Deliveries, Delivery, Inbox, Message, QueueDepth, QueueSpec, Settle, Verdict,
};

/// A message on its way through the bus. Copies share everything.
#[derive(Clone, Debug)]
pub struct Parcel {
    /// The message.
    pub message: Arc<Message>,
    /// By which key it is routed.
    pub routing_key: Arc<str>,
    /// What has to be told once it is processed.
    pub confirmation: Arc<Confirmation>,
}

/// A queue behind its lock. Nobody is called while it is locked.
#[derive(Debug)]
pub struct Line {
    /// What it was declared as first; later bindings are not added here.
    pub spec: QueueSpec,
    queue: Mutex<Queue<Parcel>>,
}

impl Line {
    /// An empty queue.
    pub fn new(spec: QueueSpec) -> Self {
        let queue = Queue::new(spec.max_length, spec.delivery_limit);
        Self { spec, queue: Mutex::new(queue) }
    }

    fn lock(&self) -> MutexGuard<'_, Queue<Parcel>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message, or tells its publisher that there is no room for it.
    pub fn offer(&self, parcel: Parcel) {
        let offered = self.lock().offer(parcel);
        match offered {
            Ok(bells) => ring(bells),
            Err(parcel) => parcel.confirmation.rejected(),
        }
    }

    /// How it is doing.
    pub fn depth(&self) -> QueueDepth {
        let queue = self.lock();
        QueueDepth {
            queue: self.spec.name.clone(),
            ready: queue.ready() as u64,
            unsettled: queue.unsettled() as u64,
        }
    }
}

fn ring(bells: Vec<Bell>) {
    for bell in bells {
        bell.wake();
    }
}

/// Starts to consume `line`.
pub fn subscribe(
    broker: Arc<Broker>,
    line: Arc<Line>,
    prefetch: usize,
    priority: i64,
) -> Deliveries {
    let bell = Bell::default();
    let consumer = line.lock().attach(prefetch, priority, Arc::clone(&bell));
    Deliveries::new(Subscription { broker, line, consumer, bell, taken: Vec::new() })
}

/// One consumer.
struct Subscription {
    broker: Arc<Broker>,
    line: Arc<Line>,
    consumer: ConsumerId,
    bell: Bell,
    /// Empty between polls; kept for its capacity.
    taken: Vec<Entry<Parcel>>,
}

impl Inbox for Subscription {
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Delivery>,
        limit: usize,
    ) -> Poll<usize> {
        // A consumer that always finds something must not keep its thread for itself.
        let budget = ready!(poll_proceed(cx));
        // Before the look, so that whatever comes after the look rings.
        self.bell.register(cx.waker());
        self.line.lock().take(self.consumer, limit, &mut self.taken);
        if self.taken.is_empty() {
            return Poll::Pending;
        }
        budget.made_progress();
        let count = self.taken.len();
        batch.extend(self.taken.drain(..).map(|entry| {
            let message = Arc::clone(&entry.item.message);
            let redeliveries = entry.redeliveries;
            let hand = Hand {
                broker: Arc::clone(&self.broker),
                line: Arc::clone(&self.line),
                consumer: self.consumer,
                entry,
            };
            Delivery::new(message, redeliveries, Box::new(hand))
        }));
        Poll::Ready(count)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let bells = self.line.lock().detach(self.consumer);
        ring(bells);
    }
}

/// What a consumer holds of a delivery.
struct Hand {
    broker: Arc<Broker>,
    line: Arc<Line>,
    consumer: ConsumerId,
    entry: Entry<Parcel>,
}

impl Settle for Hand {
    fn settle(self: Box<Self>, verdict: Verdict) {
        let Self { broker, line, consumer, entry } = *self;
        match verdict {
            Verdict::Ack => {
                let bells = line.lock().settle(consumer);
                ring(bells);
                entry.item.confirmation.acknowledged();
            }
            Verdict::Requeue => {
                let (bells, dead) = line.lock().give_back(consumer, entry);
                ring(bells);
                if let Some(parcel) = dead {
                    broker.bury(parcel, &line.spec, "delivery_limit".to_owned());
                }
            }
            Verdict::Reject(reason) => {
                let bells = line.lock().settle(consumer);
                ring(bells);
                broker.bury(entry.item, &line.spec, format!("rejected: {reason}"));
            }
        }
    }
}
