//! The deadline poller: finds in the store what the timers in memory don't know of.
//!
//! There is one for all shards of a node, so that a look at the store is one question, however many
//! shards there are. It runs on a thread of its own, because timers on a busy one fire late.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::dev::SendError;
use actix::prelude::*;

use super::blocking::Blocking;
use super::registry::{DueInStore, LookForInputs, Registry, Tick};
use crate::journal::horizon::Horizon;
use crate::panic::AbortOnPanic;
use crate::ports::door::Door;
use crate::ports::ledger::{Due, Ledger, Shard};
use crate::ports::{Clock, StoreError};

/// How often live sagas are looked at. Time-outs are seconds long.
const TICK: Duration = Duration::from_millis(100);
/// How often the store is looked at.
const POLL: Duration = Duration::from_secs(1);
/// How often the store is looked at from the beginning, for sagas whose actor was lost.
const POLL_ALL: Duration = Duration::from_secs(60);
/// Sagas of one shard read at a time.
const PAGE: u32 = 1_000;

/// Finds sagas that are due and not in memory, and inputs of which nobody told.
pub struct Deadlines {
    ledger: Arc<dyn Ledger>,
    door: Arc<dyn Door>,
    clock: Arc<dyn Clock>,
    blocking: Blocking,
    /// The shards of ours, and who is told.
    watched: BTreeMap<Shard, Addr<Registry>>,
    horizon: Horizon,
    reading: bool,
    _guard: AbortOnPanic,
}

/// Look after a shard, for as long as its registry lives.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Watch {
    /// The shard.
    pub shard: Shard,
    /// Who is told.
    pub registry: Addr<Registry>,
}

impl Deadlines {
    /// A poller that watches no shard so far.
    pub fn new(ledger: Arc<dyn Ledger>, door: Arc<dyn Door>, clock: Arc<dyn Clock>) -> Self {
        Self {
            ledger,
            door,
            clock,
            blocking: Blocking::new(1),
            watched: BTreeMap::new(),
            horizon: Horizon::default(),
            reading: false,
            _guard: AbortOnPanic("deadline poller"),
        }
    }

    /// Ticks, and forgets the shards that are not ours any more.
    fn tick(&mut self) {
        self.watched.retain(|_, registry| match registry.try_send(Tick) {
            // A tick that finds the mailbox full is left out: the next one does its work.
            Ok(()) | Err(SendError::Full(_)) => true,
            Err(SendError::Closed(_)) => false,
        });
        self.horizon.retain(|shard| self.watched.contains_key(&shard));
    }

    /// Asks the store about all shards at once.
    fn poll(&mut self, ctx: &mut Context<Self>) {
        if self.watched.is_empty() || std::mem::replace(&mut self.reading, true) {
            return;
        }
        let after = self.horizon.cursors().clone();
        let (ledger, door, now) =
            (Arc::clone(&self.ledger), Arc::clone(&self.door), self.clock.now());
        let ask = move || -> Result<_, StoreError> {
            let shards: Vec<Shard> = after.keys().copied().collect();
            Ok((ledger.due(&after, now, PAGE)?, door.waiting(&shards)?))
        };
        let blocking = self.blocking.clone();
        let asked = async move { blocking.run(ask).await };
        ctx.spawn(asked.into_actor(self).map(|answer, poller, ctx| {
            poller.reading = false;
            match answer {
                Ok(Ok((due, waiting))) => {
                    for shard in waiting {
                        if let Some(registry) = poller.watched.get(&shard) {
                            let _ = registry.try_send(LookForInputs);
                        }
                    }
                    poller.found(due, ctx);
                }
                failed => tracing::error!(?failed, "the store can't tell what is due"),
            }
        }));
    }

    fn found(&mut self, due: Vec<Due>, ctx: &mut Context<Self>) {
        let by_shard = self.horizon.found(due);
        let more = by_shard.values().any(|due| due.len() >= PAGE as usize);
        for (shard, due) in by_shard {
            if let Some(registry) = self.watched.get(&shard) {
                registry.do_send(DueInStore(due));
            }
        }
        if more {
            self.poll(ctx);
        }
    }
}

impl Actor for Deadlines {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(TICK, |poller, _| poller.tick());
        ctx.run_interval(POLL, Self::poll);
        ctx.run_interval(POLL_ALL, |poller, _| poller.horizon.rewind());
    }
}

impl Handler<Watch> for Deadlines {
    type Result = ();

    fn handle(&mut self, Watch { shard, registry }: Watch, ctx: &mut Self::Context) {
        self.watched.insert(shard, registry);
        self.horizon.watch(shard);
        self.poll(ctx);
    }
}
