//! Messages in: one consumer of one queue, on a channel of its own.
//!
//! A task on the bus's thread takes deliveries from the broker and puts them where
//! [`Deliveries`] finds them; settlements go the other way and are sent in as few acknowledgements
//! as possible.
//!
//! AMQP can reject a message, but not say why. So a rejected message is published to
//! [`Exchange::Dead`] with its reason, and acknowledged once that is confirmed. A crash in between
//! makes a second dead letter of it, never none.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{FutureExt, try_join_all};
use futures_util::stream::StreamExt;
use futures_util::task::AtomicWaker;
use lapin::message::Delivery as Arrival;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicQosOptions, BasicRejectOptions};
use lapin::{Channel, Error};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::coop::poll_proceed;
use tokio::time::{Instant, sleep_until};

use super::acks::Acks;
use super::publisher::Posting;
use super::{topology, wire};
use crate::ports::bus::{
    DeadLetters, Death, Deliveries, Delivery, Exchange, Inbox, Message, Outgoing, Receipt, Settle,
    Settlement, Verdict,
};
use crate::saga::id::QueueName;

/// Settlements sent at a time.
const BATCH: usize = 2_000;

/// How long a dead letter that was not taken waits before it is sent again.
const PAUSE: Duration = Duration::from_millis(100);

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
    /// The most deliveries unsettled at a time.
    pub prefetch: u16,
    /// Where dead letters are published.
    pub postings: mpsc::UnboundedSender<Posting>,
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

/// A delivery on its way to whoever takes it.
struct Arrived {
    tag: Tag,
    redeliveries: u32,
    message: Arc<Message>,
    routing_key: String,
}

/// What a consumer's task shares with its [`Deliveries`].
///
/// Broker and consumer both count what is out: quorum queues forget to count a message that went
/// over its delivery limit, and so send one more than the prefetch after each.
struct Shelf {
    stock: Mutex<Stock>,
    bell: AtomicWaker,
    /// The most deliveries out at a time.
    prefetch: usize,
    /// Deliveries taken and not settled.
    out: AtomicUsize,
    /// Whether the bell has to ring when one is settled.
    held_back: AtomicBool,
}

#[derive(Default)]
struct Stock {
    arrived: VecDeque<Arrived>,
    over: bool,
}

impl Shelf {
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

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the other side that the consumer is over, whatever ended it.
struct Ending(Arc<Shelf>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.stock().over = true;
        self.0.bell.wake();
    }
}

/// Starts a consumer on the current runtime.
pub fn start(subscription: Subscription) -> (Deliveries, Counter) {
    let (words, heard) = mpsc::unbounded_channel();
    let shelf = Arc::new(Shelf {
        stock: Mutex::default(),
        bell: AtomicWaker::new(),
        prefetch: subscription.prefetch.into(),
        out: AtomicUsize::new(0),
        held_back: AtomicBool::new(false),
    });
    let counter = Counter { queue: subscription.queue.clone(), words: words.downgrade() };
    let task = Task {
        ending: Ending(Arc::clone(&shelf)),
        subscription,
        heard,
        acks: Acks::default(),
        unsettled: 0,
        graveyard: Graveyard::new(),
    };
    tokio::spawn(task.run());
    (Deliveries::new(Taker { shelf, words }), counter)
}

/// The side of whoever takes the deliveries.
struct Taker {
    shelf: Arc<Shelf>,
    words: mpsc::UnboundedSender<Word>,
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

/// The broker's side of a consumer.
struct Task {
    ending: Ending,
    subscription: Subscription,
    heard: mpsc::UnboundedReceiver<Word>,
    acks: Acks,
    /// Delivered by the broker and not settled there.
    unsettled: u64,
    graveyard: Graveyard,
}

impl Task {
    async fn run(mut self) {
        match self.deliver().await {
            Ok(()) => {}
            Err(End::Cancelled) => {
                tracing::warn!(queue = %self.subscription.queue, "the broker ended a consumer");
            }
            Err(End::Failed(error)) => {
                tracing::warn!(queue = %self.subscription.queue, %error, "a consumer is over");
            }
        }
        drop(self.ending);
        topology::close(self.subscription.channel).await;
    }

