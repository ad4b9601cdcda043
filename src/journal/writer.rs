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
    pub fn new(shard: Shard, epoch: i64, marks: Marks, limits: Limits) -> Self {
        Self {
            batcher: Batcher::new(limits),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::examples::{birth, gone};

    const MOVED: Marks = Marks { commands: 2, events: 1 };

    fn writer() -> Writer<()> {
        Writer::new(3, 7, Marks::default(), Limits::default())
    }

    #[test]
    fn marks_count_as_written_once_they_are_committed_and_are_tried_again_after_a_pause() {
        let mut writer = writer();
        assert!(writer.flush(Marks::default()).is_none(), "they did not move");
        let batch = writer.flush(MOVED).expect("they moved");
        assert_eq!((batch.shard, batch.epoch, batch.marks), (3, 7, MOVED));
        let ended = writer.ended(MOVED, Err(gone()));
        assert!(ended.away && !ended.deposed && !writer.wants_flush(MOVED));
        assert_eq!((writer.epoch(), writer.flushed()), (7, Marks::default()));
        writer.resume();
        assert!(writer.wants_flush(Marks::default()), "it looks whether the store is back");
        writer.flush(MOVED).expect("the pause is over");
        assert!(!writer.ended(MOVED, Ok(Vec::new())).away);
        assert_eq!(writer.flushed(), MOVED);
        assert!(!writer.wants_flush(MOVED));
    }

    #[test]
    fn nothing_is_written_in_a_pause_and_what_waits_goes_with_the_marks_after_it() {
        let mut writer = writer();
        writer.flush(MOVED).expect("they moved");
        writer.ended(MOVED, Err(gone()));
        writer.offer(birth(), ()).expect("there is room");
        assert!(writer.next(MOVED).is_none());
        assert_eq!(writer.waiting(), 1);
        writer.resume();
        let batch = writer.next(MOVED).expect("the pause is over");
        assert_eq!((batch.entries.len(), batch.marks, writer.waiting()), (1, MOVED, 0));
    }

    #[test]
    fn a_shard_that_somebody_else_owns_is_told_of() {
        let mut writer = writer();
        writer.flush(MOVED).expect("they moved");
        let deposed = StoreError::Deposed { shard: 3, mine: 7, found: 8 };
        let ended = writer.ended(MOVED, Err(deposed));
        assert!(ended.deposed && !ended.away);
    }
}
