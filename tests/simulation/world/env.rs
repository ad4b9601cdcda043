//! All that lies outside of the processes, and the watch over what must hold of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skald::contract::message::{Exchange, Outgoing};
use skald::contract::names::MessageId;
use skald::orders::OrderId;
use skald::ports::StoreError;
use skald::ports::door::{DeadLetter, InputId};
use skald::ports::ledger::{Batch, EntryOutcome, Marks, Shard};
use skald::saga::event::Recorded;
use skald::saga::id::{SagaId, Sequence, Timestamp};
use skald::store::postgres::ledger::doubt::{Attempt, Doubt};
use uuid::Uuid;

use super::broker::{
    Broker, DEAD, Flight, Held, INVENTORY, NOTIFICATION, Parcel, Publisher, REPLIES, Told,
};
use super::customers::Customer;
use super::desk::{Post, Warehouse};
use super::rules::Rules;
use super::shared::Shared;
use super::store::{InputRow, Store};
use crate::faults::{Fault, Faults};
use crate::promises;

/// What was found broken.
pub type Broken = String;

/// All that lies outside of the processes.
#[derive(Clone)]
pub struct Env {
    pub rules: Arc<Rules>,
    pub now: Timestamp,
    pub store: Shared<Store>,
    pub warehouse: Shared<Warehouse>,
    pub post: Shared<Post>,
    pub broker: Shared<Broker>,
    pub customers: Vec<Customer>,
    /// Transactions whose process is gone; the database may still carry them out.
    pub loose: Vec<(Batch, Doubt)>,
    pub seen: Shared<Seen>,
    /// How often each node was started.
    pub lives: Vec<u32>,
    pub faults: Faults,
    pub broken: Option<Broken>,
}

/// What the broker has had safe at some time.
#[derive(Clone, Debug, Default, Hash)]
pub struct Seen {
    pub commands: BTreeSet<(SagaId, Sequence)>,
    pub events: BTreeSet<(SagaId, Sequence)>,
    pub replies: BTreeSet<(SagaId, Sequence)>,
    /// By their keys, mails that were sent: until when their claims hold, and whether the sender was
    /// told that they were.
    pub mails: BTreeMap<String, (Timestamp, bool)>,
}

/// How a message fares on its way to the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Arrival {
    /// It arrives, and the publisher will be told.
    #[default]
    Fine,
    /// It does not arrive, and the publisher learns that nobody knows.
    Lost,
    /// It arrives, and the publisher learns that nobody knows.
    Unheard,
    /// The queue is full.
    Full,
}

/// An id that says nothing of what happened before, so that worlds that are alike have the same ids.
pub fn number(high: u32, low: usize) -> Uuid {
    Uuid::from_u128(u128::from(high) << 64 | low as u128)
}

/// The place of the customer whose order this is.
pub fn whose(OrderId(id): OrderId) -> usize {
    id.as_u64_pair().1 as usize
}

impl Env {
    /// The id of a node in a new life.
    pub fn node_id(&mut self, place: usize) -> Uuid {
        self.lives[place] += 1;
        number(self.lives[place], place)
    }

    /// The id of the next input.
    pub fn input_id(&self) -> Uuid {
        number(self.store.inputs.len() as u32, 0)
    }

    pub fn violated(&mut self, what: impl FnOnce() -> Broken) {
        if self.broken.is_none() {
            self.broken = Some(what());
        }
    }

    pub fn ensure(&mut self, checked: Result<(), Broken>) {
        if let Err(broken) = checked {
            self.violated(|| broken);
        }
    }

    pub fn publish(&mut self, from: Publisher, tag: u64, outgoing: Outgoing) {
        self.broker.flights.push(Flight { from, tag, outgoing });
    }

    /// A message's way to the broker ends.
    pub fn arrive(&mut self, index: usize, arrival: Arrival) {
        let Flight { from, tag, outgoing } = self.broker.flights.remove(index);
        let told = match arrival {
            Arrival::Fine => self.route(outgoing),
            Arrival::Unheard => {
                self.faults.count(Fault::ConfirmLost);
                self.route(outgoing);
                Told::Unknown
            }
            Arrival::Lost => {
                self.faults.count(Fault::PublishLost);
                Told::Unknown
            }
            Arrival::Full => {
                self.faults.count(Fault::PublishRefused);
                Told::Rejected
            }
        };
        self.broker.say(from, tag, told);
    }