    /// Delivers and settles until the consumer is over, or was left and has nothing to settle.
    async fn deliver(&mut self) -> Result<(), End> {
        let mut heard = Vec::with_capacity(BATCH);
        let (mut left, mut all_settled) = (false, false);
        let mut stopping = self.subscription.stopping.clone();
        while !(all_settled && self.graveyard.is_empty()) {
            let next_try = self.graveyard.next_try();
            tokio::select! {
                arrival = self.subscription.arrivals.next(), if !left => self.arrive(arrival)?,
                count = self.heard.recv_many(&mut heard, BATCH), if !all_settled => {
                    all_settled = count == 0;
                    left |= self.obey(&mut heard).await?;
                }
                Some(buried) = self.graveyard.buried() => self.settle(buried, Vec::new()).await?,
                () = sleep_until(next_try.unwrap_or_else(Instant::now)), if next_try.is_some() => {
                    self.graveyard.send_again(&self.subscription.postings);
                }
                () = stopped(&mut stopping) => {
                    while let Ok(word) = self.heard.try_recv() {
                        heard.push(word);
                    }
                    self.obey(&mut heard).await?;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Shelves an arrival and all others that are there.
    fn arrive(&mut self, first: Option<Result<Arrival, Error>>) -> Result<(), End> {
        let mut arrived = Vec::new();
        let mut next = Some(first);
        while let Some(arrival) = next {
            let arrival = arrival.ok_or(End::Cancelled)??;
            let tag = arrival.delivery_tag;
            let wire::Incoming { message, routing_key, redeliveries } = wire::incoming(arrival);
            arrived.push(Arrived { tag, redeliveries, message: Arc::new(message), routing_key });
            next = self.subscription.arrivals.next().now_or_never();
        }
        self.unsettled += arrived.len() as u64;
        self.ending.0.stock().arrived.extend(arrived);
        self.ending.0.bell.wake();
        Ok(())
    }

    /// Does what it is told, and says whether the deliveries were dropped.
    async fn obey(&mut self, heard: &mut Vec<Word>) -> Result<bool, End> {
        let (mut acked, mut returned) = (Vec::with_capacity(heard.len()), Vec::new());
        let (mut left, mut counters) = (false, Vec::new());
        for word in heard.drain(..) {
            match word {
                Word::Settled(tag, Verdict::Ack, ..) => acked.push(tag),
                Word::Settled(tag, Verdict::Requeue, ..) => returned.push(tag),
                Word::Settled(tag, Verdict::Reject(reason), message, key) => {
                    if !self.reject(tag, reason, &message, key) {
                        acked.push(tag);
                    }
                }
                Word::Leave => left = true,
                Word::Count(counter) => counters.push(counter),
            }
        }
        self.settle(acked, returned).await?;
        if left {
            self.leave().await?;
        }
        if !counters.is_empty() {
            self.catch_up(left).await?;
        }
        for counter in counters {
            let _ = counter.send(self.unsettled);
        }
        Ok(left)
    }

    /// Sends acknowledgements, and gives back `returned`.
    async fn settle(&mut self, mut acked: Vec<Tag>, mut returned: Vec<Tag>) -> Result<(), End> {
        let channel = &self.subscription.channel;
        // In their order, in which the queue keeps them.
        returned.sort_unstable();
        let requeue = BasicRejectOptions { requeue: true };
        try_join_all(returned.iter().map(|tag| channel.basic_reject(*tag, requeue))).await?;
        let plan = self.acks.settle(&mut acked, &returned);
        let multiple = plan.up_to.into_iter().map(|tag| (tag, true));
        let acks = multiple.chain(plan.single.into_iter().map(|tag| (tag, false)));
        let sent = acks.map(|(tag, multiple)| channel.basic_ack(tag, BasicAckOptions { multiple }));
        try_join_all(sent).await?;
        self.unsettled -= (acked.len() + returned.len()) as u64;
        Ok(())
    }

    /// Makes a rejected message a dead letter, unless nobody keeps those of its queue.
    fn reject(&mut self, tag: Tag, reason: String, message: &Message, routing_key: String) -> bool {
        let Subscription { queue, dead_letters, postings, .. } = &self.subscription;
        if *dead_letters == DeadLetters::Dropped {
            tracing::warn!(id = %message.id, kind = %message.kind, %queue, %reason,
                "a message died where no dead letters are kept; it is dropped");
            return false;
        }
        let death = Death {
            queue: queue.to_string(),
            routing_key: routing_key.clone(),
            reason: format!("rejected: {reason}"),
        };
        let message = Message { death: Some(death), ..message.clone() };
        let outgoing = Outgoing { exchange: Exchange::Dead, routing_key, message };
        self.graveyard.bury(tag, outgoing, postings);
        true
    }

    /// Takes nothing more from the broker, and gives back what nobody took from here.
    async fn leave(&mut self) -> Result<(), End> {
        let Subscription { channel, arrivals, .. } = &mut self.subscription;
        channel.basic_cancel(arrivals.tag(), BasicCancelOptions::default()).await?;
        let mut returned: Vec<Tag> =
            self.ending.0.stock().arrived.drain(..).map(|arrived| arrived.tag).collect();
        while let Some(arrival) = arrivals.next().await {
            returned.push(arrival?.delivery_tag);
            self.unsettled += 1;
        }
        self.settle(Vec::new(), returned).await
    }

    /// Shelves all that the broker sent before this call.
    async fn catch_up(&mut self, left: bool) -> Result<(), End> {
        // Changes nothing; its answer comes after all that the broker sent before.
        let Subscription { channel, prefetch, arrivals, .. } = &mut self.subscription;
        channel.basic_qos(*prefetch, BasicQosOptions::default()).await?;
        match arrivals.next().now_or_never() {
            Some(arrival) if !left => self.arrive(arrival),
            _ => Ok(()),
        }
    }
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error means that the bus is gone.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Why a consumer is over that nobody left.
enum End {
    /// The broker ended it: its queue is deleted or has no leader.
    Cancelled,
    /// Its channel or connection is gone.
    Failed(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Rejected messages on their way to [`Exchange::Dead`]. At most as many as the prefetch allows.
struct Graveyard {
    outlet: mpsc::UnboundedSender<(Tag, Settlement)>,
    settlements: mpsc::UnboundedReceiver<(Tag, Settlement)>,
    open: HashMap<Tag, Outgoing>,
    /// Those to be sent again, the earliest first.
    paused: VecDeque<(Instant, Tag)>,
}

impl Graveyard {
    fn new() -> Self {
        let (outlet, settlements) = mpsc::unbounded_channel();
        Self { outlet, settlements, open: HashMap::new(), paused: VecDeque::new() }
    }

    fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    fn bury(&mut self, tag: Tag, outgoing: Outgoing, postings: &mpsc::UnboundedSender<Posting>) {
        self.open.insert(tag, outgoing);
        self.send(tag, postings);
    }

    fn send(&self, tag: Tag, postings: &mpsc::UnboundedSender<Posting>) {
        let Some(outgoing) = self.open.get(&tag).cloned() else { return };
        let receipt = Receipt::new(self.outlet.clone(), tag);
        // If the bus ends, the receipt says that nobody knows.
        let _ = postings.send(Posting { outgoing, receipt, since: Instant::now() });
    }

    /// Waits until messages are safe in their grave. Giving up the wait loses nothing.
    async fn buried(&mut self) -> Option<Vec<Tag>> {
        let first = self.settlements.recv().await?;
        let mut buried = Vec::new();
        let mut next = Some(first);
        while let Some((tag, settlement)) = next {
            match settlement {
                Settlement::Rejected | Settlement::Unknown => {
                    self.paused.push_back((Instant::now() + PAUSE, tag));
                }
                Settlement::Confirmed | Settlement::Unroutable => {
                    if let Some(Outgoing { message, .. }) = self.open.remove(&tag)
                        && settlement == Settlement::Unroutable
                    {
                        let reason = message.death.map(|death| death.reason);
                        tracing::warn!(id = %message.id, kind = %message.kind, reason,
                            "a message died and no queue keeps dead letters; it is dropped");
                    }
                    buried.push(tag);
                }
            }
            next = self.settlements.try_recv().ok();
        }
        Some(buried)
    }

    fn next_try(&self) -> Option<Instant> {
        self.paused.front().map(|(at, _)| *at)
    }

    fn send_again(&mut self, postings: &mpsc::UnboundedSender<Posting>) {
        let now = Instant::now();
        while let Some((at, tag)) = self.paused.front().copied()
            && at <= now
        {
            self.paused.pop_front();
            self.send(tag, postings);
        }
    }
}
