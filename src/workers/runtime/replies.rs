//! Replies on their way: published, confirmed, and only then the commands acknowledged.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::contract::message::Outgoing;
use crate::failpoint;
use crate::ports::Clock;
use crate::ports::bus::{Bus, Delivery, Receipt, Settlement};
use crate::ports::spans::{Span, Spans, messages};

/// How long a reply that was not taken waits before it is sent again: long enough for a full queue
/// to shrink, short against the time-outs of steps.
const PAUSE: Duration = Duration::from_millis(100);

/// How often a reply is sent to a queue that does not exist. Its reader may be declaring it just
/// now; after that the command goes back, to be answered when it is delivered again.
const UNROUTABLE_TRIES: u32 = 5;

/// Settlements taken at a time.
const BATCH: usize = 512;

/// Replies that are not confirmed yet, each with the command that it answers.
///
/// Bounded by the consumer's prefetch: each of them holds an unsettled delivery.
pub struct Replies {
    bus: Arc<dyn Bus>,
    spans: Spans,
    clock: Arc<dyn Clock>,
    open: HashMap<u64, Reply>,
    sent_ever: u64,
    outlet: mpsc::UnboundedSender<(u64, Settlement)>,
    settlements: mpsc::UnboundedReceiver<(u64, Settlement)>,
    /// Those to be sent again, the earliest first.
    paused: VecDeque<(Instant, Reply)>,
}

/// How it goes on with a reply, and the command that it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The reply is safe: the command is acknowledged.
    Acknowledge,
    /// The reply is sent again after a pause.
    SendAgain,
    /// Nobody reads the reply: the command goes back to its queue.
    GiveBack,
}

/// How it goes on with a reply that found no queue `unroutable` times before this settlement.
pub fn next(settlement: Settlement, unroutable: &mut u32) -> Next {
    match settlement {
        Settlement::Confirmed => Next::Acknowledge,
        Settlement::Unknown if seeded!(ReplyUnconfirmed) => Next::Acknowledge,
        Settlement::Rejected | Settlement::Unknown => Next::SendAgain,
        Settlement::Unroutable => {
            *unroutable += 1;
            if *unroutable == UNROUTABLE_TRIES { Next::GiveBack } else { Next::SendAgain }
        }
    }
}

struct Reply {
    command: Delivery,
    outgoing: Outgoing,
    /// The span in which it goes out; none where its trace is not recorded.
    span: Option<Span>,
    unroutable: u32,
}

impl Replies {
    /// Nothing on its way to `bus` yet.
    pub fn new(bus: Arc<dyn Bus>, spans: Spans, clock: Arc<dyn Clock>) -> Self {
        let (outlet, settlements) = mpsc::unbounded_channel();
        let (open, paused) = (HashMap::new(), VecDeque::new());
        Self { bus, spans, clock, open, sent_ever: 0, outlet, settlements, paused }
    }

