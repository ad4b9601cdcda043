//! The deadline poller: finds in the store what the timers in memory don't know of.
//!
//! It runs on a thread of its own, because timers on a busy one fire late.

use std::sync::Arc;
use std::time::Duration;

use actix::dev::SendError;
use actix::prelude::*;
use uuid::Uuid;

use super::blocking::Blocking;
use super::panic::AbortOnPanic;
use super::registry::{DueInStore, LookForInputs, Registry, Tick};
use crate::ports::Clock;
use crate::ports::ledger::{Ledger, Shard};
use crate::saga::id::{SagaId, Timestamp};

/// How often live sagas are looked at. Time-outs are seconds long.
const TICK: Duration = Duration::from_millis(100);
/// How often the store is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How often the store is looked at from the beginning, for sagas whose actor was lost.
const POLL_ALL: Duration = Duration::from_secs(60);
/// Sagas read at a time.
const PAGE: u32 = 1_000;
/// Finds sagas that are due and not in memory.
pub struct Deadlines {
    shard: Shard,
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    registry: Addr<Registry>,
    blocking: Blocking,
    cursor: (Timestamp, SagaId),
    reading: bool,
    _guard: AbortOnPanic,
}

const START: (Timestamp, SagaId) = (Timestamp(i64::MIN), SagaId(Uuid::nil()));

impl Deadlines {
    /// A poller for the sagas of `shard`.
    pub fn new(
        shard: Shard,
        ledger: Arc<dyn Ledger>,
        clock: Arc<dyn Clock>,
        registry: Addr<Registry>,
    ) -> Self {
        Self {
            shard,
            ledger,
            clock,
            registry,
            blocking: Blocking::new(1),
            cursor: START,
            reading: false,
            _guard: AbortOnPanic("deadline poller"),
        }
    }

    fn poll(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.reading, true) {
            return;
        }
        let (ledger, shard, cursor, now) =
            (Arc::clone(&self.ledger), self.shard, self.cursor, self.clock.now());
        let blocking = self.blocking.clone();
        let page = async move { blocking.run(move || ledger.due(shard, cursor, now, PAGE)).await };
        ctx.spawn(page.into_actor(self).map(|page, poller, ctx| {
            poller.reading = false;
            match page {
                Ok(Ok(due)) => poller.found(&due, ctx),
                failed => tracing::error!(?failed, "the store can't tell what is due"),
            }
        }));
    }

    fn found(&mut self, due: &[(Timestamp, SagaId)], ctx: &mut Context<Self>) {
        let Some(last) = due.last() else { return };
        self.cursor = *last;
        self.registry.do_send(DueInStore(due.iter().map(|(_, saga)| *saga).collect()));
        if due.len() >= PAGE as usize {
            self.poll(ctx);
        }
    }
}

impl Actor for Deadlines {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.poll(ctx);
        ctx.run_interval(TICK, |poller, ctx| match poller.registry.try_send(Tick) {
            // A tick that finds the mailbox full is left out: the next one does its work.
            Ok(()) | Err(SendError::Full(_)) => {}
            // The shard is not ours any more.
            Err(SendError::Closed(_)) => ctx.stop(),
        });
        ctx.run_interval(POLL, |poller, ctx| {
            let _ = poller.registry.try_send(LookForInputs);
            poller.poll(ctx);
        });
        ctx.run_interval(POLL_ALL, |poller, _| poller.cursor = START);
    }
}
