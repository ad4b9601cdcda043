//! The publisher: lets out what is committed, and keeps the marks.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::blocking::Blocking;
use super::journal::Shared;
use super::panic::AbortOnPanic;
use super::registry::{CommandLost, Registry};
use super::sendings::Sendings;
use super::shard::Halt;
use crate::contract;
use crate::contract::trace::{saga_span, step_span, trace_id};
use crate::failpoint;
use crate::journal::feed::{Feed, PAGE};
use crate::ports::bus::{Bus, Message, Outgoing, Receipt, Settlement};
use crate::ports::ledger::{Entry, HistoryRow, Ledger, Marks, Seq, Shard, ShardState};
use crate::saga::catalogue::Catalogue;
use crate::saga::effect::{self, IdempotencyKey};
use crate::saga::event::{Recorded, Setback};
use crate::saga::id::{QueueName, Sequence};
use crate::saga::state::Saga;

/// How long to wait before the history is read for what could not be published. A full queue does
/// not empty faster for being asked more often.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// How often a command that reaches no queue is tried, before its saga is told. With
/// [`READ_AGAIN_AFTER`] it is two seconds: a worker that declares its queue at its start makes it.
const UNROUTABLE_TRIES: u32 = 20;

/// Sends a shard's commands and events.
pub struct Publisher {
    shard: Shard,
    reply_to: QueueName,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    blocking: Blocking,
    catalogue: Catalogue,
    registry: Option<Addr<Registry>>,
    shared: Rc<Shared>,
    commands: Feed,
    events: Feed,
    /// Commands that reached no queue, and how often they were tried. At most as many as are
    /// outstanding, which admission bounds.
    unroutable: BTreeMap<Seq, u32>,
    /// Whether a message failed since the last tick: then pages wait for the next one.
    failing: bool,
    reading: bool,
    /// Messages that go out together, at the end of what is being handled.
    outbox: Vec<(Outgoing, Receipt)>,
    sendings: Sendings,
    receipts: mpsc::UnboundedSender<(u64, Settlement)>,
    settled: Option<mpsc::UnboundedReceiver<(u64, Settlement)>>,
    /// Whether the history is read no more: what was not sent is left to the next owner.
    resting: bool,
    /// Whoever waits until nothing is on its way.
    at_rest: Option<oneshot::Sender<()>>,
    _guard: AbortOnPanic,
}

/// These entries are committed; the numbers are the seqs of their first events.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Committed(pub Vec<(Seq, Entry)>);

/// Send the open command of `saga` that was asked at `sequence` once more. Costs no attempt and
/// moves no mark.
#[derive(Message)]
#[rtype(result = "()")]
pub struct AskAgain {
    /// The saga.
    pub saga: Saga,
    /// The event that asked.
    pub sequence: Sequence,
}

/// Where to report commands that were lost; sent once, at the start.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Introduce(pub Addr<Registry>);

/// The outcome of a transaction was lost: more may be committed than was told.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Doubt;

/// Let go out what was committed, and nothing again; the sender is dropped once it is known what
/// became of all that is on its way.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Rest(pub oneshot::Sender<()>);

/// Receipts came in.
#[derive(Message)]
#[rtype(result = "()")]
struct Receipts(Vec<(u64, Settlement)>);

/// The tag of receipts that nobody waits for.
const UNTRACKED: u64 = u64::MAX;

/// Tags tell commands from events by their lowest bit.
fn tag(seq: Seq, kind: Kind) -> u64 {
    seq << 1 | u64::from(kind == Kind::Event)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Event,
}

impl Publisher {
    /// A publisher that continues where the shard's marks are.
    pub fn new(
        shard: Shard,
        state: &ShardState,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        catalogue: Catalogue,
        shared: Rc<Shared>,
        sendings: Sendings,
    ) -> Self {
        let (receipts, settled) = mpsc::unbounded_channel();
        shared.marks.set(state.marks);
        Self {
            shard,
            reply_to: contract::names::reply_queue(shard),
            bus,
            ledger,
            blocking: Blocking::new(1),
            catalogue,
            registry: None,
            shared,
            commands: Feed::resume(state.marks.commands, state.last_seq),
            events: Feed::resume(state.marks.events, state.last_seq),
            unroutable: BTreeMap::new(),
            failing: false,
            reading: false,
            outbox: Vec::new(),
            sendings,
            receipts,
            settled: Some(settled),
            resting: false,
            at_rest: None,
            _guard: AbortOnPanic("publisher"),
        }
    }

    fn committed(&mut self, first_seq: Seq, entry: &Entry) {
        for (recorded, seq) in entry.events.iter().zip(first_seq..) {
            let now = self.commands.committed(seq);
            if now {
                self.send_command(seq, &entry.saga, recorded);
            }
            let now = self.events.committed(seq);
            if now {
                self.send_event(seq, &entry.saga, recorded);
            }
        }
    }

