//! The registry: which sagas are in memory, and waking those that are not.

mod inputs;

pub use inputs::{Bury, CommandLost, Knock, LookForInputs};

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::dev::SendError;
use actix::prelude::*;
use tokio::sync::oneshot;

use crate::actors::blocking::Blocking;
use crate::actors::house::House;
use crate::actors::saga::{SagaActor, Tell, Told};
use crate::actors::shard::Halt;
use crate::contract::names::MessageId;
use crate::panic::AbortOnPanic;
use crate::ports::bus::Delivery;
use crate::ports::door::{Door, InputId};
use crate::ports::ledger::Ledger;
use crate::saga::id::{SagaId, Timestamp};
use crate::saga::input::Answer;
use crate::saga::state::Saga;

/// Sagas loaded by one query.
const LOAD: usize = 500;
/// Sagas told of a passed moment at a time, so that many at once don't hold up the replies.
const DUE: usize = 2_000;
/// How often within the time after which a saga may sleep the registry looks for such sagas. A look
/// costs a glance at every saga in memory.
const SWEEPS: u32 = 4;
/// The pause after the store failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// What may wait for one saga while it is loaded; more is given back to where it came from.
const WAITING_PER_SAGA: usize = 1_000;

/// Where a saga is.
enum Slot {
    /// In memory.
    Awake { actor: Addr<SagaActor>, touched: Instant },
    /// On its way from the store; this waits for it.
    Loading(Vec<Told>),
}

/// Knows which sagas are in memory.
pub struct Registry {
    pub(super) house: Rc<House>,
    ledger: Arc<dyn Ledger>,
    door: Arc<dyn Door>,
    blocking: Blocking,
    /// For what is put on record: however much that is, sagas can be woken.
    burying: Blocking,
    sleep_after: Duration,
    swept: Instant,
    slots: HashMap<SagaId, Slot>,
    to_load: Vec<SagaId>,
    loading: bool,
    /// Inputs at their sagas.
    in_hand: HashSet<InputId>,
    reading_inputs: bool,
    /// Those who wait for the inputs to be read once more.
    knocked: Vec<(SagaId, oneshot::Sender<()>)>,
    /// Whether what becomes due is left to the next owner.
    leaving: bool,
    _guard: AbortOnPanic,
}

/// Answers of workers.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Answers(pub Vec<(MessageId, Answer, Delivery)>);

/// The moments of these sagas have come, says the store.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DueInStore(pub Vec<SagaId>);

/// Look whose moment has come, and who may sleep.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Tick;

/// Begin nothing by yourself any more. Once this is answered, everything that was sent before is at
/// its saga.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LastCall;

/// An actor ended, or has nothing more to do.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Gone {
    /// Its saga.
    pub saga: SagaId,
    /// The actor; there may be another one by now.
    pub actor: Addr<SagaActor>,
}

impl Registry {
    /// A registry with no saga in memory. A saga that had nothing to do for `sleep_after` is
    /// dropped from memory.
    pub fn new(
        house: Rc<House>,
        ledger: Arc<dyn Ledger>,
        door: Arc<dyn Door>,
        sleep_after: Duration,
    ) -> Self {
        Self {
            house,
            ledger,
            door,
            blocking: Blocking::new(2),
            burying: Blocking::new(1),
            sleep_after,
            swept: Instant::now(),
            slots: HashMap::new(),
            to_load: Vec::new(),
            loading: false,
            in_hand: HashSet::new(),
            reading_inputs: false,
            knocked: Vec::new(),
            leaving: false,
            _guard: AbortOnPanic("registry"),
        }
    }

    /// Tells a saga something, waking it first if it sleeps.
    fn tell(&mut self, saga: SagaId, tell: Tell, ctx: &mut Context<Self>) {
        let in_hand = self.house.in_hand.one_more();
        self.hand_over(saga, Told { tell, in_hand }, ctx);
    }

    fn hand_over(&mut self, saga: SagaId, told: Told, ctx: &mut Context<Self>) {
        let told = match self.slots.get_mut(&saga) {
            Some(Slot::Awake { actor, touched }) => {
                *touched = Instant::now();
                match actor.try_send(told) {
                    Ok(()) => return,
                    Err(SendError::Full(told)) => {
                        let sent = actor.send(told);
                        actix::spawn(async move { sent.await.unwrap_or_default() });
                        return;
                    }
                    // It panicked, or is about to be gone: the store has what it knew.
                    Err(SendError::Closed(told)) => told,
                }
            }
            Some(Slot::Loading(waiting)) => {
                if waiting.len() < WAITING_PER_SAGA {
                    waiting.push(told);
                }
                return;
            }
            None => told,
        };
        self.slots.insert(saga, Slot::Loading(vec![told]));
        self.to_load.push(saga);
        self.load(ctx);
    }

    /// Loads the sagas that something waits for, many with one query.
    fn load(&mut self, ctx: &mut Context<Self>) {
        if self.loading || self.to_load.is_empty() {
            return;
        }
        self.loading = true;
        let size = self.to_load.len().min(LOAD);
        let ids: Vec<SagaId> = self.to_load.drain(..size).collect();
        let (ledger, blocking) = (Arc::clone(&self.ledger), self.blocking.clone());
        let shard = self.house.shard;
        let load = async move {
            let loaded = blocking.run({
                let ids = ids.clone();
                move || ledger.load(shard, &ids)
            });
            (loaded.await, ids)
        };
        ctx.spawn(load.into_actor(self).map(|(loaded, ids), registry, ctx| {
            registry.loading = false;
            match loaded {
                Ok(Ok(sagas)) => {
                    registry.loaded(ids, sagas, ctx);
                    registry.load(ctx);
                }
                failed => {
                    tracing::error!(
                        ?failed,
                        sagas = ids.len(),
                        "sagas can't be loaded; trying again"
                    );
                    registry.to_load.extend(ids);
                    ctx.run_later(RETRY_AFTER, Self::load);
                }
            }
        }));
    }

