//! Messages out: sent without waiting for each other, confirmed in any order.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::task::noop_waker;
use lapin::options::ConfirmSelectOptions;
use lapin::{Channel, Confirmation, Connection, Error};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};

use super::bundle::{Bundling, Parcel, pack};
use super::connection::{Change, Dialler, Line, Purpose, close};
use super::in_flight::{Confirmed, InFlight, Number};
use super::refusals::Refusals;
use super::{stopped, wire};
use crate::failpoint;
use crate::ports::bus::{Outgoing, Receipt, Settlement};

/// Messages sent and not confirmed. The broker needs some hundreds at a time for its full
/// throughput; beyond that they only wait there instead of here.
const IN_FLIGHT: usize = 1_000;

/// How long a message may wait for its confirmation, from the moment it was handed over. Then
/// nobody knows what became of it.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// How long the broker may take to open a channel. Messages wait meanwhile.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// How often overdue messages are looked for.
const LOOK: Duration = Duration::from_millis(250);

/// Handings over taken at a time.
const BATCH: usize = 1_000;

/// So many unconfirmed messages that nobody waits for any more make room by a new connection.
/// Some queue may be stuck, and must not keep messages from the others for ever.
const STUCK: usize = IN_FLIGHT / 2;

/// How long a broker may confirm nothing at all while there is something that nobody waits for any
/// more. It may be cut off from the others of its cluster, which then have what it lacks: a majority.
const SILENT: Duration = Duration::from_secs(20);

/// A message to be published.
pub struct Posting {
    /// The message.
    pub outgoing: Outgoing,
    /// Who wants to know what became of it.
    pub receipt: Receipt,
    /// When it was handed over.
    pub since: Instant,
    /// Whether it may travel with others that are handed over with it.
    pub together: bool,
}

/// Where messages are handed over.
pub type Postings = mpsc::UnboundedSender<Vec<Posting>>;

/// Publishes what is handed over, over one connection after the other.
pub struct Publisher {
    dialler: Dialler,
    bundling: Bundling,
    postings: mpsc::UnboundedReceiver<Vec<Posting>>,
    /// Handed over and not sent. Each message has a receipt, which its publisher bounds.
    waiting: VecDeque<Parcel>,
    in_flight: InFlight<Waiting>,
    refusals: Refusals,
    blocked: bool,
    stopping: watch::Receiver<bool>,
}

/// Those who wait for a confirmation.
#[derive(Debug)]
struct Waiting {
    receipts: Vec<Receipt>,
    since: Instant,
}

impl Waiting {
    fn settle(self, settlement: Settlement) {
        self.receipts.into_iter().for_each(|receipt| receipt.settle(settlement));
    }
}

type Outcome = (Number, Result<Confirmation, Error>);
type Confirms = FuturesUnordered<Pin<Box<dyn Future<Output = Outcome> + Send>>>;

impl Publisher {
    /// A publisher of `postings` whose connections `dialler` makes.
    pub fn new(
        dialler: Dialler,
        postings: mpsc::UnboundedReceiver<Vec<Posting>>,
        bundling: Bundling,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (waiting, in_flight, refusals) = Default::default();
        Self { dialler, bundling, postings, waiting, in_flight, refusals, blocked: false, stopping }
    }

    /// Publishes over `line`, and over others after it, until told to stop. What is not confirmed by
    /// then is unknown: whoever can wait for it stops the bus later.
    pub async fn run(mut self, mut line: Line) {
        loop {
            let Some(cause) = self.publish_over(line).await else { return };
            self.in_flight.abandon().into_iter().for_each(unknown);
            self.refusals.begin_anew();
            self.blocked = false;
            let Some(next) = self.wait_for_line(&cause).await else { return };
            line = next;
        }
    }

