//! The one writer of a shard: which transaction comes next, and what its outcome means.

use super::batcher::{Batcher, Limits, Settled, Ticketed};
use crate::ports::StoreError;
use crate::ports::ledger::{Batch, Entry, EntryOutcome, Marks, Shard};

/// Writes a shard that was claimed under an epoch, one transaction at a time.
#[derive(Clone, Debug, Hash)]
pub struct Writer<T> {
    batcher: Batcher<T>,
    shard: Shard,
    epoch: i64,
    /// The marks that the newest transaction wrote.
    flushed: Marks,
    /// Whether the store was not available to the newest transaction.
    away: bool,
    pausing: bool,
}

/// What the end of a transaction means.
#[derive(Debug)]
pub struct Ended<T> {
    /// The entries that are settled by it.
    pub settled: Vec<Settled<T>>,
    /// Whether the store was not available: more may be committed than was told, and nothing is
    /// written before [`Writer::resume`].
    pub away: bool,
    /// Whether somebody else owns the shard by now.
    pub deposed: bool,
}

impl<T> Writer<T> {
    /// A writer of `shard`, which the caller claimed under `epoch` with these marks.
    pub fn new(shard: Shard, epoch: i64, marks: Marks) -> Self {
        Self {
            batcher: Batcher::new(Limits::default()),
            shard,
            epoch,
            flushed: marks,
            away: false,
            pausing: false,
        }
    }

    /// The epoch under which it writes.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The marks that the newest transaction wrote.
    pub fn flushed(&self) -> Marks {
        self.flushed
    }

    /// How many entries wait.
    pub fn waiting(&self) -> usize {
        self.batcher.waiting()
    }

    /// Takes an entry in, or gives it back if too many wait.
    pub fn offer(&mut self, entry: Entry, ticket: T) -> Result<(), Box<Ticketed<T>>> {
        self.batcher.offer(entry, ticket)
    }

    /// The next transaction, if there is something to write and none is under way. Its outcome must
    /// be told by [`ended`](Self::ended).
    pub fn next(&mut self, marks: Marks) -> Option<Batch> {
        if self.pausing {
            return None;
        }
        let entries = self.batcher.next_batch()?;
        Some(self.batch(marks, entries))
    }

    /// A transaction for the marks alone, if they moved and nothing else is to be written; or one
    /// that finds out whether the store is back, while nobody else would.
    pub fn flush(&mut self, marks: Marks) -> Option<Batch> {
        let wanted = self.wants_flush(marks);
        (wanted && self.batcher.begin_empty()).then(|| self.batch(marks, Vec::new()))
    }

    /// Whether there is a reason for [`flush`](Self::flush).
    pub fn wants_flush(&self, marks: Marks) -> bool {
        (marks != self.flushed || self.away) && !self.pausing
    }

    fn batch(&self, marks: Marks, entries: Vec<Entry>) -> Batch {
        Batch { shard: self.shard, epoch: self.epoch, marks, entries }
    }

    /// The transaction under way, which was to write these marks, came to its end.
    pub fn ended(
        &mut self,
        marks: Marks,
        result: Result<Vec<EntryOutcome>, StoreError>,
    ) -> Ended<T> {
        self.away = matches!(result, Err(StoreError::Unavailable { .. }));
        self.pausing = self.away;
        if result.is_ok() {
            self.flushed = marks;
        }
        let deposed = matches!(result, Err(StoreError::Deposed { .. }));
        Ended { settled: self.batcher.settle(result), away: self.away, deposed }
    }

    /// The pause after the store was not available is over.
    pub fn resume(&mut self) {
        self.pausing = false;
    }
}
