//! Which entries of a batch are written. Pure.

use std::collections::{HashMap, HashSet};

use super::doubt::Known;
use crate::ports::ledger::{Batch, Claim, Entry, EntryOutcome, OrderChange, Shard};
use crate::saga::id::{SagaId, Sequence, Timestamp};

/// Whether a batch is of the shard's owner, whose epoch is `found` in the shard's row; 0 where nobody
/// ever owned it.
pub fn owns(batch: &Batch, found: i64) -> bool {
    (found > 0 && batch.epoch == found) || seeded!(NoFence)
}

/// Where a saga is stored, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its shard.
    pub shard: Shard,
    /// Its newest event.
    pub version: Sequence,
}

/// What is to become of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is written, unless its idempotency key turns out to be taken.
    Write,
    /// Its outcome is known without writing it.
    Known(EntryOutcome),
}

/// Whether the entry is the first that is heard of its saga.
pub fn is_birth(entry: &Entry) -> bool {
    entry.expected == 0 && !entry.events.is_empty()
}

/// The idempotency key of a birth and since when it is taken, if it has one.
pub fn claim(entry: &Entry) -> Option<(&Claim, Timestamp)> {
    match &entry.order {
        Some(OrderChange::Placed(order, Some(claim)))
            if is_birth(entry) && !seeded!(KeyForgotten) =>
        {
            Some((claim, order.created_at))
        }
        _ => None,
    }
}

/// Compares the entries with what is stored, and with what an earlier try is known to have written.
///
/// An entry that names the same saga as one before it conflicts: its version can't be the one that it
/// expects any more. So one statement can write all that are left.
pub fn judge(batch: &Batch, stored: &HashMap<SagaId, Stored>, known: &Known) -> Vec<Fate> {
    let mut seen = HashSet::with_capacity(batch.entries.len());
    batch
        .entries
        .iter()
        .map(|entry| {
            let id = entry.saga.id;
            if let Some(seq) = known.position_of(entry) {
                seen.insert(id);
                return Fate::Known(EntryOutcome::Written(seq));
            }
            let fits = match stored.get(&id) {
                None => is_birth(entry),
                Some(Stored { shard, version }) => {
                    !is_birth(entry) && (*shard, *version) == (batch.shard, entry.expected)
                }
            };
            match fits && seen.insert(id) {
                true => Fate::Write,
                false => Fate::Known(EntryOutcome::Conflict),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ledger::examples::{NOW, entry, order};
    use crate::ports::ledger::{Marks, StoredAnswer};
    use crate::saga::event::{Event, Recorded};

    const SHARD: u16 = 7;

    fn moved(n: u128, expected: u64) -> Entry {
        let mut entry = entry(n, expected);
        let event = Event::RetryRequested { by: String::new(), note: String::new() };
        entry.events = vec![Recorded { sequence: expected + 1, at: Timestamp(0), event }];
        entry
    }

    /// Whether each entry is written, where sagas are stored with these shards and versions.
    fn written(entries: Vec<Entry>, stored: &[(u128, u16, u64)]) -> Vec<bool> {
        let stored = stored.iter().map(|(n, shard, version)| {
            (SagaId(uuid::Uuid::from_u128(*n)), Stored { shard: *shard, version: *version })
        });
        let batch = Batch { shard: SHARD, epoch: 1, marks: Marks::default(), entries };
        let fates = judge(&batch, &stored.collect(), &Known::default());
        fates.into_iter().map(|fate| fate == Fate::Write).collect()
    }

    #[test]
    fn a_key_is_claimed_by_a_birth_and_by_nothing_else() {
        let mut entry = moved(1, 0);
        let order = order();
        entry.order = Some(OrderChange::Placed(Box::new(order.clone()), None));
        assert_eq!(claim(&entry), None, "its client gave none");
        let answer = StoredAnswer { fingerprint: vec![1], order: order.id, body: String::new() };
        let key = Claim { key: "k".to_owned(), answer };
        entry.order = Some(OrderChange::Placed(Box::new(order), Some(key.clone())));
        assert_eq!(claim(&entry), Some((&key, NOW)));
        entry.expected = 1;
        assert_eq!(claim(&entry), None);
    }

    #[test]
    fn only_the_epoch_that_owns_a_shard_may_write_it_and_nobody_one_that_was_never_owned() {
        let owns = |epoch, found| {
            owns(&Batch { shard: SHARD, epoch, marks: Marks::default(), entries: vec![] }, found)
        };
        assert!(owns(1, 1) && owns(7, 7));
        assert!(!owns(6, 7) && !owns(8, 7));
        assert!(!owns(0, 0) && !owns(1, 0));
    }

    #[test]
    fn a_birth_is_written_where_there_is_no_such_saga() {
        assert_eq!(written(vec![moved(1, 0)], &[]), [true]);
        assert_eq!(written(vec![moved(1, 0)], &[(1, SHARD, 1)]), [false]);
        assert_eq!(written(vec![moved(1, 0)], &[(1, SHARD + 1, 1)]), [false]);
    }

    #[test]
    fn a_move_is_written_from_the_version_that_it_expects() {
        assert_eq!(written(vec![moved(1, 4)], &[(1, SHARD, 4)]), [true]);
        assert_eq!(written(vec![entry(1, 4)], &[(1, SHARD, 4)]), [true]);
        for stored in [vec![], vec![(1, SHARD, 5)], vec![(1, SHARD + 1, 4)]] {
            assert_eq!(written(vec![moved(1, 4)], &stored), [false]);
            assert_eq!(written(vec![entry(1, 4)], &stored), [false]);
        }
        assert_eq!(written(vec![entry(1, 0)], &[]), [false], "nothing happened to no saga");
    }

    #[test]
    fn of_two_entries_about_one_saga_the_second_conflicts() {
        let entries = vec![moved(1, 4), moved(1, 5), moved(2, 0), moved(2, 0), moved(1, 4)];
        assert_eq!(written(entries, &[(1, SHARD, 4)]), [true, false, true, false, false]);
        assert_eq!(written(vec![moved(1, 3), moved(1, 4)], &[(1, SHARD, 4)]), [false, true]);
    }
}
