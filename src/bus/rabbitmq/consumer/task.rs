//! The broker's side of a consumer.

use std::sync::Arc;

use futures_util::future::{FutureExt, try_join_all};
use futures_util::stream::StreamExt;
use lapin::Error;
use lapin::message::Delivery as Arrival;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicQosOptions, BasicRejectOptions};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::bundles::{Bundles, End};
use super::forwards::Forwards;
use super::shelf::{Arrived, Ending, Shelf};
use super::{Subscription, Tag, Word};
use crate::bus::rabbitmq::acks::Acks;
use crate::bus::rabbitmq::{bundle, stopped, topology, wire};
use crate::failpoint;
use crate::ports::bus::{DeadLetters, Death, Exchange, Message, Outgoing, Verdict};

/// Settlements sent at a time.
const BATCH: usize = 2_000;

/// From so many returns on, the messages of a bundle go on alone. One of them may be what kills its
/// worker, and the others must not die of it.
const SUSPECT: u32 = 2;

/// The broker's side of a consumer.
pub struct Task {
    ending: Ending,
    subscription: Subscription,
    heard: mpsc::UnboundedReceiver<Word>,
    acks: Acks,
    bundles: Bundles,
    /// Messages delivered by the broker and not settled.
    unsettled: u64,
    forwards: Forwards,
}

/// Deliveries that the broker has to be told of.
#[derive(Default)]
struct Ended {
    acked: Vec<Tag>,
    returned: Vec<Tag>,
}

impl Task {
    /// A consumer that puts what arrives on `shelf`, and hears what becomes of it.
    pub fn new(
        subscription: Subscription,
        shelf: Arc<Shelf>,
        heard: mpsc::UnboundedReceiver<Word>,
    ) -> Self {
        Self {
            ending: Ending(shelf),
            forwards: Forwards::new(subscription.postings.clone()),
            subscription,
            heard,
            acks: Acks::default(),
            bundles: Bundles::default(),
            unsettled: 0,
        }
    }

    /// Runs until the consumer is over, or nobody takes its deliveries any more.
    pub async fn run(mut self) {
        match self.deliver().await {
            Ok(()) => {}
            Err(Over::Cancelled) => {
                tracing::warn!(queue = %self.subscription.queue, "the broker ended a consumer");
            }
            Err(Over::Failed(error)) => {
                tracing::warn!(queue = %self.subscription.queue, %error, "a consumer is over");
            }
        }
        drop(self.ending);
        topology::close(self.subscription.channel).await;
    }

