//! Messages that are published elsewhere before they are acknowledged.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Tag;
use crate::bus::rabbitmq::publisher::{Posting, Postings};
use crate::ports::bus::{Exchange, Outgoing, Receipt, Settlement};

/// How long a message that was not taken waits before it is sent again.
const PAUSE: Duration = Duration::from_millis(100);

/// Messages on their way to where they go from here: dead letters, and members of bundles that go on
/// alone. At most as many as the prefetch allows deliveries.
pub struct Forwards {
    postings: Postings,
    outlet: mpsc::UnboundedSender<(u64, Settlement)>,
    settlements: mpsc::UnboundedReceiver<(u64, Settlement)>,
    sent_ever: u64,
    open: HashMap<u64, (Tag, Outgoing)>,
    /// Those to be sent again, the earliest first.
    paused: VecDeque<(Instant, u64)>,
}

impl Forwards {
    /// Nothing on its way to `postings` yet.
    pub fn new(postings: Postings) -> Self {
        let (outlet, settlements) = mpsc::unbounded_channel();
        let (open, paused) = (HashMap::new(), VecDeque::new());
        Self { postings, outlet, settlements, sent_ever: 0, open, paused }
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Sends a message that came with the delivery `tag`.
    pub fn send(&mut self, tag: Tag, outgoing: Outgoing) {
        self.sent_ever += 1;
        self.open.insert(self.sent_ever, (tag, outgoing));
        self.publish(self.sent_ever);
    }

    fn publish(&self, number: u64) {
        let Some((_, outgoing)) = self.open.get(&number) else { return };
        let (outgoing, since) = (outgoing.clone(), Instant::now());
        let receipt = Receipt::new(self.outlet.clone(), number);
        // If the bus ends, the receipt says that nobody knows.
        let _ = self.postings.send(vec![Posting { outgoing, receipt, since, together: false }]);
    }

    /// Waits until messages are safe where they went, and tells with which deliveries they came.
    /// Giving up the wait loses nothing.
    pub async fn arrived(&mut self) -> Option<Vec<Tag>> {
        let first = self.settlements.recv().await?;
        let mut arrived = Vec::new();
        let mut next = Some(first);
        while let Some((number, settlement)) = next {
            match settlement {
                Settlement::Unroutable if !self.is_dead_letter(number) => {
                    if let Some((tag, outgoing)) = self.open.remove(&number) {
                        tell_lost(&outgoing);
                        arrived.push(tag);
                    }
                }
                Settlement::Rejected | Settlement::Unknown | Settlement::Unroutable => {
                    self.paused.push_back((Instant::now() + PAUSE, number));
                }
                Settlement::Confirmed => {
                    arrived.extend(self.open.remove(&number).map(|(tag, _)| tag));
                }
            }
            next = self.settlements.try_recv().ok();
        }
        Some(arrived)
    }

    /// Whether a message is one that died. Its queue is one that every installation has: where it is
    /// missing it will be there again.
    fn is_dead_letter(&self, number: u64) -> bool {
        self.open.get(&number).is_some_and(|(_, outgoing)| outgoing.exchange == Exchange::Dead)
    }

    /// When the next one is to be sent again.
    pub fn next_try(&self) -> Option<Instant> {
        self.paused.front().map(|(at, _)| *at)
    }

    /// Sends again whose time has come.
    pub fn send_again(&mut self) {
        let now = Instant::now();
        while let Some((at, number)) = self.paused.front().copied()
            && at <= now
        {
            self.paused.pop_front();
            self.publish(number);
        }
    }
}

fn tell_lost(Outgoing { message, .. }: &Outgoing) {
    let reason = message.death.as_ref().map(|death| &death.reason);
    tracing::warn!(id = %message.id, kind = %message.kind, reason,
        "a message goes where no queue takes it; it is dropped");
}
