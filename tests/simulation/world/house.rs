//! One shard at a node: the shell around the journal's machines, as the actors are, but one thing at
//! a time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use skald::journal::outbox::{Lost, Outbox, Page, Tagged};
use skald::journal::timers::Timers;
use skald::journal::turn::{self, Acknowledgement, Aftermath, Hold, LOOK_AGAIN_AFTER_MS, Turn};
use skald::journal::writer::{Ended, Writer};
use skald::ports::StoreError;
use skald::ports::bus::Death;
use skald::ports::door::{DeadLetter, InputId, NewInput, PendingInput};
use skald::ports::ledger::{Batch, Entry, EntryOutcome, Seq, Shard, ShardState};
use skald::saga::event::Setback;
use skald::saga::id::{SagaId, Sequence, Timestamp};
use skald::saga::input::Answer;
use skald::saga::outage::QueueWatch;
use skald::saga::state::Saga;
use skald::store::postgres::ledger::doubt::{Attempt, Doubt};

use super::broker::{Connection, Held, Publisher};
use super::customers::Asking;
use super::env::Env;
use super::store::UNAVAILABLE;
use crate::faults::Fault;
use crate::fingerprint::digest;

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub saga: SagaId,
    pub actor: u32,
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
    /// Whether it was loaded for what it is told next.
    pub just_read: bool,
}