    /// Waits for a new connection, and lets overdue messages go meanwhile.
    async fn wait_for_line(&mut self, cause: &str) -> Option<Line> {
        let Self { dialler, bundling, postings, waiting, stopping, .. } = self;
        let mut dialling = Box::pin(dialler.dial_again(cause));
        let mut look = looks();
        loop {
            tokio::select! {
                line = &mut dialling => return Some(line),
                handed = postings.recv() => waiting.extend(pack(handed?, bundling)),
                () = stopped(stopping) => return None,
                _ = look.tick() => give_up_waiting(waiting),
            }
        }
    }

    /// Publishes until the connection is lost and says why; none once told to stop.
    async fn publish_over(&mut self, mut line: Line) -> Option<String> {
        let channel = match timeout(OPEN_WITHIN, open(&line.connection)).await {
            Ok(Ok(channel)) => Arc::new(channel),
            Ok(Err(error)) => return Some(error.to_string()),
            Err(_) => return Some("the broker opens no channel".to_owned()),
        };
        let mut confirms = Confirms::new();
        let mut arrived = Vec::with_capacity(BATCH);
        let mut look = looks();
        let mut stopping = self.stopping.clone();
        let mut confirmed = Instant::now();
        loop {
            self.send_waiting(&channel, &mut confirms);
            let nothing_waits = self.waiting.is_empty() && self.in_flight.len() == 0;
            let idle = nothing_waits && !self.refusals.are_there();
            tokio::select! {
                Some(outcome) = confirms.next() => {
                    if let Err(error) = self.settle(outcome, &mut confirms) {
                        return Some(error.to_string());
                    }
                    confirmed = Instant::now();
                }
                count = self.postings.recv_many(&mut arrived, BATCH) => {
                    if count == 0 {
                        return None;
                    }
                    for handed in arrived.drain(..) {
                        self.waiting.extend(pack(handed, &self.bundling));
                    }
                }
                () = stopped(&mut stopping) => {
                    close(&line.connection).await;
                    return None;
                }
                change = line.change() => match change {
                    Change::Lost(cause) => return Some(cause),
                    Change::Blocked(reason) => self.block(Some(reason)),
                    Change::Unblocked => self.block(None),
                },
                _ = look.tick(), if !idle => {
                    give_up_waiting(&mut self.waiting);
                    let overdue = self.in_flight.give_up(|waiting| is_overdue(waiting.since));
                    overdue.into_iter().for_each(unknown);
                    let cause = self.reason_to_leave(confirmed.elapsed());
                    if cause.is_some() {
                        return cause;
                    }
                }
            }
        }
    }

    /// Why another connection may do better, so long after the last confirmation. A broker that takes
    /// no messages at all would take none over that one either.
    fn reason_to_leave(&mut self, silence: Duration) -> Option<String> {
        if self.blocked {
            return None;
        }
        if is_stuck(self.in_flight.given_up(), silence) {
            return Some("the broker confirms nothing".to_owned());
        }
        let key = self.refusals.want_another_connection(Instant::now())?;
        Some(format!("the broker refuses everything for {key}"))
    }

    fn block(&mut self, reason: Option<String>) {
        self.blocked = reason.is_some();
        match &reason {
            Some(reason) => tracing::warn!(reason, "the broker takes no messages"),
            None => tracing::info!("the broker takes messages again"),
        }
        let trouble = reason.map(|reason| format!("the broker takes no messages: {reason}"));
        self.dialler.health.note(Purpose::Publishing, trouble);
    }

    fn send_waiting(&mut self, channel: &Arc<Channel>, confirms: &mut Confirms) {
        while !self.blocked
            && self.in_flight.len() < IN_FLIGHT
            && let Some(parcel) = self.waiting.pop_front()
        {
            self.send(parcel, channel, confirms);
        }
    }

