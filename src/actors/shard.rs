//! Running one shard: its actors, wired together on a thread of their own.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::deadlines::Deadlines;
use super::handle::Handle;
use super::house::House;
use super::journal::{Journal, Shared};
use super::panic::AbortOnPanic;
use super::publisher::{Introduce, Publisher};
use super::recovery::{self, RecoveryError};
use super::registry::Registry;
use super::{dead_letters, replies};
use crate::contract::names::{dead_letter_queue, reply_queue};
use crate::ports::bus::{Bus, BusError};
use crate::ports::door::Door;
use crate::ports::ledger::{Ledger, Shard};
use crate::ports::{Clock, StoreError};
use crate::saga::catalogue::Catalogue;
use crate::saga::id::DefinitionRef;

/// What a shard's actors work with.
#[derive(Clone)]
pub struct Surroundings {
    /// The sagas.
    pub ledger: Arc<dyn Ledger>,
    /// The inputs.
    pub door: Arc<dyn Door>,
    /// The messages; the reply and dead-letter queues are declared.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What can be run.
    pub catalogue: Catalogue,
    /// What new orders run.
    pub definition: DefinitionRef,
    /// After how long without anything to do a saga is dropped from memory.
    pub sleep_after: Duration,
}

/// Why a shard can't be run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The sagas found.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The thread ended.
    #[error("the orchestrator's thread ended while it started; the log says why")]
    Gone,
}

/// A running shard. Stops when told, or with the process; nothing is lost either way.
pub struct ShardRunner {
    handle: Handle,
    arbiters: Vec<Arbiter>,
}

impl ShardRunner {
    /// Takes over `shard` and runs it. Once this returns, orders can be submitted.
    ///
    /// # Errors
    /// When the store or the bus can't be used, or a saga found there can't be run here.
    pub async fn start(shard: Shard, surroundings: Surroundings) -> Result<Self, StartError> {
        let actors = Arbiter::new();
        let poller = Arbiter::new();
        let (started, handle) = oneshot::channel();
        let poller_handle = poller.handle();
        actors.spawn_fn(move || {
            actix::spawn(async move {
                // Nobody waits any more only when the process is on its way out.
                let _ = started.send(run(shard, surroundings, &poller_handle).await);
            });
        });
        let arbiters = vec![actors, poller];
        match handle.await.unwrap_or(Err(StartError::Gone)) {
            Ok(handle) => Ok(Self { handle, arbiters }),
            Err(error) => {
                stop(arbiters);
                Err(error)
            }
        }
    }

    /// What other threads use.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops the actors where they are and waits for their threads. What was not committed is
    /// taken up by the next owner.
    pub fn stop(self) {
        stop(self.arbiters);
    }
}

fn stop(arbiters: Vec<Arbiter>) {
    for arbiter in &arbiters {
        arbiter.stop();
    }
    for arbiter in arbiters {
        if arbiter.join().is_err() {
            tracing::error!("an actor's thread ended in a panic");
        }
    }
}

/// Runs a task that the shard can't do without.
fn spawn(name: &'static str, task: impl Future<Output = ()> + 'static) {
    actix::spawn(async move {
        let _guard = AbortOnPanic(name);
        task.await;
    });
}

/// Wires the actors together; runs on their thread.
async fn run(
    shard: Shard,
    surroundings: Surroundings,
    poller: &ArbiterHandle,
) -> Result<Handle, StartError> {
    let Surroundings { ledger, door, bus, clock, catalogue, definition, sleep_after } =
        surroundings;
    let state = {
        let ledger = Arc::clone(&ledger);
        super::blocking::Blocking::new(1)
            .run(move || ledger.claim(shard))
            .await
            .map_err(|_| StartError::Gone)??
    };
    let since = clock.now();
    let shared = Rc::new(Shared::default());
    let store_is_away = Arc::clone(&shared.store_is_away);
    let publisher = Publisher::new(
        shard,
        &state,
        Arc::clone(&bus),
        Arc::clone(&ledger),
        catalogue.clone(),
        Rc::clone(&shared),
    );
    let publisher = publisher.start();
    let journal = Journal::new(
        shard,
        state.epoch,
        Arc::clone(&ledger),
        publisher.clone(),
        Rc::clone(&shared),
    )
    .start();
    let house = Rc::new(House {
        shard,
        clock: Arc::clone(&clock),
        catalogue,
        journal,
        publisher: publisher.clone(),
        shared,
        timers: Default::default(),
        queues: Default::default(),
        ignored: Default::default(),
        awake: Default::default(),
    });
    let unfinished = recovery::take_stock(&house, &ledger).await?;
    tracing::info!(shard, epoch = state.epoch, unfinished, "the shard is ours");
    let registry =
        Registry::new(Rc::clone(&house), Arc::clone(&ledger), Arc::clone(&door), sleep_after)
            .start();
    publisher.do_send(Introduce(registry.clone()));

    let answers = bus.consume(&reply_queue(shard), replies::PREFETCH).await?;
    spawn("reply consumer", replies::consume(answers, registry.clone()));
    let dead = bus.consume(&dead_letter_queue(), replies::PREFETCH).await?;
    spawn(
        "dead letter consumer",
        dead_letters::collect(dead, door, Arc::clone(&clock), registry.clone()),
    );
    let deadlines = Deadlines::new(shard, Arc::clone(&ledger), clock, registry.clone());
    Deadlines::start_in_arbiter(poller, |_| deadlines);
    if unfinished > 0 {
        actix::spawn(async move {
            if let Err(error) = recovery::ask_again(&house, &ledger, since).await {
                tracing::error!(%error, "open steps can't be asked again; their time-outs will do it");
            }
        });
    }
    Ok(Handle::new(registry, definition, store_is_away))
}