    /// Publishes the command of a row, if it has one whose outcome is still of interest.
    fn send_command(&mut self, seq: Seq, saga: &Saga, recorded: &Recorded) {
        let open = effect::is_open(saga, recorded.sequence);
        match open.then(|| self.render_command(saga, recorded)).flatten() {
            Some((outgoing, key)) => {
                self.commands.published(seq);
                let tag = tag(seq, Kind::Command);
                self.sendings.begin(tag, &outgoing, || step_span(&key));
                self.publish(outgoing, tag);
            }
            None => self.commands.nothing_to_send(seq),
        }
    }

    fn send_event(&mut self, seq: Seq, saga: &Saga, recorded: &Recorded) {
        match self.render_event(saga, recorded) {
            Some(outgoing) => {
                self.events.published(seq);
                let tag = tag(seq, Kind::Event);
                self.sendings.begin(tag, &outgoing, || saga_span(saga.id));
                self.publish(outgoing, tag);
            }
            None => self.events.nothing_to_send(seq),
        }
    }

    fn render_command(
        &self,
        saga: &Saga,
        recorded: &Recorded,
    ) -> Option<(Outgoing, IdempotencyKey)> {
        let runnable = self.catalogue.get(&saga.birth.definition)?;
        let command = effect::command(&runnable.definition, saga, recorded)?;
        let outgoing = contract::command::write(runnable.script.as_ref(), &command, &self.reply_to)
            .inspect_err(|error| {
                tracing::error!(sagaId = %saga.id, step = %command.step.name, %error, "a command can't be written");
            })
            .ok()?;
        Some((outgoing, command.key))
    }

    fn render_event(&self, saga: &Saga, recorded: &Recorded) -> Option<Outgoing> {
        let runnable = self.catalogue.get(&saga.birth.definition)?;
        contract::event::write(runnable.script.as_ref(), saga, recorded)
            .inspect_err(|error| {
                tracing::error!(sagaId = %saga.id, sequence = recorded.sequence, %error, "an event can't be written");
            })
            .ok()?
    }

    fn publish(&mut self, outgoing: Outgoing, tag: u64) {
        let Message { id, kind, traceparent, .. } = &outgoing.message;
        let trace_id = traceparent.as_deref().and_then(trace_id);
        tracing::debug!(messageId = %id, kind, traceId = trace_id, "a message goes out");
        self.outbox.push((outgoing, Receipt::new(self.receipts.clone(), tag)));
    }

    fn let_out(&mut self) {
        if !self.outbox.is_empty() {
            failpoint::reach("publisher", "before_publish");
            self.bus.publish_all(std::mem::take(&mut self.outbox));
            failpoint::reach("publisher", "after_publish");
        }
    }

    fn settle(&mut self, tag: u64, settlement: Settlement) {
        if tag == UNTRACKED {
            return;
        }
        let seq = tag >> 1;
        if tag & 1 == 1 {
            // Nobody has to listen to events.
            let settlement = if settlement == Settlement::Unroutable {
                Settlement::Confirmed
            } else {
                settlement
            };
            self.failing |= settlement != Settlement::Confirmed;
            self.sendings.settled(tag, settlement);
            return self.events.settled(seq, settlement);
        }
        self.sendings.settled(tag, settlement);
        self.commands.settled(seq, settlement);
        self.failing |= settlement != Settlement::Confirmed;
        match settlement {
            Settlement::Unroutable => *self.unroutable.entry(seq).or_default() += 1,
            Settlement::Confirmed => drop(self.unroutable.remove(&seq)),
            Settlement::Rejected | Settlement::Unknown => {}
        }
    }

    /// Reads the next page of what has to be published from the history, if anything has.
    fn read_history(&mut self, ctx: &mut Context<Self>) {
        let wanted = [self.commands.wants_page_after(), self.events.wants_page_after()];
        let Some(after) = wanted.into_iter().flatten().min() else { return };
        if self.resting
            || self.shared.store_is_away.load(Ordering::Relaxed)
            || std::mem::replace(&mut self.reading, true)
        {
            return;
        }
        let (ledger, shard, blocking) =
            (Arc::clone(&self.ledger), self.shard, self.blocking.clone());
        let page =
            async move { blocking.run(move || ledger.history_after(shard, after, PAGE)).await };
        ctx.spawn(page.into_actor(self).map(move |page, publisher, ctx| {
            publisher.reading = false;
            match page {
                Ok(Ok(rows)) => publisher.send_page(after, &rows, ctx),
                Ok(Err(error)) => {
                    tracing::error!(%error, "the history can't be read for publishing")
                }
                Err(error) => tracing::error!(%error, "the history can't be read for publishing"),
            }
        }));
    }

    fn send_page(&mut self, after: Seq, rows: &[HistoryRow], ctx: &mut Context<Self>) {
        let full = rows.len() >= PAGE as usize;
        let to = rows.last().map_or(after, |row| row.seq);
        for row in rows {
            self.commands.committed(row.seq);
            self.events.committed(row.seq);
            if self.commands.wants(row.seq) {
                self.give_up_or_send(row, ctx);
            }
            if self.events.wants(row.seq) {
                self.send_event(row.seq, &row.saga, &row.recorded);
            }
        }
        self.let_out();
        for feed in [&mut self.commands, &mut self.events] {
            if let Some(cursor) =
                feed.wants_page_after().filter(|cursor| *cursor >= after && (*cursor < to || !full))
            {
                feed.read(cursor, to.max(cursor));
            }
        }
        self.update_marks();
        if full && !self.failing {
            self.read_history(ctx);
        }
    }

