//! Which entries of a batch are written. Pure.

use std::collections::{HashMap, HashSet};

use super::doubt::Known;
use super::lock::Stored;
use crate::ports::ledger::{Batch, Claim, Entry, EntryOutcome, OrderChange};
use crate::saga::id::{SagaId, Timestamp};

/// What is to become of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is written, unless its idempotency key turns out to be taken.
    Write,
    /// Its outcome is known without writing it.
    Known(EntryOutcome),
}

/// Whether the entry is the first that is heard of its saga.
pub(super) fn is_birth(entry: &Entry) -> bool {
    entry.expected == 0 && !entry.events.is_empty()
}

/// The idempotency key of a birth and since when it is taken, if it has one.
pub(super) fn claim(entry: &Entry) -> Option<(&Claim, Timestamp)> {
    match &entry.order {
        Some(OrderChange::Placed(order, Some(claim))) if is_birth(entry) => {
            Some((claim, order.created_at))
        }
        _ => None,
    }
}

/// Compares the entries with what is stored, and with what an earlier try is known to have written.
///
/// An entry that names the same saga as one before it conflicts: its version can't be the one that it
/// expects any more. So one statement can write all that are left.
pub(super) fn judge(batch: &Batch, stored: &HashMap<SagaId, Stored>, known: &Known) -> Vec<Fate> {
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
