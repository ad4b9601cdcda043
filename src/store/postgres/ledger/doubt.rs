//! What a COMMIT came to whose answer was lost. Pure, but for the memory of such COMMITs.
//!
//! A transaction that writes history moves its shard's last position on, and nobody else can while
//! the epoch is the same. So whoever locks the shard's row later, which waits for the old transaction
//! to end, can read from it whether that one was committed: if so, its entries are written, with the
//! positions that they were given; if not, they can be written now. A transaction without history
//! leaves no trace, and none is needed: what it writes comes out the same if it is written twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::ports::ledger::{Entry, Seq, Shard};
use crate::saga::id::{SagaId, Sequence};

/// Entries by what they did to which saga, with their first positions.
type Written = BTreeMap<(SagaId, Sequence, Sequence), Seq>;

fn identity(entry: &Entry) -> (SagaId, Sequence, Sequence) {
    (entry.saga.id, entry.expected, entry.saga.state.version)
}

/// Entries that are known to be committed although nobody was told.
#[derive(Clone, Debug, Default, Hash)]
pub struct Known(Written);

impl Known {
    /// The first position of an entry that was committed before.
    pub fn position_of(&self, entry: &Entry) -> Option<Seq> {
        self.0.get(&identity(entry)).copied()
    }
}

/// What a transaction is about to commit.
#[derive(Clone, Debug, Default, Hash)]
pub struct Attempt {
    before: Seq,
    after: Seq,
    written: Written,
    known: Written,
}

impl Attempt {
    /// One that finds the shard's history ending at `last_seq`.
    pub fn after(last_seq: Seq, known: Known) -> Self {
        Self { before: last_seq, after: last_seq, written: BTreeMap::new(), known: known.0 }
    }

    /// It writes this entry from position `first_seq` on.
    pub fn writes(&mut self, entry: &Entry, first_seq: Seq) {
        if !entry.events.is_empty() {
            self.after = first_seq + entry.events.len() as Seq - 1;
            self.written.insert(identity(entry), first_seq);
        }
    }

    /// Whether it was committed, as the shard's row tells after it has ended.
    pub fn was_committed(&self, last_seq: Seq) -> bool {
        self.after > self.before && last_seq >= self.after
    }
}

/// The last try of an owner, if it is not known what became of it.
#[derive(Clone, Debug, Default, Hash)]
pub struct Doubt(Option<Attempt>);

impl Doubt {
    /// A doubt about this try; none where there is none.
    pub fn about(attempt: Option<Attempt>) -> Self {
        Self(attempt)
    }

    /// What is known to be committed, now that the shard's row says where its history ends.
    pub fn resolved(&self, last_seq: Seq) -> Known {
        let Some(attempt) = &self.0 else { return Known::default() };
        let mut known = attempt.known.clone();
        if attempt.was_committed(last_seq) {
            known.extend(&attempt.written);
        }
        Known(known)
    }
}

/// The doubts about each shard.
#[derive(Debug, Default)]
pub(in crate::store::postgres) struct Doubts(Mutex<HashMap<Shard, (i64, Attempt)>>);

impl Doubts {
    /// The doubt about the shard; none if another epoch had it.
    pub(super) fn about(&self, shard: Shard, epoch: i64) -> Doubt {
        let doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = doubts.get(&shard).filter(|(of, _)| *of == epoch);
        Doubt::about(found.map(|(_, attempt)| attempt.clone()))
    }

    /// It is not known what became of `attempt`, which has resolved any doubt before it.
    pub(super) fn raise(&self, shard: Shard, epoch: i64, attempt: Attempt) {
        let mut doubts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        doubts.insert(shard, (epoch, attempt));
    }

    /// A transaction was committed after the one in doubt.
    pub(super) fn settle(&self, shard: Shard) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&shard);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::ledger::examples::entry;
    use crate::saga::event::{Event, Recorded};
    use crate::saga::id::Timestamp;

    const EPOCH: i64 = 3;

    /// An entry with so many events.
    fn of(n: u128, events: u64) -> Entry {
        let mut entry = entry(n, 4);
        let happened = Event::RetryRequested { by: String::new(), note: String::new() };
        let recorded = |sequence| Recorded { sequence, at: Timestamp(0), event: happened.clone() };
        entry.events = (5..5 + events).map(recorded).collect();
        entry.saga.state.version = 4 + events;
        entry
    }

    /// A try that writes these entries after position 10.
    fn attempt(entries: &[Entry]) -> Attempt {
        let mut attempt = Attempt::after(10, Known::default());
        let mut next = 11;
        for entry in entries {
            attempt.writes(entry, next);
            next += entry.events.len() as Seq;
        }
        attempt
    }

    #[test]
    fn a_try_was_committed_if_the_history_reaches_its_end() {
        let attempt = attempt(&[of(1, 2), of(2, 1)]);
        assert!(!attempt.was_committed(10));
        assert!(attempt.was_committed(13));
    }

    #[test]
    fn a_try_without_history_is_simply_made_again() {
        assert!(!attempt(&[of(1, 0)]).was_committed(10));
        assert!(!attempt(&[]).was_committed(10));
    }

    #[test]
    fn the_entries_of_a_committed_try_have_their_positions_and_no_others_have() {
        let entries = [of(1, 2), of(2, 1)];
        let doubts = Doubts::default();
        doubts.raise(7, EPOCH, attempt(&entries));
        let known = doubts.about(7, EPOCH).resolved(13);
        assert_eq!(known.position_of(&entries[0]), Some(11));
        assert_eq!(known.position_of(&entries[1]), Some(13));
        assert_eq!(known.position_of(&of(3, 1)), None);
        assert_eq!(known.position_of(&of(1, 3)), None, "it does something else to the same saga");
        let known = doubts.about(7, EPOCH).resolved(10);
        assert_eq!(known.position_of(&entries[0]), None);
    }

    #[test]
    fn what_is_known_stays_known_when_the_next_try_is_in_doubt_too() {
        let doubts = Doubts::default();
        doubts.raise(7, EPOCH, attempt(&[of(1, 2)]));
        let mut second = Attempt::after(12, doubts.about(7, EPOCH).resolved(12));
        second.writes(&of(2, 1), 13);
        doubts.raise(7, EPOCH, second);
        let known = doubts.about(7, EPOCH).resolved(12);
        assert_eq!(known.position_of(&of(1, 2)), Some(11));
        assert_eq!(known.position_of(&of(2, 1)), None);
    }

    #[test]
    fn a_doubt_ends_with_a_commit_or_with_the_epoch() {
        let doubts = Doubts::default();
        doubts.raise(7, EPOCH, attempt(&[of(1, 2)]));
        assert_eq!(doubts.about(7, EPOCH + 1).resolved(12).position_of(&of(1, 2)), None);
        assert_eq!(doubts.about(8, EPOCH).resolved(12).position_of(&of(1, 2)), None);
        doubts.settle(7);
        assert_eq!(doubts.about(7, EPOCH).resolved(12).position_of(&of(1, 2)), None);
    }
}
