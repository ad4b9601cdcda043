//! The journal: writes what the sagas decided, many of them in one transaction.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::blocking::Blocking;
use super::publisher::{Committed, Doubt, Publisher};
use super::shard::Halt;
use crate::journal::batcher::{Limits, Settled};
use crate::journal::writer::{Ended, Writer};
use crate::panic::AbortOnPanic;
use crate::ports::StoreError;
use crate::ports::ledger::{Batch, Entry, EntryOutcome, Ledger, Marks, Shard};
use crate::ports::pokes::Pokes;

/// How long marks may stay unwritten while nothing else is: long enough to be free, short enough
/// that a restart re-sends little.
const FLUSH_AFTER: Duration = Duration::from_millis(200);

/// The pause before a transaction is tried again that failed because the store was not available.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// Whoever waits for an entry's outcome.
pub type Ticket = oneshot::Sender<Result<EntryOutcome, StoreError>>;

/// What one shard's journal has done since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Transactions that wrote at least one entry.
    pub commits: u64,
    /// Entries that they wrote.
    pub transitions: u64,
}

/// What a journal shares with the actors of its shard.
#[derive(Debug, Default)]
pub struct Shared {
    /// How far the broker has confirmed; the publisher moves it.
    pub marks: Cell<Marks>,
    /// How many history rows lie beyond each mark.
    pub lag: Cell<Marks>,
    /// What the journal has done.
    pub work: Cell<Work>,
    /// Entries that wait for a transaction.
    pub waiting: Cell<usize>,
    /// Whether the last transaction failed because the store was not available. Other threads look
    /// at it, too.
    pub store_is_away: Arc<AtomicBool>,
}

/// The one writer of a shard.
pub struct Journal {
    writer: Writer<Ticket>,
    shard: Shard,
    ledger: Arc<dyn Ledger>,
    blocking: Blocking,
    publisher: Addr<Publisher>,
    pokes: Arc<dyn Pokes>,
    deposed: Recipient<Deposed>,
    shared: Rc<Shared>,
    /// Whoever waits for the marks to be written.
    flushing: Vec<oneshot::Sender<()>>,
    _guard: AbortOnPanic,
}

/// Write `entry`. Bounded by its senders: a saga has at most one entry under way.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Commit {
    /// What happened to a saga.
    pub entry: Entry,
    /// Who waits for it; dropped if the journal is full.
    pub ticket: Ticket,
}

/// Write the marks as they are; the sender is dropped once they are written.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Flush(pub oneshot::Sender<()>);

/// Somebody else owns a shard that was ours.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub struct Deposed {
    /// The shard.
    pub shard: Shard,
    /// The epoch under which it was ours.
    pub epoch: i64,
}

/// The transaction under way came to its end.
#[derive(Message)]
#[rtype(result = "()")]
struct TransactionEnded {
    marks: Marks,
    took: Duration,
    result: Result<Vec<EntryOutcome>, StoreError>,
}

impl Journal {
    /// A journal for `shard`, which the caller claimed under `epoch`.
    pub fn new(
        shard: Shard,
        epoch: i64,
        ledger: Arc<dyn Ledger>,
        publisher: Addr<Publisher>,
        pokes: Arc<dyn Pokes>,
        deposed: Recipient<Deposed>,
        shared: Rc<Shared>,
    ) -> Self {
        Self {
            writer: Writer::new(shard, epoch, shared.marks.get(), Limits::default()),
            shard,
            ledger,
            blocking: Blocking::new(1),
            publisher,
            pokes,
            deposed,
            shared,
            flushing: Vec::new(),
            _guard: AbortOnPanic("journal"),
        }
    }

    /// Starts the next transaction, if there is something to write and none is under way.
    fn pump(&mut self, ctx: &mut Context<Self>) {
        self.shared.waiting.set(self.writer.waiting());
        if let Some(batch) = self.writer.next(self.shared.marks.get()) {
            self.begin(batch, ctx);
        }
    }