    /// Whether every reply was confirmed.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.paused.is_empty()
    }

    /// Sends replies to commands, each of which is acknowledged once its reply is confirmed.
    pub fn send(&mut self, replies: impl IntoIterator<Item = (Delivery, Outgoing, Option<Span>)>) {
        let reply = |(command, outgoing, span)| Reply { command, outgoing, span, unroutable: 0 };
        self.publish(replies.into_iter().map(reply));
    }

    fn publish(&mut self, replies: impl Iterator<Item = Reply>) {
        let sent = replies.map(|reply| {
            self.sent_ever += 1;
            let outgoing = reply.outgoing.clone();
            self.open.insert(self.sent_ever, reply);
            (outgoing, Receipt::new(self.outlet.clone(), self.sent_ever))
        });
        let sent = sent.collect();
        failpoint::reach("replies", "before_publish");
        self.bus.publish_all(sent);
        failpoint::reach("replies", "after_publish");
    }

    /// Sends again whose pause is over.
    fn publish_again(&mut self) {
        let now = Instant::now();
        let due = self.paused.partition_point(|(due, _)| *due <= now);
        let replies: Vec<Reply> = self.paused.drain(..due).map(|(_, reply)| reply).collect();
        self.publish(replies.into_iter());
    }

    /// Waits until something happens to a reply, and goes on with it. Giving up the wait loses
    /// nothing.
    pub async fn proceed(&mut self) {
        let due = self.paused.front().map(|(due, _)| *due);
        let pause = async {
            match due {
                Some(due) => sleep_until(due).await,
                None => pending().await,
            }
        };
        let mut settled = Vec::new();
        tokio::select! {
            _ = self.settlements.recv_many(&mut settled, BATCH) => {}
            () = pause => self.publish_again(),
        }
        for (tag, settlement) in settled {
            if let Some(reply) = self.open.remove(&tag) {
                self.settle(reply, settlement);
            }
        }
    }

    fn settle(&mut self, mut reply: Reply, settlement: Settlement) {
        match next(settlement, &mut reply.unroutable) {
            Next::Acknowledge => {
                if let Some(span) = reply.span.take() {
                    let ended = messages::settled(span, settlement, self.clock.now());
                    ended.into_iter().for_each(|span| self.spans.record(span));
                }
                failpoint::reach("replies", "before_ack");
                reply.command.ack();
                failpoint::reach("replies", "after_ack");
            }
            Next::SendAgain => self.paused.push_back((Instant::now() + PAUSE, reply)),
            Next::GiveBack => {
                let queue = &reply.outgoing.routing_key;
                tracing::warn!(%queue, "nobody takes replies; the command goes back");
                drop(reply.command);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unimplemented)] // A bus that is only published to.
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use futures_util::future::BoxFuture;

    use super::*;
    use crate::contract::message::{Exchange, Message};
    use crate::ports::bus::{BusError, Deliveries, QueueDepth, QueueSpec, Settle, Verdict};
    use crate::ports::clock::SystemClock;
    use crate::saga::id::QueueName;

    /// A bus that rejects whatever it is given.
    #[derive(Default)]
    struct Full {
        rejected: AtomicU32,
    }

    impl Bus for Full {
        fn declare(&self, _: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>> {
            unimplemented!("nothing is declared")
        }

        fn publish(&self, _: Outgoing, receipt: Receipt) {
            self.rejected.fetch_add(1, Ordering::SeqCst);
            receipt.settle(Settlement::Rejected);
        }

        fn consume_before_others(
            &self,
            _: &QueueName,
            _: usize,
            _: i64,
        ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
            unimplemented!("nothing is consumed")
        }

        fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>> {
            unimplemented!("nobody asks")
        }
    }

    struct Unsettled;

    impl Settle for Unsettled {
        fn settle(self: Box<Self>, verdict: Verdict) {
            assert_eq!(verdict, Verdict::Requeue, "its reply is not safe");
        }
    }

    fn message() -> Message {
        Message::example("1")
    }

    #[test]
    fn a_command_is_acknowledged_once_its_reply_is_confirmed_and_not_before() {
        let mut unroutable = 0;
        for (settlement, expected) in [
            (Settlement::Rejected, Next::SendAgain),
            (Settlement::Unknown, Next::SendAgain),
            (Settlement::Confirmed, Next::Acknowledge),
        ] {
            assert_eq!(next(settlement, &mut unroutable), expected, "{settlement:?}");
        }
        for _ in 1..UNROUTABLE_TRIES {
            assert_eq!(next(Settlement::Unroutable, &mut unroutable), Next::SendAgain);
        }
        assert_eq!(next(Settlement::Unroutable, &mut unroutable), Next::GiveBack);
    }

    #[tokio::test]
    async fn a_rejected_reply_is_sent_again_after_a_pause() {
        let bus = Arc::new(Full::default());
        let clock = Arc::new(SystemClock);
        let mut replies = Replies::new(bus.clone(), Spans::default(), clock);
        let began = Instant::now();
        let (exchange, routing_key) = (Exchange::Default, "replies".to_owned());
        let command = Delivery::new(Arc::new(message()), 0, Box::new(Unsettled));
        let outgoing = Outgoing { exchange, routing_key, message: message() };
        replies.send([(command, outgoing, None)]);
        while bus.rejected.load(Ordering::SeqCst) < 3 {
            assert!(!replies.is_empty());
            replies.proceed().await;
        }
        assert!(began.elapsed() >= 2 * PAUSE);
    }
}
