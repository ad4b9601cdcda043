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
            if seeded!(DuePassedBy) {
                continue;
            }
            by_shard.entry(shard).or_default().push(saga);
        }
        by_shard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Horizon {
        let mut horizon = Horizon::default();
        horizon.watch(1);
        horizon.watch(2);
        horizon
    }

    fn due(shard: Shard, at: i64) -> Due {
        Due { shard, at: Timestamp(at), saga: SagaId(Uuid::from_u128(7)) }
    }

    #[test]
    fn what_was_found_is_passed_by_until_everything_is_looked_at_again() {
        let mut horizon = watched();
        let found = horizon.found(vec![due(1, 5), due(1, 6)]);
        assert_eq!(found[&1].len(), 2);
        assert_eq!(horizon.cursors()[&1].0, Timestamp(6));
        assert_eq!(horizon.cursors()[&2], START);
        horizon.rewind();
        assert_eq!(horizon.cursors()[&1], START);
    }

    #[test]
    fn a_shard_that_was_given_up_is_nobody_to_tell() {
        let mut horizon = watched();
        horizon.retain(|shard| shard == 2);
        assert!(horizon.found(vec![due(1, 5)]).is_empty());
        assert_eq!(horizon.cursors().keys().collect::<Vec<_>>(), [&2]);
    }
}
