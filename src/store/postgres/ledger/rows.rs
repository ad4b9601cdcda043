//! A batch as columns: what the one statement that writes it is given.

use uuid::Uuid;

use super::super::encode::{Document, Moment, document, integer};
use super::super::failure::Failure;
use super::fate::is_birth;
use crate::orders::Order;
use crate::ports::ledger::{Entry, OrderChange, Seq};
use crate::saga::event::Recorded;
use crate::saga::state::Saga;
use crate::store::counters::Counters;

/// Sagas, one element in each column for each of them.
#[derive(Default)]
pub(super) struct Sagas<'a> {
    pub id: Vec<Uuid>,
    pub expected: Vec<i64>,
    pub version: Vec<i64>,
    pub due_at: Vec<Option<Moment>>,
    pub created_at: Vec<Moment>,
    pub updated_at: Vec<Moment>,
    pub definition: Vec<&'a str>,
    pub definition_version: Vec<i32>,
    pub business_key: Vec<&'a str>,
    pub status: Vec<&'static str>,
    pub state: Vec<Document>,
}

/// History rows, in the order of their positions.
#[derive(Default)]
pub(super) struct Events {
    pub saga: Vec<Uuid>,
    pub sequence: Vec<i64>,
    pub at: Vec<Moment>,
    pub event: Vec<Document>,
}

/// New orders.
#[derive(Default)]
pub(super) struct Orders<'a> {
    pub id: Vec<Uuid>,
    pub saga: Vec<Uuid>,
    pub total: Vec<i64>,
    pub created_at: Vec<Moment>,
    pub updated_at: Vec<Moment>,
    pub user_id: Vec<&'a str>,
    pub status: Vec<&'static str>,
    pub currency: Vec<&'static str>,
    pub email: Vec<Option<&'a str>>,
    pub reason_code: Vec<Option<&'a str>>,
    pub reason_text: Vec<Option<&'a str>>,
}

/// Lines of new orders.
#[derive(Default)]
pub(super) struct Lines<'a> {
    pub order: Vec<Uuid>,
    pub line: Vec<i32>,
    pub quantity: Vec<i64>,
    pub price: Vec<i64>,
    pub product: Vec<&'a str>,
}

/// Outcomes of pending orders.
#[derive(Default)]
pub(super) struct Settled<'a> {
    pub id: Vec<Uuid>,
    pub at: Vec<Moment>,
    pub status: Vec<&'static str>,
    pub reason_code: Vec<Option<&'a str>>,
    pub reason_text: Vec<Option<&'a str>>,
}

/// Outcomes of inputs.
#[derive(Default)]
pub(super) struct Answered {
    pub id: Vec<Uuid>,
    pub saga: Vec<Uuid>,
    pub outcome: Vec<Document>,
}

/// Everything that a batch writes, but for the shard's own row.
pub(super) struct Rows<'a> {
    /// Position of the first history row.
    pub first_seq: Seq,
    pub moved: Sagas<'a>,
    pub born: Sagas<'a>,
    pub events: Events,
    pub placed: Orders<'a>,
    pub lines: Lines<'a>,
    pub settled: Settled<'a>,
    pub answered: Answered,
    pub counters: Counters,
}

impl<'a> Rows<'a> {
    /// Nothing so far, after the history row at `last_seq`.
    pub fn new(last_seq: Seq) -> Self {
        Self {
            first_seq: last_seq + 1,
            moved: Sagas::default(),
            born: Sagas::default(),
            events: Events::default(),
            placed: Orders::default(),
            lines: Lines::default(),
            settled: Settled::default(),
            answered: Answered::default(),
            counters: Counters::default(),
        }
    }

    /// The position of the newest history row once all this is written.
    pub fn last_seq(&self) -> Seq {
        self.first_seq + self.events.saga.len() as Seq - 1
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.events.saga.is_empty()
            && self.answered.id.is_empty()
            && self.placed.id.is_empty()
            && self.settled.id.is_empty()
    }