    fn send(&mut self, parcel: Parcel, channel: &Arc<Channel>, confirms: &mut Confirms) {
        let Parcel { outgoing, receipts, since } = parcel;
        let waiting = Waiting { receipts, since };
        let envelope = match wire::envelope(&outgoing) {
            Ok(envelope) => envelope,
            Err(error) => {
                let (id, key) = (&outgoing.message.id, &outgoing.routing_key);
                tracing::error!(id, key, %error, "a message can't be sent");
                return waiting.settle(Settlement::Unroutable);
            }
        };
        let outgoing = Arc::new(outgoing);
        let number = self.in_flight.sent(Arc::clone(&outgoing), waiting);
        let channel = Arc::clone(channel);
        let mut confirm: Pin<Box<dyn Future<Output = Outcome> + Send>> = Box::pin(async move {
            let wire::Envelope { exchange, routing_key, options, properties } = envelope;
            let body = &outgoing.message.body;
            let sent = channel.basic_publish(exchange, routing_key, options, body, properties);
            match sent.await {
                Ok(confirm) => (number, confirm.await),
                Err(error) => (number, Err(error)),
            }
        });
        failpoint::reach("rabbitmq", "before_publish");
        // The first poll hands the message to the library: so they go out in order.
        match confirm.as_mut().poll(&mut Context::from_waker(&noop_waker())) {
            Poll::Ready(outcome) => {
                confirms.push(Box::pin(std::future::ready(outcome)));
            }
            Poll::Pending => confirms.push(confirm),
        }
        failpoint::reach("rabbitmq", "after_publish");
    }

    /// Settles all that is confirmed and decided by now.
    fn settle(&mut self, first: Outcome, confirms: &mut Confirms) -> Result<(), Error> {
        let mut failure = None;
        let mut seen = Vec::new();
        let mut next = Some(first);
        while let Some((number, outcome)) = next {
            match outcome {
                Ok(confirmation) => {
                    let taken = confirmation.is_ack();
                    self.note(number, taken);
                    let returned = confirmation.take_message();
                    let returned = returned.map(|message| wire::returned(&message));
                    seen.push(Confirmed { number, taken, returned });
                }
                // Whatever waits is settled when the connection is given up.
                Err(error) => failure = Some(error),
            }
            next = confirms.next().now_or_never().flatten();
        }
        failpoint::reach("rabbitmq", "before_confirm");
        for (waiting, settlement) in self.in_flight.confirmed(seen) {
            waiting.settle(settlement);
        }
        failpoint::reach("rabbitmq", "after_confirm");
        failure.map_or(Ok(()), Err)
    }

    /// Notes that a message was taken or refused, where that makes a difference.
    fn note(&mut self, number: Number, taken: bool) {
        if (!taken || self.refusals.are_there())
            && let Some(outgoing) = self.in_flight.outgoing(number)
        {
            self.refusals.heard(outgoing, taken, Instant::now());
        }
    }
}

async fn open(connection: &Connection) -> Result<Channel, Error> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

fn looks() -> Interval {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

/// Whether another connection may do better, with so many messages that nobody waits for any more and
/// so long after the last confirmation.
fn is_stuck(given_up: usize, silence: Duration) -> bool {
    given_up >= STUCK || (given_up > 0 && silence >= SILENT)
}

fn is_overdue(since: Instant) -> bool {
    since.elapsed() >= CONFIRM_WITHIN
}

/// Lets go what could not be sent in time, the oldest first.
fn give_up_waiting(waiting: &mut VecDeque<Parcel>) {
    while waiting.front().is_some_and(|parcel| is_overdue(parcel.since)) {
        for receipt in waiting.pop_front().into_iter().flat_map(|parcel| parcel.receipts) {
            receipt.settle(Settlement::Unknown);
        }
    }
}

fn unknown(waiting: Waiting) {
    waiting.settle(Settlement::Unknown);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_given_up_that_confirms_too_little_or_nothing_for_long() {
        assert!(is_stuck(STUCK, Duration::ZERO));
        assert!(is_stuck(1, SILENT));
        assert!(!is_stuck(STUCK - 1, Duration::ZERO), "the others may be confirmed yet");
        assert!(!is_stuck(0, SILENT), "nothing was sent");
    }
}