    fn route(&mut self, outgoing: Outgoing) -> Told {
        let Outgoing { exchange, routing_key, message } = outgoing;
        let id = MessageId::parse(&message.id);
        if let Some(id) = id.filter(|_| matches!(exchange, Exchange::Commands | Exchange::Events)) {
            let checked = promises::published(self, id);
            self.ensure(checked);
        }
        let id = id.map(|id| (id.saga, id.sequence));
        let queue = match exchange {
            Exchange::Commands => {
                if routing_key.starts_with("inventory.") {
                    INVENTORY
                } else {
                    NOTIFICATION
                }
            }
            Exchange::Events if self.broker.deaf => {
                self.faults.count(Fault::ListenerFull);
                return Told::Rejected;
            }
            Exchange::Events => {
                self.seen.events.extend(id);
                return Told::Confirmed;
            }
            Exchange::Default => {
                let shard = routing_key.rsplit('.').next().and_then(|shard| shard.parse().ok());
                REPLIES + shard.unwrap_or(0)
            }
            Exchange::Dead => DEAD,
        };
        if self.broker.queues[queue].missing {
            self.faults.count(Fault::Unroutable);
            return Told::Unroutable;
        }
        if self.broker.queues[queue].full {
            self.faults.count(Fault::QueueFull);
            return Told::Rejected;
        }
        match exchange {
            Exchange::Commands => self.seen.commands.extend(id),
            Exchange::Default => {
                let to = message.correlation_id.as_deref().and_then(MessageId::parse);
                self.seen.replies.extend(to.map(|to| (to.saga, to.sequence)));
            }
            Exchange::Events | Exchange::Dead => {}
        }
        self.broker.put(queue, Arc::new(message));
        Told::Confirmed
    }

    pub fn give_back(&mut self, held: Held) {
        if self.broker.give_back(held) {
            self.faults.count(Fault::DeadLetter);
        }
    }

    pub fn disconnect(&mut self, connection: u32) {
        for _ in 0..self.broker.disconnect(connection) {
            self.faults.count(Fault::DeadLetter);
        }
    }

    /// A worker acknowledges a command.
    pub fn acknowledge_command(&mut self, held: Held) {
        if let Some(Parcel { message, .. }) = self.broker.settle(held) {
            let checked = promises::command_acknowledged(self, &message);
            self.ensure(checked);
        }
    }

    /// A worker rejects a command.
    pub fn reject(&mut self, held: Held, reason: &str) {
        if let Some(Parcel { message, .. }) = self.broker.settle(held) {
            self.faults.count(Fault::DeadLetter);
            self.broker.bury(held.queue, &message, format!("rejected: {reason}"));
        }
    }

    /// A shard's owner acknowledges a reply.
    pub fn acknowledge_reply(&mut self, held: Held) {
        if let Some(Parcel { message, .. }) = self.broker.settle(held) {
            let checked = promises::reply_acknowledged(self, &message);
            self.ensure(checked);
        }
    }

    /// Stores a dead letter; tells in which shard a notice waits now.
    pub fn bury(&mut self, mut letter: DeadLetter) -> Option<Shard> {
        if let Some(notice) = &mut letter.notice {
            notice.id = self.input_id();
        }
        self.store.bury(letter)
    }

    /// A transaction reaches the store.
    pub fn commit(
        &mut self,
        batch: &Batch,
        doubt: &Doubt,
    ) -> Result<(Vec<EntryOutcome>, Attempt), StoreError> {
        let row = &self.store.shards[usize::from(batch.shard)];
        let (last_seq, marks, epoch) = (row.last_seq(), row.marks, row.epoch);
        let before: Vec<_> = batch
            .entries
            .iter()
            .map(|entry| self.store.sagas.get(&entry.saga.id).map(|row| row.saga.clone()))
            .collect();
        let open = |row: &&InputRow| row.outcome.is_none();
        let open: Vec<InputId> = match batch.entries.iter().all(|entry| entry.inputs.is_empty()) {
            true => Vec::new(),
            false => self.store.inputs.iter().filter(open).map(|row| row.input.id).collect(),
        };
        let committed = self.store.commit(batch, doubt)?;
        let settled = self.store.inputs.iter().filter(|row| row.outcome.is_some());
        let settled = settled.filter(|row| open.contains(&row.input.id)).count();
        let row = &self.store.shards[usize::from(batch.shard)];
        let wrote = row.last_seq() != last_seq || row.marks != marks || settled > 0;
        if wrote && epoch != batch.epoch {
            let mine = batch.epoch;
            self.violated(|| format!("fence: epoch {mine} wrote a shard of epoch {epoch}"));
        }
        for (entry, before) in batch.entries.iter().zip(before) {
            // Written just now, not by an earlier try.
            let is_new = self.store.sagas.get(&entry.saga.id).map(|row| &row.saga)
                == Some(&entry.saga)
                && before.as_ref().is_none_or(|before| before.state != entry.saga.state);
            if is_new {
                let checked = promises::moved(self, before.as_ref(), entry);
                self.ensure(checked);
            }
            for (id, _) in entry.inputs.iter().filter(|(id, _)| open.contains(id)) {
                let row = self.store.inputs.iter().find(|row| row.input.id == *id);
                let Some((before, row)) = before.as_ref().zip(row) else { continue };
                let checked = promises::wish_settled(before, entry, row);
                if row.is_overtaken() {
                    self.faults.count(Fault::Overtaken);
                }
                self.ensure(checked);
            }
        }
        let checked = promises::marks_advanced(self, batch.shard, marks);
        self.ensure(checked);
        Ok(committed)
    }

    pub fn marks(&self, shard: Shard) -> Marks {
        self.store.shards[usize::from(shard)].marks
    }

    pub fn rows(&self, shard: Shard) -> &[(SagaId, Arc<Recorded>)] {
        &self.store.shards[usize::from(shard)].history
    }

    /// The order that a saga is about.
    pub fn order_of(&self, saga: SagaId) -> Option<OrderId> {
        self.store.sagas.get(&saga).map(|row| row.order)
    }
}
