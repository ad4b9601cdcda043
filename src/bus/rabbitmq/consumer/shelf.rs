//! What arrived, until somebody takes it, and who holds what was taken.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use tokio::sync::mpsc;
use tokio::task::coop::poll_proceed;

use super::{Tag, Word};
use crate::ports::bus::{Delivery, Inbox, Message, Settle, Verdict};

/// A delivery on its way to whoever takes it.
pub struct Arrived {
    pub tag: Tag,
    pub redeliveries: u32,
    pub message: Arc<Message>,
    pub routing_key: String,
}

/// What a consumer's task shares with its [`Deliveries`](crate::ports::bus::Deliveries).
///
/// Broker and consumer both count what is out: quorum queues forget to count a message that went
/// over its delivery limit, and so send one more than the prefetch after each.
pub struct Shelf {
    stock: Mutex<Stock>,
    pub bell: AtomicWaker,
    /// The most deliveries out at a time.
    prefetch: usize,
    /// Deliveries taken and not settled.
    out: AtomicUsize,
    /// Whether the bell has to ring when one is settled.
    held_back: AtomicBool,
}

/// What arrived and was not taken.
#[derive(Default)]
pub struct Stock {
    pub arrived: VecDeque<Arrived>,
    over: bool,
}

impl Shelf {
    /// An empty shelf that lets at most `prefetch` deliveries out at a time.
    pub fn new(prefetch: usize) -> Self {
        Self {
            stock: Mutex::default(),
            bell: AtomicWaker::new(),
            prefetch,
            out: AtomicUsize::new(0),
            held_back: AtomicBool::new(false),
        }
    }

    /// How many more may be taken.
    fn room(&self) -> usize {
        self.prefetch.saturating_sub(self.out.load(Ordering::SeqCst))
    }

    /// A delivery is settled.
    fn came_back(&self) {
        self.out.fetch_sub(1, Ordering::SeqCst);
        if self.held_back.swap(false, Ordering::SeqCst) {
            self.bell.wake();
        }
    }

    pub fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the other side that the consumer is over, whatever ended it.
pub struct Ending(pub Arc<Shelf>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.stock().over = true;
        self.0.bell.wake();
    }
}

/// The side of whoever takes the deliveries.
pub struct Taker {
    pub shelf: Arc<Shelf>,
    pub words: mpsc::UnboundedSender<Word>,
}

impl Inbox for Taker {
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Delivery>,
        limit: usize,
    ) -> Poll<usize> {
        // A consumer that always finds something must not keep its thread for itself.
        let budget = ready!(poll_proceed(cx));
        // Before the look, so that whatever comes after the look rings.
        self.shelf.bell.register(cx.waker());
        let mut stock = self.shelf.stock();
        // What arrived before the end is the broker's again: it could not be settled.
        if stock.over {
            budget.made_progress();
            return Poll::Ready(0);
        }
        if self.shelf.room() == 0 {
            // Said before the second look, so that whatever is settled after it rings.
            self.shelf.held_back.store(true, Ordering::SeqCst);
        }
        let count = limit.min(stock.arrived.len()).min(self.shelf.room());
        if count == 0 {
            return Poll::Pending;
        }
        budget.made_progress();
        self.shelf.out.fetch_add(count, Ordering::SeqCst);
        batch.extend(stock.arrived.drain(..count).map(|arrived| {
            let Arrived { tag, redeliveries, message, routing_key } = arrived;
            let (words, shelf) = (self.words.clone(), Arc::clone(&self.shelf));
            let hand = Hand { words, shelf, tag, message: Arc::clone(&message), routing_key };
            Delivery::new(message, redeliveries, Box::new(hand))
        }));
        Poll::Ready(count)
    }
}

impl Drop for Taker {
    fn drop(&mut self) {
        // If nobody hears it, the consumer is over.
        let _ = self.words.send(Word::Leave);
    }
}

/// What a consumer holds of a delivery.
struct Hand {
    words: mpsc::UnboundedSender<Word>,
    shelf: Arc<Shelf>,
    tag: Tag,
    message: Arc<Message>,
    routing_key: String,
}

impl Settle for Hand {
    fn settle(self: Box<Self>, verdict: Verdict) {
        let Self { words, shelf, tag, message, routing_key } = *self;
        // If nobody hears it, the consumer is over and the broker delivers the message again.
        let _ = words.send(Word::Settled(tag, verdict, message, routing_key));
        shelf.came_back();
    }
}