    fn loaded(&mut self, ids: Vec<SagaId>, sagas: Vec<Saga>, ctx: &mut Context<Self>) {
        let mut sagas: HashMap<SagaId, Saga> =
            sagas.into_iter().map(|saga| (saga.id, saga)).collect();
        for id in ids {
            let Some(Slot::Loading(waiting)) = self.slots.remove(&id) else { continue };
            let saga = sagas.remove(&id);
            let runnable = saga
                .as_ref()
                .and_then(|saga| self.house.catalogue.get(&saga.birth.definition))
                .cloned();
            match (saga, runnable) {
                (Some(saga), Some(runnable)) => {
                    let actor = SagaActor::new(
                        id,
                        Some(saga),
                        runnable,
                        Rc::clone(&self.house),
                        ctx.address(),
                    );
                    self.slots
                        .insert(id, Slot::Awake { actor: actor.start(), touched: Instant::now() });
                    for mut told in waiting {
                        if let Tell::Answer { just_read, .. } = &mut told.tell {
                            *just_read = true;
                        }
                        self.hand_over(id, told, ctx);
                    }
                }
                (saga, _) => {
                    let reason = if saga.is_some() {
                        "its definition is not known here"
                    } else {
                        "no such saga in this shard"
                    };
                    tracing::error!(sagaId = %id, reason, "a saga can't be woken");
                    for told in waiting {
                        if let Tell::Answer { delivery, .. } = told.tell {
                            ctx.notify(Bury { delivery, reason: format!("saga {id}: {reason}") });
                        }
                    }
                }
            }
        }
    }

    /// Takes an actor in for a saga about to be born.
    pub(super) fn start(
        &mut self,
        saga: SagaId,
        actor: SagaActor,
        first: Tell,
        ctx: &mut Context<Self>,
    ) {
        let actor = actor.start();
        self.slots.insert(saga, Slot::Awake { actor, touched: Instant::now() });
        self.tell(saga, first, ctx);
    }

    /// Drops the sagas from memory that had nothing to do for a while and won't have soon: an actor
    /// ends with its last address. The store tells when they are due.
    fn put_to_sleep(&mut self, now: Timestamp) {
        if self.swept.elapsed() < self.sleep_after / SWEEPS {
            return;
        }
        self.swept = Instant::now();
        let sleep_after = self.sleep_after;
        let soon = now.plus_millis(u64::try_from(sleep_after.as_millis()).unwrap_or(u64::MAX));
        let mut timers = self.house.timers.borrow_mut();
        self.slots.retain(|id, slot| {
            let Slot::Awake { touched, .. } = slot else { return true };
            let idle =
                touched.elapsed() >= sleep_after && timers.due(*id).is_none_or(|due| due > soon);
            if idle {
                timers.set(*id, None);
            }
            !idle
        });
    }
}

impl Actor for Registry {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Submissions and replies are bounded by their senders; this keeps them from waiting for a
        // slot while the registry is busy.
        ctx.set_mailbox_capacity(4_096);
    }
}

impl Handler<Answers> for Registry {
    type Result = ();

    fn handle(&mut self, Answers(answers): Answers, ctx: &mut Self::Context) {
        for (id, answer, delivery) in answers {
            let tell = Tell::Answer { to: id.sequence, answer, delivery, just_read: false };
            self.tell(id.saga, tell, ctx);
        }
    }
}

impl Handler<DueInStore> for Registry {
    type Result = ();

    /// Sagas in memory have their own timers.
    fn handle(&mut self, DueInStore(due): DueInStore, ctx: &mut Self::Context) {
        for saga in due {
            if !self.leaving && !self.slots.contains_key(&saga) {
                self.tell(saga, Tell::Due, ctx);
            }
        }
    }
}

impl Handler<Tick> for Registry {
    type Result = ();

    fn handle(&mut self, _: Tick, ctx: &mut Self::Context) {
        if self.leaving {
            return;
        }
        let now = self.house.clock.now();
        let due = self.house.timers.borrow_mut().take_due(now, DUE);
        for saga in due {
            self.tell(saga, Tell::Due, ctx);
        }
        self.put_to_sleep(now);
    }
}

impl Handler<LastCall> for Registry {
    type Result = ();

    fn handle(&mut self, _: LastCall, _: &mut Self::Context) {
        self.leaving = true;
    }
}

impl Handler<Gone> for Registry {
    type Result = ();

    fn handle(&mut self, Gone { saga, actor }: Gone, _: &mut Self::Context) {
        if matches!(self.slots.get(&saga), Some(Slot::Awake { actor: awake, .. }) if *awake == actor)
        {
            self.slots.remove(&saga);
            self.house.timers.borrow_mut().set(saga, None);
        }
    }
}

impl Handler<Halt> for Registry {
    type Result = ();

    fn handle(&mut self, _: Halt, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
