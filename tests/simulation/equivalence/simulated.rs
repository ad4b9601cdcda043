//! The simulated orchestrator's store behind the ports of the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use skald::ports::StoreError;
use skald::ports::door::{
    Admitted, DeadLetter, Door, InputId, InputOutcome, NewInput, PendingInput,
};
use skald::ports::leases::{Census, Leases, Node, NodeId};
use skald::ports::ledger::{Batch, Due, EntryOutcome, HistoryRow, Ledger, Seq, Shard, ShardState};
use skald::saga::id::{SagaId, Timestamp};
use skald::saga::state::Saga;
use skald::store::postgres::ledger::doubt::Doubt;

use crate::world::store::Store;

/// When everything happens: of the store's own time only leases know, and those of a script hold for
/// all of it or not at all.
const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

/// The simulated store as an adapter.
pub struct Simulated(Mutex<Store>);

impl Simulated {
    pub fn new(shards: Shard) -> Self {
        Self(Mutex::new(Store::new(shards)))
    }

    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap()
    }
}

impl Ledger for Simulated {
    fn claim(&self, _: Shard) -> Result<ShardState, StoreError> {
        unimplemented!("nodes claim under their leases")
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<EntryOutcome>, StoreError> {
        self.store().commit(batch, &Doubt::default()).map(|(outcomes, _)| outcomes)
    }

    fn load(&self, shard: Shard, ids: &[SagaId]) -> Result<Vec<Saga>, StoreError> {
        let store = self.store();
        Ok(ids.iter().filter_map(|id| store.load(shard, *id)).cloned().collect())
    }

    fn unfinished(
        &self,
        shard: Shard,
        after: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<Saga>, StoreError> {
        let store = self.store();
        let rest = store.unfinished(shard).filter(|saga| after.is_none_or(|after| saga.id > after));
        Ok(rest.take(limit as usize).cloned().collect())
    }

    fn due(
        &self,
        after: &BTreeMap<Shard, (Timestamp, SagaId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        Ok(self.store().due(after, until, limit))
    }

    fn history_after(
        &self,
        shard: Shard,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        Ok(self.store().history_after(shard, seq, limit))
    }

    fn forget_claims(&self, _: Timestamp, _: u32) -> Result<usize, StoreError> {
        unimplemented!("no key is forgotten in the time of a simulation")
    }
}

impl Leases for Simulated {
    fn renew(&self, node: &Node, lease: Duration) -> Result<Census, StoreError> {
        let until = NOW.plus_millis(u64::try_from(lease.as_millis()).unwrap());
        Ok(self.store().renew(node.id, until, NOW))
    }

    fn claim(
        &self,
        node: NodeId,
        shards: &[Shard],
    ) -> Result<Vec<(Shard, ShardState)>, StoreError> {
        Ok(self.store().claim(node, shards, NOW))
    }

    fn release(&self, node: NodeId, shards: &[Shard]) -> Result<(), StoreError> {
        self.store().release(node, shards);
        Ok(())
    }

    fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.store().leave(node);
        Ok(())
    }

    fn census(&self) -> Result<Census, StoreError> {
        Ok(self.store().census(NOW))
    }
}

impl Door for Simulated {
    fn admit(&self, input: &NewInput) -> Result<Admitted, StoreError> {
        Ok(self.store().admit(input.clone()))
    }

    fn pending(&self, shard: Shard, limit: u32) -> Result<Vec<PendingInput>, StoreError> {
        Ok(self.store().pending(shard).into_iter().take(limit as usize).collect())
    }

    fn waiting(&self, shards: &[Shard]) -> Result<BTreeSet<Shard>, StoreError> {
        let store = self.store();
        Ok(shards.iter().copied().filter(|shard| store.is_waiting(*shard)).collect())
    }

    fn outcome(&self, id: InputId) -> Result<Option<InputOutcome>, StoreError> {
        let store = self.store();
        Ok(store.inputs.iter().find(|row| row.input.id == id).and_then(|row| row.outcome.clone()))
    }

    fn bury(&self, letters: &[DeadLetter]) -> Result<BTreeSet<Shard>, StoreError> {
        let mut store = self.store();
        Ok(letters.iter().filter_map(|letter| store.bury(letter.clone())).collect())
    }
}
