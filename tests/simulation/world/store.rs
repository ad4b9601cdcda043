//! The orchestrator's store, as plain values. What decides in it is the PostgreSQL adapter's own:
//! the fence, the fates of entries, and what is made of a COMMIT whose answer was lost.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use skald::orders::{OrderId, OrderStatus};
use skald::ports::StoreError;
use skald::ports::door::{Admitted, DeadLetter, InputOutcome, NewInput, PendingInput};
use skald::ports::inventory::Holding;
use skald::ports::leases::{Census, Node as Identity, NodeId};
use skald::ports::ledger::{
    Batch, Due, Entry, EntryOutcome, HistoryRow, Marks, OrderChange, Seq, Shard, ShardState,
    StoredAnswer,
};
use skald::saga::event::Recorded;
use skald::saga::id::{SagaId, Sequence, Timestamp};
use skald::saga::state::Saga;
use skald::store::postgres::ledger::doubt::{Attempt, Doubt};
use skald::store::postgres::ledger::fate::{self, Fate, Stored};

use crate::fingerprint::digest;

pub const UNAVAILABLE: StoreError =
    StoreError::Unavailable { store: "orchestrator", cause: String::new() };

/// A shard's row, and its history.
#[derive(Clone, Debug, Default)]
pub struct ShardRow {
    pub epoch: i64,
    pub owner: Option<NodeId>,
    pub marks: Marks,
    pub history: Vec<(SagaId, Arc<Recorded>)>,
    /// The history in short.
    pub digest: u64,
}

impl ShardRow {
    pub fn last_seq(&self) -> Seq {
        self.history.len() as Seq
    }
}

/// A saga's row.
#[derive(Clone, Debug)]
pub struct SagaRow {
    pub shard: Shard,
    pub saga: Saga,
    pub order: OrderId,
}

/// An order's row.
#[derive(Clone, Debug)]
pub struct OrderRow {
    pub status: OrderStatus,
    pub wanted: Holding,
}

/// A row of the door.
#[derive(Clone, Debug)]
pub struct InputRow {
    pub input: NewInput,
    pub shard: Shard,
    /// The saga's version when it was admitted.
    pub version: Sequence,
    pub outcome: Option<InputOutcome>,
}

impl InputRow {
    /// Whether the saga moved on after the version that was wished of.
    pub fn is_overtaken(&self) -> bool {
        self.input.if_version == Some(self.version)
            && matches!(self.outcome, Some(InputOutcome::VersionMismatch { .. }))
    }
}

#[derive(Clone, Debug, Default)]
pub struct Store {
    pub shards: Vec<ShardRow>,
    pub sagas: BTreeMap<SagaId, SagaRow>,
    pub orders: BTreeMap<OrderId, OrderRow>,
    pub keys: BTreeMap<String, StoredAnswer>,
    pub inputs: Vec<InputRow>,
    pub letters: BTreeSet<(String, String)>,
    pub leases: BTreeMap<NodeId, Timestamp>,
}

impl Store {
    pub fn new(shards: Shard) -> Self {
        Self { shards: vec![ShardRow::default(); usize::from(shards)], ..Self::default() }
    }

