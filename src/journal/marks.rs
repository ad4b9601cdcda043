//! How far the broker has confirmed a shard's history.

use std::collections::VecDeque;

use crate::ports::ledger::Seq;

/// The confirmed prefix of a shard's history, for one kind of message.
///
/// Confirmations come in any order; the mark is the end of the longest prefix without a gap, so
/// that everything beyond it, and nothing before it, is sent again after a crash.
#[derive(Clone, Debug, Hash)]
pub struct Track {
    mark: Seq,
    /// The rows after the mark.
    after: VecDeque<Row>,
}

/// What is known of a row's message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Row {
    /// It still has to be published, if there is one.
    Open,
    /// It was published and not settled.
    InFlight,
    /// It is confirmed, or there is none.
    Done,
}

impl Track {
    /// Continues from a stored mark; the rows from there to `last_seq` are not done with.
    pub fn resume(mark: Seq, last_seq: Seq) -> Self {
        let open = usize::try_from(last_seq.saturating_sub(mark)).unwrap_or(usize::MAX);
        Self { mark, after: std::iter::repeat_n(Row::Open, open).collect() }
    }

    /// Takes note that the next row was committed.
    ///
    /// Rows come in the order of their seqs; one that was seen before changes nothing, and one
    /// that leaves a gap opens the rows in between.
    pub fn committed(&mut self, seq: Seq) {
        while self.last_seq() < seq {
            self.after.push_back(Row::Open);
        }
    }

    /// Takes note that the message of the row at `seq` was published.
    pub fn published(&mut self, seq: Seq) {
        self.set(seq, Row::InFlight);
    }

    /// Takes note that the message of the row at `seq` has to be published again.
    pub fn failed(&mut self, seq: Seq) {
        self.set(seq, Row::Open);
    }

    /// Takes note that nothing is left to do for the row at `seq`: its message is confirmed, or it
    /// has none.
    pub fn done(&mut self, seq: Seq) {
        self.set(seq, Row::Done);
        while self.after.front() == Some(&Row::Done) {
            self.after.pop_front();
            self.mark += 1;
        }
    }

    /// Whether the message of the row at `seq` has to be published.
    pub fn is_open(&self, seq: Seq) -> bool {
        self.place(seq).and_then(|place| self.after.get(place)) == Some(&Row::Open)
    }

    /// The end of the confirmed prefix.
    pub fn mark(&self) -> Seq {
        self.mark
    }

    /// The newest committed row.
    pub fn last_seq(&self) -> Seq {
        self.mark + self.after.len() as Seq
    }

    /// Nothing brings back a row that is done with.
    fn set(&mut self, seq: Seq, to: Row) {
        if let Some(row) = self.place(seq).and_then(|place| self.after.get_mut(place))
            && *row != Row::Done
        {
            *row = to;
        }
    }

    fn place(&self, seq: Seq) -> Option<usize> {
        usize::try_from(seq.checked_sub(self.mark + 1)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_mark_never_passes_an_unconfirmed_row() {
        let mut track = Track::resume(10, 13);
        track.committed(14);
        for seq in [12, 14, 13] {
            track.done(seq);
            assert_eq!(track.mark(), 10);
        }
        track.done(11);
        assert_eq!((track.mark(), track.last_seq()), (14, 14));
        track.done(11);
        assert_eq!(track.mark(), 14);
    }

    proptest! {
        #[test]
        fn the_mark_is_the_longest_prefix_without_a_gap(start in 0u64..5, order in prop::collection::vec(0u64..40, 0..80)) {
            let mut track = Track::resume(start, start + 40);
            let mut done = std::collections::BTreeSet::new();
            for offset in order {
                let seq = start + 1 + offset;
                track.done(seq);
                done.insert(seq);
                let expected = (start + 1..).take_while(|seq| done.contains(seq)).last().unwrap_or(start);
                prop_assert_eq!(track.mark(), expected);
                prop_assert!(done.iter().all(|seq| !track.is_open(*seq)));
            }
        }
    }
}