    fn begin(&mut self, batch: Batch, ctx: &mut Context<Self>) {
        let marks = batch.marks;
        let ledger = Arc::clone(&self.ledger);
        let blocking = self.blocking.clone();
        let own = ctx.address();
        actix::spawn(async move {
            let began = Instant::now();
            let result =
                blocking.run(move || ledger.commit(&batch)).await.unwrap_or_else(|broken_off| {
                    Err(StoreError::Unavailable {
                        store: "orchestrator",
                        cause: broken_off.to_string(),
                    })
                });
            own.do_send(TransactionEnded { marks, took: began.elapsed(), result });
        });
    }

    /// Writes the marks alone, if they moved and nothing else is to be written; or finds out
    /// whether the store is back, while nobody else would.
    fn flush_when_idle(&mut self, ctx: &mut Context<Self>) {
        if let Some(batch) = self.writer.flush(self.shared.marks.get()) {
            self.begin(batch, ctx);
        }
    }

    /// Lets those go who wait for the marks, if they are written.
    fn tell_flushed(&mut self) {
        if self.shared.marks.get() == self.writer.flushed() {
            self.flushing.clear();
        }
    }

    fn settle(&mut self, settled: Vec<Settled<Ticket>>, took: Duration) {
        let written = settled
            .iter()
            .filter(|entry| matches!(entry.outcome, Ok(EntryOutcome::Written(_))))
            .count();
        if written > 0 {
            let Work { commits, transitions } = self.shared.work.get();
            let written = written as u64;
            self.shared.work.set(Work { commits: commits + 1, transitions: transitions + written });
            metrics::counter!("skald_journal_commits_total").increment(1);
            metrics::counter!("skald_journal_transitions_total").increment(written);
            metrics::histogram!("skald_journal_batch_transitions").record(written as f64);
            metrics::histogram!("skald_journal_commit_duration_seconds").record(took);
        }
        let mut committed = Vec::with_capacity(written);
        for Settled { entry, ticket, outcome } in settled {
            if let Ok(EntryOutcome::Written(first_seq)) = outcome {
                committed.push((first_seq, entry));
            }
            // A saga's actor that is gone by now will find the outcome in the store.
            let _ = ticket.send(outcome);
        }
        if !committed.is_empty() {
            self.pokes.tell(&mut committed.iter().map(|(_, entry)| entry.saga.id));
            self.publisher.do_send(Committed(committed));
        }
    }
}

impl Actor for Journal {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(FLUSH_AFTER, Self::flush_when_idle);
    }
}

impl Handler<Commit> for Journal {
    type Result = ();

    fn handle(&mut self, Commit { entry, ticket }: Commit, ctx: &mut Self::Context) {
        if let Err(refused) = self.writer.offer(entry, ticket) {
            let cause = "too many transitions wait to be written".to_owned();
            let _ =
                refused.ticket.send(Err(StoreError::Unavailable { store: "orchestrator", cause }));
        }
        self.pump(ctx);
    }
}

impl Handler<TransactionEnded> for Journal {
    type Result = ();

    fn handle(
        &mut self,
        TransactionEnded { marks, took, result }: TransactionEnded,
        ctx: &mut Self::Context,
    ) {
        if let Err(error) = &result {
            tracing::error!(shard = self.shard, %error, "a transaction was not committed");
            metrics::counter!("skald_journal_commit_failures_total").increment(1);
        }
        let Ended { settled, away, deposed } = self.writer.ended(marks, result);
        self.shared.store_is_away.store(away, Ordering::Relaxed);
        if away {
            self.publisher.do_send(Doubt);
        }
        if deposed {
            self.deposed.do_send(Deposed { shard: self.shard, epoch: self.writer.epoch() });
        }
        self.settle(settled, took);
        if away {
            ctx.run_later(RETRY_AFTER, |journal, ctx| {
                journal.writer.resume();
                journal.pump(ctx);
            });
        }
        self.pump(ctx);
        self.tell_flushed();
        if !self.flushing.is_empty() {
            self.flush_when_idle(ctx);
        }
    }
}

impl Handler<Flush> for Journal {
    type Result = ();

    fn handle(&mut self, Flush(written): Flush, ctx: &mut Self::Context) {
        self.flushing.push(written);
        self.tell_flushed();
        self.flush_when_idle(ctx);
    }
}

impl Handler<Halt> for Journal {
    type Result = ();

    fn handle(&mut self, _: Halt, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