    pub fn commit(
        &mut self,
        batch: &Batch,
        doubt: &Doubt,
    ) -> Result<(Vec<EntryOutcome>, Attempt), StoreError> {
        let row = &self.shards[usize::from(batch.shard)];
        if !fate::owns(batch, row.epoch) {
            let (shard, mine, found) = (batch.shard, batch.epoch, row.epoch);
            return Err(StoreError::Deposed { shard, mine, found });
        }
        let known = doubt.resolved(row.last_seq());
        let ids = batch.entries.iter().map(|entry| entry.saga.id);
        let stored: HashMap<SagaId, Stored> = ids
            .filter_map(|id| {
                let row = self.sagas.get(&id)?;
                Some((id, Stored { shard: row.shard, version: row.saga.state.version }))
            })
            .collect();
        let fates = fate::judge(batch, &stored, &known);
        let written = batch.entries.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Write);
        for (entry, _) in written {
            self.refuse(entry)?;
        }
        let mut attempt = Attempt::after(row.last_seq(), known);
        let outcomes = batch.entries.iter().zip(fates).map(|(entry, fate)| match fate {
            Fate::Known(outcome) => outcome,
            Fate::Write => self.write(batch.shard, entry, &mut attempt),
        });
        let outcomes = outcomes.collect();
        let row = &mut self.shards[usize::from(batch.shard)];
        row.marks.commands = row.marks.commands.max(batch.marks.commands);
        row.marks.events = row.marks.events.max(batch.marks.events);
        Ok((outcomes, attempt))
    }

    fn refuse(&self, entry: &Entry) -> Result<(), StoreError> {
        if let Some(OrderChange::Settled { id, .. }) = &entry.order
            && self.orders.get(id).is_none_or(|order| order.status != OrderStatus::Pending)
        {
            let cause = format!("order {id} is not pending");
            return Err(StoreError::Refused { store: "orchestrator", cause });
        }
        Ok(())
    }

    fn write(&mut self, shard: Shard, entry: &Entry, attempt: &mut Attempt) -> EntryOutcome {
        if let Some((claim, _)) = fate::claim(entry) {
            if let Some(answer) = self.keys.get(&claim.key) {
                return EntryOutcome::Replayed(answer.clone());
            }
            self.keys.insert(claim.key.clone(), claim.answer.clone());
        }
        let row = &mut self.shards[usize::from(shard)];
        let first_seq = row.last_seq() + 1;
        let id = entry.saga.id;
        row.digest = digest(&(row.digest, id, &entry.events));
        row.history.extend(entry.events.iter().map(|event| (id, Arc::new(event.clone()))));
        attempt.writes(entry, first_seq);
        match &entry.order {
            Some(OrderChange::Placed(order, _)) => {
                let mut wanted = Holding::new();
                for item in &order.items {
                    *wanted.entry(item.product.clone()).or_default() += i64::from(item.quantity);
                }
                self.orders.insert(order.id, OrderRow { status: order.status, wanted });
                let saga = entry.saga.clone();
                self.sagas.insert(id, SagaRow { shard, saga, order: order.id });
            }
            Some(OrderChange::Settled { id, status, .. }) => {
                if let Some(order) = self.orders.get_mut(id) {
                    order.status = *status;
                }
            }
            None => {}
        }
        if let Some(row) = self.sagas.get_mut(&id) {
            row.saga = entry.saga.clone();
        }
        for (input, outcome) in &entry.inputs {
            let found = self.inputs.iter_mut().find(|row| row.input.id == *input);
            // What is wanted of another saga is not this one's to settle.
            let is_open = |row: &&mut InputRow| row.input.saga == id && row.outcome.is_none();
            if let Some(row) = found.filter(is_open) {
                row.outcome = Some(outcome.clone());
            }
        }
        EntryOutcome::Written(first_seq)
    }

    /// A saga of this shard.
    pub fn load(&self, shard: Shard, id: SagaId) -> Option<&Saga> {
        self.sagas.get(&id).filter(|row| row.shard == shard).map(|row| &row.saga)
    }

    pub fn history_after(&self, shard: Shard, seq: Seq, limit: u32) -> Vec<HistoryRow> {
        let rows = (1..).zip(&self.shards[usize::from(shard)].history).skip(seq as usize);
        rows.take(limit as usize)
            .filter_map(|(seq, (id, recorded))| {
                let saga = self.sagas.get(id)?.saga.clone();
                Some(HistoryRow { seq, recorded: recorded.as_ref().clone(), saga })
            })
            .collect()
    }

    pub fn unfinished(&self, shard: Shard) -> impl Iterator<Item = &Saga> {
        self.sagas
            .values()
            .filter(move |row| row.shard == shard && !row.saga.state.phase.is_end())
            .map(|row| &row.saga)
    }

    pub fn due(
        &self,
        after: &BTreeMap<Shard, (Timestamp, SagaId)>,
        until: Timestamp,
        limit: u32,
    ) -> Vec<Due> {
        let mut all = Vec::new();
        for (&shard, &cursor) in after {
            let of_shard = self.sagas.values().filter(|row| row.shard == shard);
            let mut due: Vec<Due> = of_shard
                .filter_map(|row| {
                    let (at, saga) = (row.saga.state.next_due()?, row.saga.id);
                    (at <= until && (at, saga) > cursor).then_some(Due { shard, at, saga })
                })
                .collect();
            due.sort_unstable_by_key(|due| (due.at, due.saga));
            due.truncate(limit as usize);
            all.extend(due);
        }
        all
    }

    pub fn admit(&mut self, input: NewInput) -> Admitted {
        let Some(row) = self.sagas.get(&input.saga) else { return Admitted::NoSuchSaga };
        let (shard, version) = (row.shard, row.saga.state.version);
        let same = |row: &&InputRow| {
            row.input.saga == input.saga && row.input.client_key == input.client_key
        };
        if let Some(row) = self.inputs.iter().find(same) {
            let repeats =
                (&row.input.request, row.input.if_version) == (&input.request, input.if_version);
            return match repeats {
                true => Admitted::Repeated(row.input.id, shard, row.outcome.clone()),
                false => Admitted::KeyTaken,
            };
        }
        let id = input.id;
        self.inputs.push(InputRow { input, shard, version, outcome: None });
        Admitted::Stored(id, shard)
    }

    pub fn pending(&self, shard: Shard) -> Vec<PendingInput> {
        let waiting = self.inputs.iter().filter(|row| row.shard == shard && row.outcome.is_none());
        let mut pending: Vec<PendingInput> = waiting
            .map(|InputRow { input, .. }| PendingInput {
                id: input.id,
                saga: input.saga,
                request: input.request.clone(),
                if_version: input.if_version,
            })
            .collect();
        pending.sort_unstable_by_key(|input| input.id);
        pending
    }

    pub fn is_waiting(&self, shard: Shard) -> bool {
        self.inputs.iter().any(|row| row.shard == shard && row.outcome.is_none())
    }

    /// Stores a dead letter; tells in which shard a notice waits now.
    pub fn bury(&mut self, letter: DeadLetter) -> Option<Shard> {
        if !self.letters.insert((letter.message_id, letter.queue)) {
            return None;
        }
        match self.admit(letter.notice?) {
            Admitted::Stored(_, shard) => Some(shard),
            _ => None,
        }
    }

    pub fn renew(&mut self, node: NodeId, until: Timestamp, now: Timestamp) -> Census {
        self.leases.insert(node, until);
        self.census(now)
    }

    pub fn lives(&self, node: NodeId, now: Timestamp) -> bool {
        self.leases.get(&node).is_some_and(|until| *until > now)
    }

    pub fn census(&self, now: Timestamp) -> Census {
        let living = self.leases.iter().filter(|(_, until)| **until > now);
        let nodes = living.map(|(id, _)| Identity {
            id: *id,
            name: String::new(),
            url: String::new(),
            started_at: Timestamp(0),
        });
        let owner = |row: &ShardRow| row.owner.filter(|owner| self.lives(*owner, now));
        Census { nodes: nodes.collect(), owners: self.shards.iter().map(owner).collect() }
    }

    pub fn claim(
        &mut self,
        node: NodeId,
        wanted: &[Shard],
        now: Timestamp,
    ) -> Vec<(Shard, ShardState)> {
        let mut claimed = Vec::new();
        for &shard in wanted {
            let owner = self.shards[usize::from(shard)].owner;
            if owner.is_some_and(|owner| self.lives(owner, now)) {
                continue;
            }
            let row = &mut self.shards[usize::from(shard)];
            row.owner = Some(node);
            row.epoch += 1;
            let (epoch, last_seq, marks) = (row.epoch, row.last_seq(), row.marks);
            claimed.push((shard, ShardState { epoch, last_seq, marks }));
        }
        claimed
    }

    pub fn release(&mut self, node: NodeId, given_up: &[Shard]) {
        for &shard in given_up {
            let row = &mut self.shards[usize::from(shard)];
            row.owner = row.owner.filter(|owner| *owner != node);
        }
    }
    /// Gives up all shards of a node, and forgets it.
    pub fn leave(&mut self, node: NodeId) {
        let all: Vec<Shard> = (0..self.shards.len() as Shard).collect();
        self.release(node, &all);
        self.leases.remove(&node);
    }
}
