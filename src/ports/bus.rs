//! Messages: queues, exchanges, confirmations.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::sync::mpsc;

pub use crate::contract::message::{Death, Exchange, Message, Outgoing};
use crate::saga::id::QueueName;

/// What became of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is safe: whoever has to process it will get it, whatever happens to this process. For an
    /// event that nobody has bound this holds trivially.
    Confirmed,
    /// No queue is bound for it. Not delivered.
    Unroutable,
    /// A queue is full. Not delivered everywhere; publish it again later.
    Rejected,
    /// Nobody knows; publish it again with the same id.
    Unknown,
}

/// Tells a publisher what became of one message. Dropping it tells [`Settlement::Unknown`].
#[derive(Debug)]
pub struct Receipt {
    outlet: Option<mpsc::UnboundedSender<(u64, Settlement)>>,
    tag: u64,
}

impl Receipt {
    /// A receipt that reports to `outlet` under `tag`. The outlet is bounded by the publisher's own
    /// limit on unsettled messages.
    pub fn new(outlet: mpsc::UnboundedSender<(u64, Settlement)>, tag: u64) -> Self {
        Self { outlet: Some(outlet), tag }
    }

    /// Tells the publisher, who may be gone by now.
    pub fn settle(mut self, settlement: Settlement) {
        self.tell(settlement);
    }

    fn tell(&mut self, settlement: Settlement) {
        if let Some(outlet) = self.outlet.take() {
            let _ = outlet.send((self.tag, settlement));
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tell(Settlement::Unknown);
    }
}

/// What a queue is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSpec {
    /// Its name.
    pub name: QueueName,
    /// What it gets: exchanges and topic patterns (`*` one word, `#` any number of words).
    pub bindings: Vec<(Exchange, String)>,
    /// How many messages it holds, delivered and unacknowledged ones included; more are rejected.
    pub max_length: usize,
    /// How often a message may come back before it is a dead letter.
    pub delivery_limit: u32,
    /// Where its dead letters go.
    pub dead_letters: DeadLetters,
    /// How long it lives.
    pub lifetime: Lifetime,
}

/// How long a queue lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until somebody deletes it. What it holds survives the end of its broker.
    Lasting,
    /// As long as the connection over which it was declared. For watching: nothing that it gets is
    /// written to a disk, nobody else can consume it, and when it is full it loses its oldest
    /// messages instead of rejecting new ones. A bus within a process makes no such difference.
    Fleeting,
}

/// Where a queue's dead letters go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadLetters {
    /// To the exchange [`Exchange::Dead`] under their own routing key. Where no queue takes them yet,
    /// they wait for one on a bus that lasts.
    Kept,
    /// Nowhere. For queues on which nothing is ever rejected.
    Dropped,
}

/// What a consumer makes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Processed; forget it.
    Ack,
    /// Not processed; deliver it again. Counts towards the delivery limit.
    Requeue,
    /// Never to be processed, for this reason; it becomes a dead letter.
    Reject(String),
}

/// Carries a verdict back to the queue. Must not block.
pub trait Settle: Send {
    /// Settles the delivery.
    fn settle(self: Box<Self>, verdict: Verdict);
}

/// A message handed to a consumer. Dropping it unsettled gives it back to the queue.
pub struct Delivery {
    /// The message.
    pub message: Arc<Message>,
    /// How often it was delivered before.
    pub redeliveries: u32,
    settle: Option<Box<dyn Settle>>,
}

impl Delivery {
    /// A delivery that is settled through `settle`.
    pub fn new(message: Arc<Message>, redeliveries: u32, settle: Box<dyn Settle>) -> Self {
        Self { message, redeliveries, settle: Some(settle) }
    }

    /// Processed: the queue forgets it. Only to be called once its effects are durable.
    pub fn ack(mut self) {
        self.tell(Verdict::Ack);
    }

    /// Never to be processed: it becomes a dead letter, with the reason.
    pub fn reject(mut self, reason: impl Into<String>) {
        self.tell(Verdict::Reject(reason.into()));
    }

    fn tell(&mut self, verdict: Verdict) {
        if let Some(settle) = self.settle.take() {
            settle.settle(verdict);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.tell(Verdict::Requeue);
    }
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Delivery").field("message", &self.message).finish_non_exhaustive()
    }
}