    /// Adds an entry; tells the position of its first event.
    pub fn add(&mut self, entry: &'a Entry) -> Result<Seq, Failure> {
        let first_seq = self.last_seq() + 1;
        if let (Some(first), Some(last)) = (entry.events.first(), entry.events.last()) {
            let sagas = if is_birth(entry) { &mut self.born } else { &mut self.moved };
            sagas.add(&entry.saga, entry.expected, first, last)?;
            let definition = &entry.saga.birth.definition.name;
            let status = entry.saga.state.status();
            self.counters.saga_moved(definition, entry.status_before, status);
        }
        for recorded in &entry.events {
            self.events.add(entry.saga.id.0, recorded)?;
        }
        match &entry.order {
            Some(OrderChange::Placed(order, _)) => {
                self.placed.add(order);
                self.lines.add(order);
                self.counters.order_placed(order.status);
            }
            Some(OrderChange::Settled { id, status, reason, at }) => {
                self.settled.id.push(id.0);
                self.settled.at.push(Moment(*at));
                self.settled.status.push(status.as_str());
                let reason = reason.as_ref();
                self.settled.reason_code.push(reason.map(|reason| reason.code.as_str()));
                self.settled.reason_text.push(reason.map(|reason| reason.text.as_str()));
                self.counters.order_settled(*status, reason);
            }
            None => {}
        }
        for (input, outcome) in &entry.inputs {
            self.answered.id.push(*input);
            self.answered.saga.push(entry.saga.id.0);
            self.answered.outcome.push(document(outcome)?);
        }
        Ok(first_seq)
    }
}

impl<'a> Sagas<'a> {
    fn add(
        &mut self,
        saga: &'a Saga,
        expected: u64,
        first: &Recorded,
        last: &Recorded,
    ) -> Result<(), Failure> {
        let definition = &saga.birth.definition;
        let version = i32::try_from(definition.version);
        self.definition_version.push(version.map_err(|error| Failure::Refused(error.to_string()))?);
        self.id.push(saga.id.0);
        self.expected.push(integer(expected)?);
        self.version.push(integer(saga.state.version)?);
        self.due_at.push(saga.state.next_due().map(Moment));
        self.created_at.push(Moment(first.at));
        self.updated_at.push(Moment(last.at));
        self.definition.push(definition.name.as_str());
        self.business_key.push(&saga.birth.key);
        self.status.push(saga.state.status().as_str());
        self.state.push(document(&saga.state)?);
        Ok(())
    }
}

impl Events {
    fn add(&mut self, saga: Uuid, recorded: &Recorded) -> Result<(), Failure> {
        self.saga.push(saga);
        self.sequence.push(integer(recorded.sequence)?);
        self.at.push(Moment(recorded.at));
        self.event.push(document(&recorded.event)?);
        Ok(())
    }
}

impl<'a> Orders<'a> {
    fn add(&mut self, order: &'a Order) {
        let reason = order.reason.as_ref();
        self.id.push(order.id.0);
        self.saga.push(order.saga.0);
        self.total.push(order.total);
        self.created_at.push(Moment(order.created_at));
        self.updated_at.push(Moment(order.updated_at));
        self.user_id.push(&order.user);
        self.status.push(order.status.as_str());
        self.currency.push(order.currency.code());
        self.email.push(order.email.as_deref());
        self.reason_code.push(reason.map(|reason| reason.code.as_str()));
        self.reason_text.push(reason.map(|reason| reason.text.as_str()));
    }
}

impl<'a> Lines<'a> {
    fn add(&mut self, order: &'a Order) {
        for (line, item) in (0..).zip(&order.items) {
            self.order.push(order.id.0);
            self.line.push(line);
            self.quantity.push(item.quantity.into());
            self.price.push(item.price);
            self.product.push(&item.product);
        }
    }
}
