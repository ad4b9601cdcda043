//! What a COMMIT came to whose answer was lost. Pure, but for the memory of such COMMITs.
//!
//! A transaction that writes history moves its shard's last position on, and nobody else can while
//! the epoch is the same. So whoever locks the shard's row later, which waits for the old transaction
//! to end, can read from it whether that one was committed: if so, its entries are written, with the
//! positions that they were given; if not, they can be written now. A transaction without history
//! leaves no trace, and none is needed: what it writes comes out the same if it is written twice.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::ports::ledger::{Entry, Seq, Shard};
use crate::saga::id::{SagaId, Sequence};

/// Entries by what they did to which saga, with their first positions.
type Written = HashMap<(SagaId, Sequence, Sequence), Seq>;

fn identity(entry: &Entry) -> (SagaId, Sequence, Sequence) {
    (entry.saga.id, entry.expected, entry.saga.state.version)
}

/// Entries that are known to be committed although nobody was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Written);

impl Known {
    /// The first position of an entry that was committed before.
    pub fn position_of(&self, entry: &Entry) -> Option<Seq> {
        self.0.get(&identity(entry)).copied()
    }
}

/// What a transaction is about to commit.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempt {
    before: Seq,
    after: Seq,
    written: Written,
    known: Written,
}

impl Attempt {
    /// One that finds the shard's history ending at `last_seq`.
    pub fn after(last_seq: Seq, known: Known) -> Self {
        Self { before: last_seq, after: last_seq, written: HashMap::new(), known: known.0 }
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
#[derive(Clone, Debug, Default)]
pub(super) struct Doubt(Option<Attempt>);

impl Doubt {
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
        Doubt(found.map(|(_, attempt)| attempt.clone()))
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
