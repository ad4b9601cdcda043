//! One shard while it is ours: its actors, wired together.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::deadlines::{Deadlines, Watch};
use super::house::{House, Load};
use super::journal::{Deposed, Flush, Journal, Shared};
use super::publisher::{Introduce, Publisher, Rest};
use super::recovery::{self, RecoveryError};
use super::registry::{LastCall, Registry};
use super::replies;
use super::sendings::Sendings;
use crate::contract::names::reply_queue;
use crate::panic::AbortOnPanic;
use crate::ports::Clock;
use crate::ports::bus::{Bus, BusError};
use crate::ports::door::Door;
use crate::ports::ledger::{Ledger, Shard, ShardState};
use crate::ports::letters::Letters;
use crate::ports::pokes::Pokes;
use crate::ports::source::Source;
use crate::ports::spans::Spans;
use crate::saga::catalogue::Catalogue;
use crate::saga::id::DefinitionRef;
use crate::saga::outage::QueueWatch;

/// How long a shard that is given up waits for what it has in hand. Usually that takes milliseconds.
/// It is well below the trust in a lease, which is not renewed meanwhile where the whole node leaves.
const DRAIN: Duration = Duration::from_secs(5);

/// What a node's actors work with.
#[derive(Clone)]
pub struct Surroundings {
    /// The sagas.
    pub ledger: Arc<dyn Ledger>,
    /// The inputs.
    pub door: Arc<dyn Door>,
    /// The dead letters.
    pub letters: Arc<dyn Letters>,
    /// The messages; the reply and dead-letter queues are declared.
    pub bus: Arc<dyn Bus>,
    /// Whoever looks on.
    pub pokes: Arc<dyn Pokes>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What can be run.
    pub catalogue: Catalogue,
    /// What new orders run.
    pub definition: DefinitionRef,
    /// After how long without anything to do a saga is dropped from memory.
    pub sleep_after: Duration,
    /// How many commands may be outstanding in one queue before orders are refused; usually
    /// [`MAX_OUTSTANDING`](super::MAX_OUTSTANDING).
    pub max_outstanding: u64,
    /// Where spans go.
    pub spans: Spans,
}

/// What ties a shard to its node.
#[derive(Clone)]
pub(super) struct Ties {
    /// Looks at the store for all shards.
    pub deadlines: Addr<Deadlines>,
    /// Told by the journal if it finds out that somebody else owns the shard by now.
    pub deposed: Recipient<Deposed>,
    /// How the workers' queues get on.
    pub queues: Rc<RefCell<QueueWatch>>,
    /// What all shards of the node come to.
    pub load: Rc<Load>,
}

/// Why a shard can't be run.
#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The sagas found.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
}

/// The actors of one shard that this node owns. They all live on one thread.
pub(super) struct OwnedShard {
    /// What they share.
    pub house: Rc<House>,
    /// Where submissions, answers and inputs go.
    pub registry: Addr<Registry>,
    tasks: Vec<JoinHandle<()>>,
}

/// Stop where you are. What is not committed by now is taken up by the next owner.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Halt;

