//! One shard at a node: the shell around the journal's machines, as the actors are, but one thing at
//! a time.

mod actors;
mod journal;
mod publisher;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use skald::journal::outbox::Outbox;
use skald::journal::timers::Timers;
use skald::journal::writer::Writer;
use skald::ports::StoreError;
use skald::ports::bus::Death;
use skald::ports::door::{DeadLetter, InputId, PendingInput};
use skald::ports::ledger::{Batch, EntryOutcome, HistoryRow, Seq, Shard, ShardState};
use skald::saga::id::{SagaId, Sequence, Timestamp};
use skald::saga::input::Answer;
use skald::saga::outage::QueueWatch;
use skald::saga::state::Saga;
use skald::store::postgres::ledger::doubt::{Attempt, Doubt};

use super::broker::{Connection, Held};
use super::env::Env;
use crate::faults::Fault;

/// What a shard at a node has around it.
pub struct Around<'a> {
    pub env: &'a mut Env,
    pub queues: &'a mut QueueWatch,
    pub connection: Connection,
    /// The node's clock.
    pub now: Timestamp,
}

/// One shard at a node.
#[derive(Clone)]
pub struct House {
    pub shard: Shard,
    pub writer: Writer<Ticket>,
    pub under_way: Option<Transaction>,
    pub paused: bool,
    pub away: bool,
    pub doubt: Option<Attempt>,
    pub outbox: Outbox,
    /// Rows of the history that were read after another, and are on their way to the publisher.
    pub page: Option<(Seq, Vec<HistoryRow>)>,
    pub timers: Timers,
    pub sagas: BTreeMap<SagaId, Slot>,
    pub actors_ever: u32,
    pub in_hand: BTreeSet<InputId>,
    /// When open steps that were asked before another moment are asked again, both by true time and
    /// by the node's.
    pub asks_again: Option<(Timestamp, Timestamp)>,
}

/// A transaction, and what came of it.
#[derive(Clone)]
pub struct Transaction {
    pub batch: Batch,
    pub result: Option<Result<Vec<EntryOutcome>, StoreError>>,
}

/// Who waits for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    pub saga: SagaId,
    pub actor: u32,
}

/// A saga has one actor in a house, and an actor at most one entry in the journal.
impl Hash for Ticket {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.saga.hash(hasher);
    }
}

/// Where a saga is.
#[derive(Clone)]
pub enum Slot {
    Loading(Vec<Tell>),
    Awake(Actor),
}

/// A saga in memory.
#[derive(Clone)]
pub struct Actor {
    pub id: u32,
    pub saga: Option<Saga>,
    /// What it waits for to be committed.
    pub busy: Option<Then>,
    /// What is to be committed, in short.
    pub writes: u64,
    pub inbox: VecDeque<Tell>,
}

/// What a saga is told.
#[derive(Clone, Debug)]
pub enum Tell {
    Answer { to: Sequence, answer: Answer, held: Held, just_read: bool },
    Due,
    Input(PendingInput),
}

/// What follows a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    Born(usize),
    Answer(Held),
    Nothing,
    Input(InputId),
}

/// How a transaction fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fate {
    #[default]
    Fine,
    /// The store is not available; nothing was tried.
    Away,
    /// It is committed, and its answer is lost.
    Unheard,
    /// It is not committed, and nobody is told.
    Vanished,
}

/// How long answers that are on their way are waited for before open steps are asked again.
const GRACE_MS: u64 = 10_000;

impl House {
    pub fn take_over(shard: Shard, state: ShardState, around: &mut Around<'_>) -> Self {
        let unfinished = around.env.store.unfinished(shard).next().is_some();
        let again = (around.env.now.plus_millis(GRACE_MS), around.now);
        let (rules, room) = (&around.env.rules, around.env.rules.room);
        Self {
            shard,
            writer: Writer::new(shard, state.epoch, state.marks, room.limits),
            under_way: None,
            paused: false,
            away: false,
            doubt: None,
            outbox: Outbox::resume(shard, &state, rules.catalogue.clone(), room.bounds),
            page: None,
            timers: Timers::default(),
            sagas: BTreeMap::new(),
            actors_ever: 0,
            in_hand: BTreeSet::new(),
            asks_again: unfinished.then_some(again),
        }
    }

    /// Stops where it is. What it holds goes back; its transaction may still be carried out.
    pub fn halt(mut self, around: &mut Around<'_>) {
        if let Some(Transaction { batch, result: None }) = self.under_way.take() {
            around.env.loose.push((batch, Doubt::about(self.doubt.clone())));
        }
        let sagas: Vec<SagaId> = self.sagas.keys().copied().collect();
        sagas.into_iter().for_each(|saga| self.drop_actor(saga, around));
    }

    /// Sagas whose moment has come are told.
    pub fn tick(&mut self, around: &mut Around<'_>) {
        for saga in self.timers.take_due(around.now, 2_000) {
            self.tell(saga, Tell::Due, around);
        }
    }

    /// The store says that these sagas are due. Those in memory have their own timers.
    pub fn due_in_store(&mut self, due: Vec<SagaId>, around: &mut Around<'_>) {
        for saga in due {
            if !self.sagas.contains_key(&saga) {
                self.tell(saga, Tell::Due, around);
            }
        }
    }

    /// Reads the inputs that wait, and hands them to their sagas.
    pub fn read_inputs(&mut self, around: &mut Around<'_>) {
        for input in around.env.store.pending(self.shard) {
            if self.in_hand.insert(input.id) {
                self.tell(input.saga, Tell::Input(input), around);
            }
        }
    }

    /// A reply can't be applied: it becomes a dead letter.
    pub fn bury(&mut self, held: Held, reason: String, around: &mut Around<'_>) {
        let Some(parcel) = around.env.broker.settle(held) else { return };
        let message = &parcel.message;
        let queue = skald::contract::names::reply_queue(self.shard).to_string();
        let death = Death { queue, routing_key: message.kind.clone(), reason };
        let letter = DeadLetter::of(message, death, around.now);
        around.env.faults.count(Fault::DeadLetter);
        around.env.broker.died.insert((letter.message_id.clone(), letter.queue.clone()));
        around.env.bury(letter);
    }
}