/// What a saga is told.
#[derive(Clone, Debug)]
pub enum Tell {
    Answer { to: Sequence, answer: Answer, held: Held },
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
        Self {
            shard,
            writer: Writer::new(shard, state.epoch, state.marks),
            under_way: None,
            paused: false,
            away: false,
            doubt: None,
            outbox: Outbox::resume(shard, &state, around.env.rules.catalogue.clone()),
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

    // ---- sagas in memory ----

    /// A customer's order is taken in.
    pub fn submit(&mut self, customer: usize, around: &mut Around<'_>) {
        let ids = (around.env.id(), around.env.id());
        let (order, claim) = around.env.customers[customer].order(ids, around.now);
        let rules = std::sync::Arc::clone(&around.env.rules);
        let id = order.saga;
        let birth =
            turn::birth(rules.definition(), &order, None).expect("an order has a JSON form");
        let placed = (order, Some(claim));
        match turn::begin(rules.definition(), id, birth, placed, around.now) {
            Ok(entry) => {
                let actor = self.awake(id, None);
                actor.busy = Some(Then::Born(customer));
                let actor = actor.id;
                self.offer(entry, Ticket { saga: id, actor }, around);
            }
            Err(error) => around.env.violated(|| format!("a saga can't begin: {error}")),
        }
    }

    fn awake(&mut self, id: SagaId, saga: Option<Saga>) -> &mut Actor {
        self.actors_ever += 1;
        self.timers.set(id, saga.as_ref().and_then(|saga| saga.state.next_due()));
        let actor = Actor {
            id: self.actors_ever,
            just_read: saga.is_some(),
            saga,
            busy: None,
            writes: 0,
            inbox: VecDeque::new(),
        };
        self.sagas.insert(id, Slot::Awake(actor));
        match self.sagas.get_mut(&id) {
            Some(Slot::Awake(actor)) => actor,
            _ => unreachable!("it was just put there"),
        }
    }

    pub fn tell(&mut self, saga: SagaId, tell: Tell, around: &mut Around<'_>) {
        match self.sagas.get_mut(&saga) {
            Some(Slot::Awake(actor)) => {
                actor.inbox.push_back(tell);
                self.proceed(saga, around);
            }
            Some(Slot::Loading(waiting)) => waiting.push(tell),
            None => drop(self.sagas.insert(saga, Slot::Loading(vec![tell]))),
        }
    }

    pub fn is_loading(&self) -> bool {
        self.sagas.values().any(|slot| matches!(slot, Slot::Loading(_)))
    }

    /// Loads the sagas that something waits for.
    pub fn load(&mut self, around: &mut Around<'_>) {
        let loading: Vec<SagaId> = self
            .sagas
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Loading(_)))
            .map(|(id, _)| *id)
            .collect();
        for id in loading {
            let Some(Slot::Loading(waiting)) = self.sagas.remove(&id) else { continue };
            match around.env.store.load(self.shard, id).cloned() {
                Some(saga) => {
                    self.awake(id, Some(saga));
                    waiting.into_iter().for_each(|tell| self.tell(id, tell, around));
                }
                None => {
                    for tell in waiting {
                        if let Tell::Answer { held, .. } = tell {
                            self.bury(held, "no such saga".to_owned(), around);
                        }
                    }
                }
            }
        }
    }

    /// Takes what waits for a saga, one after the other, until it waits for a commit.
    fn proceed(&mut self, id: SagaId, around: &mut Around<'_>) {
        loop {
            let Some(Slot::Awake(actor)) = self.sagas.get_mut(&id) else { return };
            if actor.busy.is_some() {
                return;
            }
            let Some(tell) = actor.inbox.pop_front() else { return self.end(id, around) };
            let just_read = std::mem::take(&mut actor.just_read);
            let (Some(saga), actor) = (actor.saga.clone(), actor.id) else { continue };
            let ticket = Ticket { saga: id, actor };
            match tell {
                Tell::Answer { to, answer, held } => {
                    self.answered((&saga, just_read), (to, answer), held, ticket, around);
                }
                Tell::Due => self.is_due(&saga, ticket, around),
                Tell::Input(input) => {
                    let (rules, input_id) = (&around.env.rules, input.id);
                    let entry = turn::want(rules.definition(), &saga, input, around.now);
                    self.write(entry, Then::Input(input_id), ticket, around);
                }
            }
        }
    }

    fn answered(
        &mut self,
        (saga, just_read): (&Saga, bool),
        (to, answer): (Sequence, Answer),
        held: Held,
        ticket: Ticket,
        around: &mut Around<'_>,
    ) {
        let rules = std::sync::Arc::clone(&around.env.rules);
        let definition = rules.definition();
        if let Some((queue, asked_at)) = turn::reached(definition, saga, to, &answer) {
            around.queues.answered(queue, asked_at);
        }
        match turn::answer(definition, (saga, just_read), to, answer, around.now) {
            Ok(Turn::Ignored(_)) => {
                around.env.acknowledge_reply(held);
                self.end(saga.id, around);
            }
            Ok(Turn::Behind) => {
                around.env.give_back(held);
                self.drop_actor(saga.id, around);
            }
            Ok(Turn::Write(entry)) => self.write(*entry, Then::Answer(held), ticket, around),
            Err(error) => around.env.violated(|| format!("an answer was rejected: {error}")),
        }
    }

    fn is_due(&mut self, saga: &Saga, ticket: Ticket, around: &mut Around<'_>) {
        let rules = std::sync::Arc::clone(&around.env.rules);
        match turn::due(rules.definition(), saga, around.queues.reached(), around.now) {
            Ok(Turn::Write(entry)) => self.write(*entry, Then::Nothing, ticket, around),
            Ok(Turn::Ignored(_) | Turn::Behind) => {
                let Hold { until, probes } =
                    turn::hold(rules.definition(), saga, around.queues, around.now);
                for sequence in probes {
                    let messages = self.outbox.ask_again(saga, sequence);
                    self.publish(messages, around);
                }
                self.timers.set(saga.id, until);
            }
            Err(error) => around.env.violated(|| format!("what is due can't be done: {error}")),
        }
    }

    fn write(&mut self, entry: Entry, then: Then, ticket: Ticket, around: &mut Around<'_>) {
        if let Some(Slot::Awake(actor)) = self.sagas.get_mut(&ticket.saga) {
            actor.busy = Some(then);
        }
        self.offer(entry, ticket, around);
    }

    fn offer(&mut self, entry: Entry, ticket: Ticket, around: &mut Around<'_>) {
        if let Some(Slot::Awake(actor)) = self.sagas.get_mut(&ticket.saga) {
            actor.writes = digest(&(&entry.events, &entry.inputs));
        }
        if self.writer.offer(entry, ticket).is_err() {
            around.env.violated(|| "the journal is full".to_owned());
        }
        self.pump();
    }

    /// A saga that has ended goes once it has dealt with all that it was told.
    fn end(&mut self, id: SagaId, around: &mut Around<'_>) {
        if let Some(slot @ Slot::Awake(actor)) = self.sagas.get(&id)
            && is_idle(slot)
            && actor.saga.as_ref().is_some_and(|saga| saga.state.phase.is_end())
        {
            self.drop_actor(id, around);
        }
    }

    /// Drops a saga from memory. What waits for it goes back to where it came from.
    fn drop_actor(&mut self, id: SagaId, around: &mut Around<'_>) {
        let (tells, then) = match self.sagas.remove(&id) {
            Some(Slot::Awake(actor)) => (Vec::from(actor.inbox), actor.busy),
            Some(Slot::Loading(waiting)) => (waiting, None),
            None => return,
        };
        self.timers.set(id, None);
        for tell in tells {
            match tell {
                Tell::Answer { held, .. } => around.env.give_back(held),
                Tell::Input(input) => drop(self.in_hand.remove(&input.id)),
                Tell::Due => {}
            }
        }
        match then {
            Some(Then::Answer(held)) => around.env.give_back(held),
            Some(Then::Input(input)) => drop(self.in_hand.remove(&input)),
            Some(Then::Born(customer)) => around.env.customers[customer].state = Asking::Idle,
            Some(Then::Nothing) | None => {}
        }
    }

    /// Whether some saga in memory has nothing to do.
    pub fn has_idle(&self) -> bool {
        self.sagas.values().any(is_idle)
    }

    /// Puts the sagas to sleep that have nothing to do.
    pub fn sleep(&mut self) {
        let idle: Vec<SagaId> =
            self.sagas.iter().filter(|(_, slot)| is_idle(slot)).map(|(id, _)| *id).collect();
        for id in idle {
            self.sagas.remove(&id);
            self.timers.set(id, None);
        }
    }

    // ---- the journal ----

    fn pump(&mut self) {
        if self.under_way.is_none()
            && let Some(batch) = self.writer.next(self.outbox.marks())
        {
            self.under_way = Some(Transaction { batch, result: None });
        }
    }

    /// A transaction for the marks alone, if one is wanted.
    pub fn flush(&mut self) -> bool {
        if self.under_way.is_some() {
            return false;
        }
        let batch = self.writer.flush(self.outbox.marks());
        self.under_way = batch.map(|batch| Transaction { batch, result: None });
        self.under_way.is_some()
    }

    /// Whether the marks are to be written, or the store is to be looked for.
    pub fn wants_flush(&self) -> bool {
        self.under_way.is_none() && self.writer.wants_flush(self.outbox.marks())
    }

    /// The transaction under way reaches the store.
    pub fn commit(&mut self, fate: Fate, env: &mut Env) {
        let Some(Transaction { batch, result: result @ None }) = &mut self.under_way else {
            return;
        };
        let doubt = Doubt::about(self.doubt.clone());
        *result = Some(match fate {
            Fate::Away => {
                env.faults.count(Fault::CommitFailed);
                Err(UNAVAILABLE)
            }
            Fate::Fine => env.commit(batch, &doubt).map(|(outcomes, _)| {
                self.doubt = None;
                outcomes
            }),
            Fate::Unheard => env.commit(batch, &doubt).and_then(|(_, attempt)| {
                env.faults.count(Fault::CommitUnheard);
                self.doubt = Some(attempt);
                Err(UNAVAILABLE)
            }),
            Fate::Vanished => env.store.clone().commit(batch, &doubt).and_then(|(_, attempt)| {
                env.faults.count(Fault::CommitFailed);
                self.doubt = Some(attempt);
                Err(UNAVAILABLE)
            }),
        });
    }

    /// The outcome of the transaction reaches the process. Tells whether the shard is somebody
    /// else's by now.
    pub fn settle(&mut self, around: &mut Around<'_>) -> bool {
        let has_ended = |transaction: &mut Transaction| transaction.result.is_some();
        let Some(Transaction { batch, result: Some(result) }) = self.under_way.take_if(has_ended)
        else {
            return false;
        };
        let Ended { settled, away, deposed } = self.writer.ended(batch.marks, result);
        (self.away, self.paused) = (away, away);
        if away {
            self.outbox.doubt();
        }
        let committed: Vec<(Seq, Entry)> = settled
            .iter()
            .filter_map(|settled| match settled.outcome {
                Ok(EntryOutcome::Written(seq)) => Some((seq, settled.entry.clone())),
                _ => None,
            })
            .collect();
        let messages = self.outbox.committed(committed);
        self.publish(messages, around);
        for settled in settled {
            self.written(settled.ticket, settled.entry, settled.outcome, around);
        }
        self.pump();
        deposed
    }

    /// A saga learns what became of its entry.
    fn written(
        &mut self,
        Ticket { saga: id, actor }: Ticket,
        entry: Entry,
        outcome: Result<EntryOutcome, StoreError>,
        around: &mut Around<'_>,
    ) {
        let Some(Slot::Awake(awake)) = self.sagas.get_mut(&id).filter(|slot| is(slot, actor))
        else {
            return;
        };
        let then = awake.busy.take();
        let aftermath = turn::aftermath(&outcome);
        let mut gone = false;
        match aftermath {
            Aftermath::Moved => {
                self.timers.set(id, entry.saga.state.next_due());
                awake.saga = Some(entry.saga);
            }
            Aftermath::Stale => gone = true,
            Aftermath::Unwritten => {
                gone = awake.saga.is_none();
                self.timers.set(id, Some(around.now.plus_millis(LOOK_AGAIN_AFTER_MS)));
            }
        }
        match then {
            Some(Then::Born(customer)) => tell_customer(customer, &entry.order, &outcome, around),
            Some(Then::Answer(held)) => match turn::acknowledgement(&outcome) {
                Acknowledgement::Acknowledge => around.env.acknowledge_reply(held),
                Acknowledgement::GiveBack | Acknowledgement::GiveBackLater => {
                    around.env.give_back(held);
                }
                Acknowledgement::Bury(cause) => self.bury(held, cause, around),
            },
            Some(Then::Input(input)) => drop(self.in_hand.remove(&input)),
            Some(Then::Nothing) | None => {}
        }
        if gone {
            self.drop_actor(id, around);
        } else {
            self.end(id, around);
        }
        self.proceed(id, around);
    }

    /// The pause after the store was away is over.
    pub fn resume(&mut self) {
        self.paused = false;
        self.writer.resume();
        self.pump();
    }

    // ---- the publisher ----

    fn publish(&mut self, messages: Vec<Tagged>, around: &mut Around<'_>) {
        let from = Publisher::House {
            connection: around.connection,
            shard: self.shard,
            epoch: self.writer.epoch(),
        };
        for Tagged { tag, outgoing, .. } in messages {
            around.env.publish(from, tag, outgoing);
        }
    }

    /// Whether the history is to be read.
    pub fn wants_history(&self) -> bool {
        !self.away && self.outbox.wants_page_after().is_some()
    }

    /// Reads what has to be published from the history.
    pub fn read_history(&mut self, around: &mut Around<'_>) {
        self.outbox.breathe();
        let Some(after) = self.outbox.wants_page_after() else { return };
        let rows = around.env.store.history_after(self.shard, after, skald::journal::feed::PAGE);
        let Page { messages, lost, .. } = self.outbox.read(after, &rows);
        self.publish(messages, around);
        for Lost { seq, saga, to } in lost {
            let key = format!("lost:{to}");
            let mut input =
                NewInput::command_lost((saga, to), Setback::Unroutable, key, around.now);
            input.id = around.env.id();
            around.env.store.admit(input);
            self.outbox.on_record(seq, true);
            self.read_inputs(around);
        }
    }

    /// Asks steps again that are open since before the shard was taken over.
    pub fn ask_again(&mut self, around: &mut Around<'_>) {
        let Some((_, since)) = self.asks_again.take() else { return };
        let sagas: Vec<Saga> = around.env.store.unfinished(self.shard).cloned().collect();
        for saga in sagas {
            for sequence in skald::saga::effect::asked_before(&saga, since) {
                let messages = self.outbox.ask_again(&saga, sequence);
                self.publish(messages, around);
            }
        }
    }

    // ---- the registry ----

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
        around.env.bury(letter);
    }
}

fn is_idle(slot: &Slot) -> bool {
    matches!(slot, Slot::Awake(actor) if actor.busy.is_none() && actor.inbox.is_empty())
}

fn is(slot: &Slot, actor: u32) -> bool {
    matches!(slot, Slot::Awake(awake) if awake.id == actor)
}

/// A customer is told what became of its order, or is not.
fn tell_customer(
    customer: usize,
    placed: &Option<skald::ports::ledger::OrderChange>,
    outcome: &Result<EntryOutcome, StoreError>,
    around: &mut Around<'_>,
) {
    use skald::ports::ledger::OrderChange;
    let told = match (outcome, placed) {
        (Ok(EntryOutcome::Written(_)), Some(OrderChange::Placed(order, _))) => Some(order.id),
        (Ok(EntryOutcome::Replayed(answer)), _) => Some(answer.order),
        _ => None,
    };
    match told {
        Some(order) => {
            let checked = crate::promises::accepted(around.env, customer, order);
            around.env.ensure(checked);
            let customer = &mut around.env.customers[customer];
            (customer.state, customer.told) = (Asking::Told, Some(order));
        }
        None => around.env.customers[customer].state = Asking::Idle,
    }
}