impl OwnedShard {
    /// Runs a shard that was claimed and stands at `state`.
    ///
    /// # Errors
    /// When the store or the bus can't be used, or a saga found there can't be run here.
    pub async fn take_over(
        shard: Shard,
        state: ShardState,
        surroundings: Surroundings,
        ties: Ties,
    ) -> Result<Self, TakeOverError> {
        let Ties { deadlines, deposed, queues, load } = ties;
        let Surroundings {
            ledger,
            door,
            bus,
            pokes,
            clock,
            catalogue,
            sleep_after,
            max_outstanding,
            spans,
            ..
        } = surroundings;
        let since = clock.now();
        let shared = Rc::new(Shared::default());
        let publisher = Publisher::new(
            shard,
            &state,
            Arc::clone(&bus),
            Arc::clone(&ledger),
            catalogue.clone(),
            Rc::clone(&shared),
            Sendings::new(spans.clone(), Arc::clone(&clock)),
        )
        .start();
        let journal = Journal::new(
            shard,
            state.epoch,
            Arc::clone(&ledger),
            publisher.clone(),
            pokes,
            deposed,
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
            queues,
            outstanding: Default::default(),
            ignored: Default::default(),
            meters: Default::default(),
            awake: Default::default(),
            in_hand: Default::default(),
            load,
            max_outstanding,
            spans,
        });
        let registry =
            Registry::new(Rc::clone(&house), Arc::clone(&ledger), Arc::clone(&door), sleep_after)
                .start();
        let mut owned = Self { house, registry, tasks: Vec::new() };
        match owned.set_out(state, bus, ledger, deadlines, since).await {
            Ok(()) => Ok(owned),
            Err(error) => {
                owned.halt();
                Err(error)
            }
        }
    }

    async fn set_out(
        &mut self,
        state: ShardState,
        bus: Arc<dyn Bus>,
        ledger: Arc<dyn Ledger>,
        deadlines: Addr<Deadlines>,
        since: crate::saga::id::Timestamp,
    ) -> Result<(), TakeOverError> {
        let Self { house, registry, .. } = self;
        let (house, registry, shard) = (Rc::clone(house), registry.clone(), house.shard);
        let unfinished = recovery::take_stock(&house, &ledger).await?;
        tracing::debug!(shard, epoch = state.epoch, unfinished, "the shard is ours");
        house.publisher.do_send(Introduce(registry.clone()));
        // An owner before this one that hangs keeps what it was given, but gets no more.
        let answers = Source::of(bus, reply_queue(shard), replies::PREFETCH);
        let answers = answers.before_others(state.epoch).open().await?;
        self.run("reply consumer", replies::consume(answers, registry.clone()));
        deadlines.do_send(Watch { shard, registry });
        if unfinished > 0 {
            self.run("re-asking of open steps", async move {
                if let Err(error) = recovery::ask_again(&house, &ledger, since).await {
                    tracing::error!(%error, "open steps can't be asked again; their time-outs will do it");
                }
            });
        }
        Ok(())
    }

    /// Runs a task that the shard can't do without, until the shard is halted.
    fn run(&mut self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.tasks.push(actix::spawn(guarded(name, task)));
    }

    /// Ends in good order: takes nothing more, has what is in hand committed and its messages confirmed,
    /// writes the marks. What is not done within five seconds is left to the next owner, as after a
    /// crash.
    pub async fn drain(mut self) {
        // What the consumer was given and did not hand over returns to the queue.
        self.tasks.drain(..).for_each(|task| task.abort());
        let house = &self.house;
        let in_order = async {
            // An actor that is gone has nothing in hand.
            let _ = self.registry.send(LastCall).await;
            house.in_hand.none_left().await;
            let (at_rest, resting) = oneshot::channel();
            house.publisher.do_send(Rest(at_rest));
            let _ = resting.await;
            let (written, flushing) = oneshot::channel();
            house.journal.do_send(Flush(written));
            let _ = flushing.await;
        };
        if timeout(DRAIN, in_order).await.is_err() {
            tracing::warn!(
                shard = house.shard,
                "the shard is left before everything in hand is done"
            );
        }
        self.halt();
    }

    /// Stops the actors where they are. Their messages that are not settled go back to their
    /// queues; a transaction under way ends by itself, and the shard's epoch decides whether it
    /// counts.
    pub fn halt(self) {
        let Self { house, registry, tasks } = self;
        tasks.iter().for_each(JoinHandle::abort);
        registry.do_send(Halt);
        house.journal.do_send(Halt);
        house.publisher.do_send(Halt);
    }
}

/// Runs a task without which the process would answer and do nothing: it ends with its panic.
pub(super) async fn guarded(name: &'static str, task: impl Future<Output = ()>) {
    let _guard = AbortOnPanic(name);
    task.await;
}