    /// Sends a command again, unless it found no queue too often: then its saga is told instead,
    /// and only once that is on record is the row done with.
    fn give_up_or_send(&mut self, row: &HistoryRow, ctx: &mut Context<Self>) {
        let tries = self.unroutable.get(&row.seq).copied().unwrap_or(0);
        if tries < UNROUTABLE_TRIES {
            return self.send_command(row.seq, &row.saga, &row.recorded);
        }
        let Some(registry) = self.registry.clone() else { return };
        tracing::error!(sagaId = %row.saga.id, sequence = row.recorded.sequence, "no queue takes a command");
        let (seq, saga, to) = (row.seq, row.saga.id, row.recorded.sequence);
        self.commands.published(seq);
        let told = registry.send(CommandLost { saga, to, setback: Setback::Unroutable });
        ctx.spawn(told.into_actor(self).map(move |told, publisher, _| match told {
            Ok(Ok(())) => {
                publisher.unroutable.remove(&seq);
                publisher.commands.settled(seq, Settlement::Confirmed);
                publisher.update_marks();
            }
            _ => publisher.commands.settled(seq, Settlement::Unknown),
        }));
    }

    /// Lets whoever waits for it go once nothing is on its way. What is on a bus that ends with the
    /// process is not worth waiting for.
    fn rest(&mut self) {
        let on_its_way = self.commands.unsettled() + self.events.unsettled();
        if on_its_way == 0 || !self.bus.is_lasting() {
            self.at_rest = None;
        }
    }

    fn update_marks(&self) {
        self.shared.marks.set(Marks { commands: self.commands.mark(), events: self.events.mark() });
    }
}

impl Actor for Publisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(mut settled) = self.settled.take() {
            let own = ctx.address();
            actix::spawn(async move {
                let mut receipts = Vec::new();
                while settled.recv_many(&mut receipts, PAGE as usize).await > 0 {
                    own.do_send(Receipts(std::mem::take(&mut receipts)));
                }
            });
        }
        ctx.run_interval(READ_AGAIN_AFTER, |publisher, ctx| {
            publisher.failing = false;
            publisher
                .shared
                .lag
                .set(Marks { commands: publisher.commands.lag(), events: publisher.events.lag() });
            publisher.read_history(ctx);
        });
    }
}

impl Handler<Introduce> for Publisher {
    type Result = ();

    fn handle(&mut self, Introduce(registry): Introduce, _: &mut Self::Context) {
        self.registry = Some(registry);
    }
}

impl Handler<Committed> for Publisher {
    type Result = ();

    fn handle(&mut self, Committed(mut entries): Committed, _: &mut Self::Context) {
        // A batch's entries are committed together; the track wants their rows in order.
        entries.sort_unstable_by_key(|(first_seq, _)| *first_seq);
        for (first_seq, entry) in &entries {
            self.committed(*first_seq, entry);
        }
        self.let_out();
        self.update_marks();
    }
}

impl Handler<Doubt> for Publisher {
    type Result = ();

    fn handle(&mut self, _: Doubt, _: &mut Self::Context) {
        self.commands.doubt();
        self.events.doubt();
    }
}

impl Handler<AskAgain> for Publisher {
    type Result = ();

    fn handle(&mut self, AskAgain { saga, sequence }: AskAgain, _: &mut Self::Context) {
        let Some(runnable) = self.catalogue.get(&saga.birth.definition).cloned() else { return };
        for command in effect::open_commands(&runnable.definition, &saga) {
            if command.sequence != sequence {
                continue;
            }
            match contract::command::write(runnable.script.as_ref(), &command, &self.reply_to) {
                Ok(outgoing) => self.publish(outgoing, UNTRACKED),
                Err(error) => {
                    tracing::error!(sagaId = %saga.id, %error, "a command can't be written")
                }
            }
        }
        self.let_out();
    }
}

impl Handler<Receipts> for Publisher {
    type Result = ();

    fn handle(&mut self, Receipts(receipts): Receipts, _: &mut Self::Context) {
        failpoint::reach("publisher", "before_confirm");
        for (tag, settlement) in receipts {
            self.settle(tag, settlement);
        }
        self.update_marks();
        failpoint::reach("publisher", "after_confirm");
        self.rest();
    }
}

impl Handler<Rest> for Publisher {
    type Result = ();

    fn handle(&mut self, Rest(at_rest): Rest, _: &mut Self::Context) {
        self.resting = true;
        self.at_rest = Some(at_rest);
        self.rest();
    }
}

impl Handler<Halt> for Publisher {
    type Result = ();

    fn handle(&mut self, _: Halt, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
