//! Sagas in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use skald::journal::turn::{self, Hold, Turn};
use skald::ports::ledger::Entry;
use skald::saga::id::{SagaId, Sequence};
use skald::saga::input::Answer;
use skald::saga::state::Saga;

use super::{Actor, Around, House, Slot, Tell, Then, Ticket};
use crate::faults::Fault;
use crate::fingerprint::digest;
use crate::world::broker::Held;
use crate::world::customers::Asking;
use crate::world::store::UNAVAILABLE;

impl House {
    /// A customer's order is taken in.
    pub fn submit(&mut self, customer: usize, around: &mut Around<'_>) {
        let (order, claim) = around.env.customers[customer].order(around.now);
        let rules = Arc::clone(&around.env.rules);
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

    pub(super) fn awake(&mut self, id: SagaId, saga: Option<Saga>) -> &mut Actor {
        self.actors_ever += 1;
        self.timers.set(id, saga.as_ref().and_then(|saga| saga.state.next_due()));
        let actor =
            Actor { id: self.actors_ever, saga, busy: None, writes: 0, inbox: VecDeque::new() };
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
                    for mut tell in waiting {
                        if let Tell::Answer { just_read, .. } = &mut tell {
                            *just_read = true;
                        }
                        self.tell(id, tell, around);
                    }
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
    pub(super) fn proceed(&mut self, id: SagaId, around: &mut Around<'_>) {
        loop {
            let Some(Slot::Awake(actor)) = self.sagas.get_mut(&id) else { return };
            if actor.busy.is_some() {
                return;
            }
            let Some(tell) = actor.inbox.pop_front() else { return self.end(id, around) };
            let (Some(saga), actor) = (actor.saga.clone(), actor.id) else { continue };
            let ticket = Ticket { saga: id, actor };
            match tell {
                Tell::Answer { to, answer, held, just_read } => {
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

    pub(super) fn answered(
        &mut self,
        (saga, just_read): (&Saga, bool),
        (to, answer): (Sequence, Answer),
        held: Held,
        ticket: Ticket,
        around: &mut Around<'_>,
    ) {
        let rules = Arc::clone(&around.env.rules);
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

    pub(super) fn is_due(&mut self, saga: &Saga, ticket: Ticket, around: &mut Around<'_>) {
        let rules = Arc::clone(&around.env.rules);
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

    pub(super) fn write(
        &mut self,
        entry: Entry,
        then: Then,
        ticket: Ticket,
        around: &mut Around<'_>,
    ) {
        if let Some(Slot::Awake(actor)) = self.sagas.get_mut(&ticket.saga) {
            actor.busy = Some(then);
        }
        self.offer(entry, ticket, around);
    }

    pub(super) fn offer(&mut self, entry: Entry, ticket: Ticket, around: &mut Around<'_>) {
        if let Some(Slot::Awake(actor)) = self.sagas.get_mut(&ticket.saga) {
            actor.writes = digest(&(&entry.events, &entry.inputs));
        }
        match self.writer.offer(entry, ticket) {
            Ok(()) => self.pump(),
            Err(refused) => {
                around.env.faults.count(Fault::JournalFull);
                self.written(refused.ticket, refused.entry, Err(UNAVAILABLE), around);
            }
        }
    }

    /// A saga that has ended goes once it has dealt with all that it was told.
    pub(super) fn end(&mut self, id: SagaId, around: &mut Around<'_>) {
        if let Some(slot @ Slot::Awake(actor)) = self.sagas.get(&id)
            && is_idle(slot)
            && actor.saga.as_ref().is_some_and(|saga| saga.state.phase.is_end())
        {
            self.drop_actor(id, around);
        }
    }

    /// Drops a saga from memory. What waits for it goes back to where it came from.
    pub(super) fn drop_actor(&mut self, id: SagaId, around: &mut Around<'_>) {
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
}

fn is_idle(slot: &Slot) -> bool {
    matches!(slot, Slot::Awake(actor) if actor.busy.is_none() && actor.inbox.is_empty())
}

pub(super) fn is(slot: &Slot, actor: u32) -> bool {
    matches!(slot, Slot::Awake(awake) if awake.id == actor)
}
