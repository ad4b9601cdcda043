//! Requeued dead letters on their way: what was decided is published, and what came of it is recorded.
//!
//! Every node does this, whoever took the decision: the store hands a letter to one node at a time, and
//! to another one if nothing was heard of it. Should two of them publish the same message, its id and
//! key are the same, and workers and sagas know it again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::{MissedTickBehavior, interval};

use super::blocking::Blocking;
use crate::contract::letter::send_again;
use crate::failpoint;
use crate::ports::Clock;
use crate::ports::bus::{Bus, Outgoing, Receipt, Settlement};
use crate::ports::letters::{DecisionId, Due, Letters, Outcome};

/// How often the store is asked for letters that nobody here was told of. A node that dies with a
/// letter in hand costs it this and [`AGAIN_AFTER_MS`].
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// After how long another node may send a letter of which nothing was heard: longer than a bus takes
/// to say that it does not know.
const AGAIN_AFTER_MS: u64 = 30_000;

/// Letters taken at a time. They come with their bodies.
const BATCH: usize = 20;

/// Messages on their way at a time.
const IN_FLIGHT: usize = 200;

/// Publishes what was requeued, as soon as `wanted` says so or a moment later, for as long as its
/// thread lives.
pub(super) async fn send_requeued(
    letters: Arc<dyn Letters>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    wanted: Arc<Notify>,
) {
    let (receipts, mut settled) = mpsc::unbounded_channel();
    let mut desk = Desk {
        letters,
        bus,
        clock,
        blocking: Blocking::new(1),
        receipts,
        in_flight: BTreeMap::new(),
        next_tag: 0,
    };
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Vec::new();
    loop {
        tokio::select! {
            _ = wanted.notified() => desk.send_due().await,
            _ = look.tick() => {
                desk.send_due().await;
                desk.count_open().await;
            }
            _ = settled.recv_many(&mut heard, IN_FLIGHT) => {
                failpoint::reach("requeue", "before_confirm");
                desk.record(heard.drain(..)).await;
                failpoint::reach("requeue", "after_confirm");
                desk.count_open().await;
            }
        }
    }
}

/// What came of a message, as far as that is decided by what the bus says of it; none where nobody
/// knows, and it has to be sent once more.
fn outcome(settlement: Settlement) -> Option<Outcome> {
    match settlement {
        Settlement::Confirmed => Some(Outcome::Done),
        Settlement::Unroutable => Some(Outcome::Unroutable),
        Settlement::Rejected => Some(Outcome::QueueFull),
        Settlement::Unknown => None,
    }
}

struct Desk {
    letters: Arc<dyn Letters>,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    blocking: Blocking,
    receipts: mpsc::UnboundedSender<(u64, Settlement)>,
    /// What was published from here and not heard of yet.
    in_flight: BTreeMap<u64, DecisionId>,
    next_tag: u64,
}

impl Desk {
    /// Takes what is due, and publishes it.
    async fn send_due(&mut self) {
        loop {
            let room = BATCH.min(IN_FLIGHT.saturating_sub(self.in_flight.len()));
            if room == 0 {
                return;
            }
            let (letters, now) = (Arc::clone(&self.letters), self.clock.now());
            let take = move || letters.take_due(now, now.plus_millis(AGAIN_AFTER_MS), room as u32);
            let due = match self.blocking.run(take).await {
                Ok(Ok(due)) => due,
                failed => {
                    tracing::warn!(?failed, "requeued letters can't be read; trying again");
                    return;
                }
            };
            let last = due.len() < room;
            let hopeless: Vec<_> = due.into_iter().filter_map(|due| self.send(due)).collect();
            self.store(hopeless).await;
            if last {
                return;
            }
        }
    }

    /// Publishes a letter's message, unless it is on its way from here. Tells what came of it where
    /// that is clear at once.
    fn send(&mut self, due: Due) -> Option<(DecisionId, Outcome)> {
        if self.in_flight.values().any(|decision| *decision == due.decision) {
            return None;
        }
        match send_again(&due.queue, &due.routing_key, &due.headers, &due.body) {
            Ok(outgoing) => {
                self.publish(due.decision, outgoing);
                None
            }
            Err(error) => {
                tracing::warn!(decision = %due.decision, %error, "a dead letter can't be sent again");
                Some((due.decision, Outcome::NotSendable))
            }
        }
    }

    fn publish(&mut self, decision: DecisionId, outgoing: Outgoing) {
        tracing::info!(messageId = %outgoing.message.id, routingKey = %outgoing.routing_key, "a dead letter is sent again");
        let tag = self.next_tag;
        self.next_tag += 1;
        self.in_flight.insert(tag, decision);
        failpoint::reach("requeue", "before_publish");
        self.bus.publish(outgoing, Receipt::new(self.receipts.clone(), tag));
        failpoint::reach("requeue", "after_publish");
    }

    /// Records what came of messages. Of what nobody knows nothing is recorded: it becomes due again.
    async fn record(&mut self, heard: impl Iterator<Item = (u64, Settlement)>) {
        let mut known = Vec::new();
        for (tag, settlement) in heard {
            let Some(decision) = self.in_flight.remove(&tag) else { continue };
            match outcome(settlement) {
                Some(outcome) => known.push((decision, outcome)),
                None => {
                    tracing::warn!(%decision, "nobody knows whether a dead letter was sent; it is sent once more")
                }
            }
        }
        self.store(known).await;
    }

    /// Should this fail, the messages are sent once more.
    async fn store(&self, outcomes: Vec<(DecisionId, Outcome)>) {
        if outcomes.is_empty() {
            return;
        }
        let letters = Arc::clone(&self.letters);
        match self.blocking.run(move || letters.settle(&outcomes)).await {
            Ok(Ok(())) => {}
            failed => {
                tracing::error!(
                    ?failed,
                    "what came of requeued letters can't be recorded; they are sent once more"
                );
            }
        }
    }

    /// Shows how many letters wait for somebody.
    async fn count_open(&self) {
        let letters = Arc::clone(&self.letters);
        match self.blocking.run(move || letters.open_letters()).await {
            Ok(Ok(open)) => metrics::gauge!("skald_dead_letters_open").set(open as f64),
            failed => tracing::warn!(?failed, "open dead letters can't be counted"),
        }
    }
}