/// Where the deliveries of one consumer come from. Dropping it cancels the consumer.
pub trait Inbox: Send {
    /// Adds up to `limit` of the deliveries at hand to `batch` and says how many; 0 once the
    /// consumer is over. Is pending while there are none.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Delivery>,
        limit: usize,
    ) -> Poll<usize>;
}

/// Deliveries of one consumer, at most its prefetch unsettled at a time.
///
/// Dropping it cancels the consumer: what waited in here returns to the queue at once, what was
/// taken out returns if it is not settled. Whether it can still be settled then is the broker's
/// affair, so settle what was taken before dropping this.
pub struct Deliveries(Box<dyn Inbox>);

impl Deliveries {
    /// Deliveries from `inbox`.
    pub fn new(inbox: impl Inbox + 'static) -> Self {
        Self(Box::new(inbox))
    }

    /// Waits for a delivery; none once the consumer is over, because the connection is gone.
    /// Giving up the wait loses nothing.
    pub async fn recv(&mut self) -> Option<Delivery> {
        let mut batch = Vec::with_capacity(1);
        self.recv_many(&mut batch, 1).await;
        batch.pop()
    }

    /// Waits for deliveries, adds up to `limit` of those at hand to `batch` and says how many; 0
    /// once the consumer is over. Giving up the wait loses nothing.
    pub async fn recv_many(&mut self, batch: &mut Vec<Delivery>, limit: usize) -> usize {
        poll_fn(|cx| self.0.poll_take(cx, batch, limit)).await
    }
}

/// Why the bus did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// The queue exists with other properties.
    #[error(
        "queue {queue} exists with other properties: {cause}; delete it or give the new one another name"
    )]
    Mismatch {
        /// The queue.
        queue: QueueName,
        /// The difference.
        cause: String,
    },
    /// The queue was never declared.
    #[error("queue {0} does not exist; declare it first")]
    NoSuchQueue(QueueName),
    /// The broker can't be reached.
    #[error("the message bus is not available: {0}")]
    Unavailable(String),
}

/// How a queue is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueDepth {
    /// The queue.
    pub queue: QueueName,
    /// Messages that wait for a consumer.
    pub ready: u64,
    /// Messages at a consumer, not settled. Where other processes consume the queue, too, a broker
    /// need not tell what they hold; then it is this process's consumers only.
    pub unsettled: u64,
}

/// A message broker. Delivery is at least once.
pub trait Bus: Send + Sync {
    /// Makes sure that a queue exists, with these bindings.
    fn declare(&self, spec: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>>;

    /// Publishes a message; `receipt` tells what became of it. Neither blocks nor waits: the caller
    /// bounds how many of its receipts are open.
    fn publish(&self, outgoing: Outgoing, receipt: Receipt);

    /// Publishes messages that are there at the same time, each as [`publish`](Self::publish) does. A
    /// bus may save work on those that go to the same place.
    fn publish_all(&self, outgoing: Vec<(Outgoing, Receipt)>) {
        for (outgoing, receipt) in outgoing {
            self.publish(outgoing, receipt);
        }
    }

    /// Consumes a queue with at most `prefetch` unsettled deliveries, in turns with others.
    fn consume(
        &self,
        queue: &QueueName,
        prefetch: usize,
    ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
        self.consume_before_others(queue, prefetch, 0)
    }

    /// Consumes a queue with at most `prefetch` unsettled deliveries. Consumers of a lower `priority`
    /// get what those of a higher one have no room for.
    fn consume_before_others(
        &self,
        queue: &QueueName,
        prefetch: usize,
        priority: i64,
    ) -> BoxFuture<'_, Result<Deliveries, BusError>>;

    /// How each queue that was declared here is doing.
    fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>>;

    /// Whether a message that was confirmed outlives this process.
    fn is_lasting(&self) -> bool {
        true
    }

    /// Whether messages can be published and consumed just now. Never waits.
    ///
    /// # Errors
    /// What is wrong.
    fn health(&self) -> Result<(), BusError> {
        Ok(())
    }
}
