//! The publisher: lets out what is committed, and keeps the marks.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::blocking::Blocking;
use super::journal::Shared;
use super::registry::{CommandLost, Registry};
use super::sendings::Sendings;
use super::shard::Halt;
use crate::contract::trace::{saga_span, step_span, trace_id};
use crate::failpoint;
use crate::journal::feed::Bounds;
use crate::journal::outbox::{Cause, Lost, Outbox, Page, Tagged, UNTRACKED};
use crate::panic::AbortOnPanic;
use crate::ports::bus::{Bus, Message, Receipt, Settlement};
use crate::ports::ledger::{Entry, Ledger, Seq, Shard, ShardState};
use crate::saga::catalogue::Catalogue;
use crate::saga::event::Setback;
use crate::saga::id::Sequence;
use crate::saga::state::Saga;

/// How long to wait before the history is read for what could not be published. A full queue does
/// not empty faster for being asked more often.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Receipts that are taken in at a time.
const RECEIPTS: usize = 500;

/// Sends a shard's commands and events.
pub struct Publisher {
    shard: Shard,
    outbox: Outbox,
    bus: Arc<dyn Bus>,
    ledger: Arc<dyn Ledger>,
    blocking: Blocking,
    registry: Option<Addr<Registry>>,
    shared: Rc<Shared>,
    reading: bool,
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
            outbox: Outbox::resume(shard, state, catalogue, Bounds::default()),
            bus,
            ledger,
            blocking: Blocking::new(1),
            registry: None,
            shared,
            reading: false,
            sendings,
            receipts,
            settled: Some(settled),
            resting: false,
            at_rest: None,
            _guard: AbortOnPanic("publisher"),
        }
    }

    /// Hands messages to the bus.
    fn let_out(&mut self, messages: Vec<Tagged>) {
        if messages.is_empty() {
            return;
        }
        let out = messages.into_iter().map(|Tagged { tag, outgoing, cause }| {
            if tag != UNTRACKED {
                self.sendings.begin(tag, &outgoing, || match &cause {
                    Cause::Step(key) => step_span(key),
                    Cause::Saga(saga) => saga_span(*saga),
                });
            }
            let Message { id, kind, traceparent, .. } = &outgoing.message;
            let trace_id = traceparent.as_deref().and_then(trace_id);
            tracing::debug!(messageId = %id, kind, traceId = trace_id, "a message goes out");
            (outgoing, Receipt::new(self.receipts.clone(), tag))
        });
        let out = out.collect();
        failpoint::reach("publisher", "before_publish");
        self.bus.publish_all(out);
        failpoint::reach("publisher", "after_publish");
    }

    /// Reads the next page of what has to be published from the history, if anything has.
    fn read_history(&mut self, ctx: &mut Context<Self>) {
        let away = self.shared.store_is_away.load(Ordering::Relaxed);
        if self.resting || self.reading || away {
            return;
        }
        let Some((after, limit)) = self.outbox.begin_page() else { return };
        self.reading = true;
        let (ledger, shard, blocking) =
            (Arc::clone(&self.ledger), self.shard, self.blocking.clone());
        let page =
            async move { blocking.run(move || ledger.history_after(shard, after, limit)).await };
        ctx.spawn(page.into_actor(self).map(move |page, publisher, ctx| {
            publisher.reading = false;
            match page {
                Ok(Ok(rows)) => {
                    let page = publisher.outbox.read(after, &rows);
                    publisher.send_page(page, ctx);
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the history can't be read for publishing")
                }
                Err(error) => tracing::error!(%error, "the history can't be read for publishing"),
            }
        }));
    }

    fn send_page(&mut self, page: Page, ctx: &mut Context<Self>) {
        let Page { messages, lost, more } = page;
        self.let_out(messages);
        lost.into_iter().for_each(|lost| self.tell_of(lost, ctx));
        self.update_marks();
        if more {
            self.read_history(ctx);
        }
    }

    /// Tells a saga that its command found no queue.
    fn tell_of(&mut self, Lost { seq, saga, to }: Lost, ctx: &mut Context<Self>) {
        let Some(registry) = self.registry.clone() else {
            return self.outbox.on_record(seq, false);
        };
        let told = registry.send(CommandLost { saga, to, setback: Setback::Unroutable });
        ctx.spawn(told.into_actor(self).map(move |told, publisher, _| {
            publisher.outbox.on_record(seq, matches!(told, Ok(Ok(()))));
            publisher.update_marks();
            publisher.rest();
        }));
    }

    /// Lets whoever waits for it go once nothing is on its way. What is on a bus that ends with the
    /// process is not worth waiting for.
    fn rest(&mut self) {
        if self.outbox.unsettled() == 0 || !self.bus.is_lasting() {
            self.at_rest = None;
        }
    }

    fn update_marks(&self) {
        self.shared.marks.set(self.outbox.marks());
    }
}

impl Actor for Publisher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        if let Some(mut settled) = self.settled.take() {
            let own = ctx.address();
            actix::spawn(async move {
                let mut receipts = Vec::new();
                while settled.recv_many(&mut receipts, RECEIPTS).await > 0 {
                    own.do_send(Receipts(std::mem::take(&mut receipts)));
                }
            });
        }
        ctx.run_interval(READ_AGAIN_AFTER, |publisher, ctx| {
            publisher.outbox.breathe();
            publisher.shared.lag.set(publisher.outbox.lag());
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

    fn handle(&mut self, Committed(entries): Committed, _: &mut Self::Context) {
        let messages = self.outbox.committed(entries);
        self.let_out(messages);
        self.update_marks();
    }
}

impl Handler<Doubt> for Publisher {
    type Result = ();

    fn handle(&mut self, _: Doubt, _: &mut Self::Context) {
        self.outbox.doubt();
    }
}

impl Handler<AskAgain> for Publisher {
    type Result = ();

    fn handle(&mut self, AskAgain { saga, sequence }: AskAgain, _: &mut Self::Context) {
        let messages = self.outbox.ask_again(&saga, sequence);
        self.let_out(messages);
    }
}

impl Handler<Receipts> for Publisher {
    type Result = ();

    fn handle(&mut self, Receipts(receipts): Receipts, _: &mut Self::Context) {
        failpoint::reach("publisher", "before_confirm");
        for (tag, settlement) in receipts {
            let settlement = self.outbox.settled(tag, settlement);
            self.sendings.settled(tag, settlement);
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
