//! Messages in: one consumer of one queue, on a channel of its own.
//!
//! A task on the bus's thread takes deliveries from the broker and puts them where
//! [`Deliveries`] finds them; settlements go the other way and are sent in as few acknowledgements
//! as possible.
//!
//! AMQP can reject a message, but not say why. So a rejected message is published to
//! [`Exchange::Dead`](crate::ports::bus::Exchange::Dead) with its reason, and acknowledged once that is
//! confirmed. A crash in between makes a second dead letter of it, never none.
//!
//! | file | holds |
//! |---|---|
//! | `shelf` | what arrived, and whoever takes it |
//! | `task` | the broker's side |
//! | `bundles` | which bundles are settled; pure |
//! | `forwards` | what is published elsewhere before it is acknowledged |

mod bundles;
mod forwards;
mod shelf;
mod task;

use lapin::Channel;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

use super::publisher::Postings;
use crate::ports::bus::{DeadLetters, Deliveries, Message, Verdict};
use crate::saga::id::QueueName;
use shelf::{Shelf, Taker};
use task::Task;

/// Tells a delivery from others on its channel; the broker numbers them from 1.
type Tag = u64;

/// What a consumer starts with.
pub struct Subscription {
    /// The queue.
    pub queue: QueueName,
    /// What becomes of what is rejected.
    pub dead_letters: DeadLetters,
    /// The consumer's own channel.
    pub channel: Channel,
    /// What arrives on it.
    pub arrivals: lapin::Consumer,
    /// The most messages that are taken and unsettled at a time.
    pub prefetch: usize,
    /// The most deliveries that the broker sends ahead; a delivery may be many messages.
    pub window: u16,
    /// Where dead letters are published.
    pub postings: Postings,
    /// Holds true once the bus ends.
    pub stopping: watch::Receiver<bool>,
}

/// Asks a consumer how many deliveries are unsettled.
#[derive(Clone, Debug)]
pub struct Counter {
    /// Its queue.
    pub queue: QueueName,
    words: mpsc::WeakUnboundedSender<Word>,
}

impl Counter {
    /// Whether the consumer is over, or has nothing to settle any more.
    pub fn is_over(&self) -> bool {
        self.words.upgrade().is_none_or(|words| words.is_closed())
    }

    /// How many deliveries are unsettled: those that the broker sent before this call at least.
    pub async fn unsettled(&self) -> u64 {
        let (reply, count) = oneshot::channel();
        match self.words.upgrade() {
            // A consumer that is over has none.
            Some(words) if words.send(Word::Count(reply)).is_ok() => count.await.unwrap_or(0),
            _ => 0,
        }
    }
}

/// What a consumer's task is told.
enum Word {
    /// A delivery is settled; its message and routing key, to bury it by.
    Settled(Tag, Verdict, Arc<Message>, String),
    /// The deliveries are dropped: nobody takes any more.
    Leave,
    /// How many deliveries are unsettled?
    Count(oneshot::Sender<u64>),
}

/// Starts a consumer on the current runtime.
pub fn start(subscription: Subscription) -> (Deliveries, Counter) {
    let (words, heard) = mpsc::unbounded_channel();
    let shelf = Arc::new(Shelf::new(subscription.prefetch));
    let counter = Counter { queue: subscription.queue.clone(), words: words.downgrade() };
    tokio::spawn(Task::new(subscription, Arc::clone(&shelf), heard).run());
    (Deliveries::new(Taker { shelf, words }), counter)
}