    /// Delivers and settles until the consumer is over, or was left and has nothing to settle.
    async fn deliver(&mut self) -> Result<(), Over> {
        let mut heard = Vec::with_capacity(BATCH);
        let (mut left, mut all_settled) = (false, false);
        let mut stopping = self.subscription.stopping.clone();
        while !(all_settled && self.forwards.is_empty()) {
            let next_try = self.forwards.next_try();
            tokio::select! {
                arrival = self.subscription.arrivals.next(), if !left => self.arrive(arrival)?,
                count = self.heard.recv_many(&mut heard, BATCH), if !all_settled => {
                    all_settled = count == 0;
                    left |= self.obey(&mut heard).await?;
                }
                Some(arrived) = self.forwards.arrived() => {
                    let mut ended = Ended::default();
                    arrived.into_iter().for_each(|tag| self.settle(tag, End::Ack, &mut ended));
                    self.tell_broker(ended).await?;
                }
                () = sleep_until(next_try.unwrap_or_else(Instant::now)), if next_try.is_some() => {
                    self.forwards.send_again();
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
    fn arrive(&mut self, first: Option<Result<Arrival, Error>>) -> Result<(), Over> {
        let mut arrived = Vec::new();
        let mut next = Some(first);
        while let Some(arrival) = next {
            let arrival = arrival.ok_or(Over::Cancelled)??;
            let tag = arrival.delivery_tag;
            match bundle::unpack(wire::incoming(arrival)) {
                Ok(messages) => self.open_bundle(tag, messages, &mut arrived),
                Err(alone) => arrived.push(shelved(tag, *alone)),
            }
            next = self.subscription.arrivals.next().now_or_never();
        }
        self.unsettled += arrived.len() as u64;
        self.ending.0.stock().arrived.extend(arrived);
        self.ending.0.bell.wake();
        Ok(())
    }

    /// Takes a bundle apart, or sends its messages on alone if it came too often.
    fn open_bundle(&mut self, tag: Tag, messages: Vec<wire::Incoming>, arrived: &mut Vec<Arrived>) {
        self.bundles.arrived(tag, messages.len());
        let Subscription { queue, dead_letters, .. } = &self.subscription;
        let returns = messages.first().map_or(0, |message| message.redeliveries);
        if *dead_letters == DeadLetters::Dropped || returns < SUSPECT {
            return arrived.extend(messages.into_iter().map(|message| shelved(tag, message)));
        }
        tracing::warn!(%queue, returns, messages = messages.len(),
            "a bundle comes again and again; its messages go on alone");
        self.unsettled += messages.len() as u64;
        for wire::Incoming { message, routing_key, .. } in messages {
            self.forwards
                .send(tag, Outgoing { exchange: Exchange::Commands, routing_key, message });
        }
    }

    /// Does what it is told, and says whether the deliveries were dropped.
    async fn obey(&mut self, heard: &mut Vec<Word>) -> Result<bool, Over> {
        let (mut ended, mut left, mut counters) = (Ended::default(), false, Vec::new());
        for word in heard.drain(..) {
            match word {
                Word::Settled(tag, Verdict::Ack, ..) => self.settle(tag, End::Ack, &mut ended),
                Word::Settled(tag, Verdict::Requeue, ..) => {
                    self.settle(tag, End::Requeue, &mut ended);
                }
                Word::Settled(tag, Verdict::Reject(reason), message, key) => {
                    if !self.reject(tag, reason, &message, key) {
                        self.settle(tag, End::Ack, &mut ended);
                    }
                }
                Word::Leave => left = true,
                Word::Count(counter) => counters.push(counter),
            }
        }
        self.tell_broker(ended).await?;
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

    /// A message that came with the delivery `tag` is settled, and with it perhaps the delivery.
    fn settle(&mut self, tag: Tag, end: End, ended: &mut Ended) {
        self.unsettled -= 1;
        match self.bundles.settle(tag, end) {
            Some(End::Ack) => ended.acked.push(tag),
            Some(End::Requeue) => ended.returned.push(tag),
            None => {}
        }
    }

    /// Sends acknowledgements, and gives back what has to come again.
    async fn tell_broker(&mut self, ended: Ended) -> Result<(), Over> {
        let Ended { mut acked, mut returned } = ended;
        let channel = &self.subscription.channel;
        // In their order, in which the queue keeps them.
        returned.sort_unstable();
        let requeue = BasicRejectOptions { requeue: true };
        try_join_all(returned.iter().map(|tag| channel.basic_reject(*tag, requeue))).await?;
        let plan = self.acks.settle(&mut acked, &returned);
        let multiple = plan.up_to.into_iter().map(|tag| (tag, true));
        let acks = multiple.chain(plan.single.into_iter().map(|tag| (tag, false)));
        let sent = acks.map(|(tag, multiple)| channel.basic_ack(tag, BasicAckOptions { multiple }));
        failpoint::reach("rabbitmq", "before_ack");
        try_join_all(sent).await?;
        failpoint::reach("rabbitmq", "after_ack");
        Ok(())
    }

    /// Makes a rejected message a dead letter, unless nobody keeps those of its queue.
    fn reject(&mut self, tag: Tag, reason: String, message: &Message, routing_key: String) -> bool {
        let Subscription { queue, dead_letters, .. } = &self.subscription;
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
        self.forwards.send(tag, outgoing);
        true
    }

    /// Takes nothing more from the broker, and gives back what nobody took from here.
    async fn leave(&mut self) -> Result<(), Over> {
        let Subscription { channel, arrivals, .. } = &self.subscription;
        channel.basic_cancel(arrivals.tag(), BasicCancelOptions::default()).await?;
        let mut ended = Ended::default();
        let untaken: Vec<Arrived> = self.ending.0.stock().arrived.drain(..).collect();
        untaken.into_iter().for_each(|arrived| self.settle(arrived.tag, End::Requeue, &mut ended));
        while let Some(arrival) = self.subscription.arrivals.next().await {
            ended.returned.push(arrival?.delivery_tag);
        }
        self.tell_broker(ended).await
    }

    /// Shelves all that the broker sent before this call.
    async fn catch_up(&mut self, left: bool) -> Result<(), Over> {
        // Changes nothing; its answer comes after all that the broker sent before.
        let Subscription { channel, window, arrivals, .. } = &mut self.subscription;
        channel.basic_qos(*window, BasicQosOptions::default()).await?;
        match arrivals.next().now_or_never() {
            Some(arrival) if !left => self.arrive(arrival),
            _ => Ok(()),
        }
    }
}

fn shelved(tag: Tag, incoming: wire::Incoming) -> Arrived {
    let wire::Incoming { message, routing_key, redeliveries } = incoming;
    Arrived { tag, redeliveries, message: Arc::new(message), routing_key }
}

/// Why a consumer is over that nobody left.
enum Over {
    /// The broker ended it: its queue is deleted or has no leader.
    Cancelled,
    /// Its channel or connection is gone.
    Failed(Error),
}

impl From<Error> for Over {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
