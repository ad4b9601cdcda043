//! How far the sagas that are due in the store were handed to those who own them.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::ports::ledger::{Due, Shard};
use crate::saga::id::{SagaId, Timestamp};

/// Before every moment and saga.
const START: (Timestamp, SagaId) = (Timestamp(i64::MIN), SagaId(Uuid::nil()));

/// For each shard that is watched, the last moment and saga that its owner was told of.
#[derive(Clone, Debug, Default, Hash)]
pub struct Horizon(BTreeMap<Shard, (Timestamp, SagaId)>);

impl Horizon {
    /// Watches a shard, from the beginning.
    pub fn watch(&mut self, shard: Shard) {
        self.0.insert(shard, START);
    }

    /// Forgets all shards but these.
    pub fn retain(&mut self, watched: impl Fn(Shard) -> bool) {
        self.0.retain(|shard, _| watched(*shard));
    }

    /// Looks at everything again, for sagas whose actor was lost.
    pub fn rewind(&mut self) {
        self.0.values_mut().for_each(|cursor| *cursor = START);
    }

    /// After what in each shard the store is to be asked.
    pub fn cursors(&self) -> &BTreeMap<Shard, (Timestamp, SagaId)> {
        &self.0
    }

    /// These are due, in their order. Returns them by shard, to be told to its owner.
    pub fn found(&mut self, due: Vec<Due>) -> BTreeMap<Shard, Vec<SagaId>> {
        let mut by_shard: BTreeMap<Shard, Vec<SagaId>> = BTreeMap::new();
        for Due { shard, at, saga } in due {
            let Some(cursor) = self.0.get_mut(&shard) else { continue };
            *cursor = (at, saga);
            by_shard.entry(shard).or_default().push(saga);
        }
        by_shard
    }
}
