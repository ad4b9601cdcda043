//! Which messages of the history are published when.
//!
//! Messages go out as their rows are committed. Whatever can't go out then, because a queue is full,
//! nobody knows what became of it, or the process has just started, is read again from the history:
//! nothing is kept in memory for it, and one kind of message never delays the other.

use super::marks::Track;
use crate::ports::bus::Settlement;
use crate::ports::ledger::Seq;

/// How many messages of one kind may be without confirmation before the rest is read again from the
/// history later. It bounds what a slow consumer can make this process hold.
pub const WINDOW: usize = 200_000;

/// Rows read from the history at a time.
pub const PAGE: u32 = 500;

/// One kind of message of one shard on its way to the broker.
#[derive(Clone, Debug, Hash)]
pub struct Feed {
    track: Track,
    mode: Mode,
    unsettled: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Mode {
    /// Every row is published as it is committed.
    Live,
    /// Rows after `cursor` are to be read from the history.
    Behind { cursor: Seq },
}

impl Feed {
    /// Continues from a stored mark.
    pub fn resume(mark: Seq, last_seq: Seq) -> Self {
        let mode = if mark < last_seq { Mode::Behind { cursor: mark } } else { Mode::Live };
        Self { track: Track::resume(mark, last_seq), mode, unsettled: 0 }
    }

    /// A row was committed. Tells whether its message, if it has one, is to be published now; it is
    /// not where the history was read meanwhile and told of the row already.
    ///
    /// Rows between the newest known one and this were committed without anybody being told, by a
    /// transaction whose outcome was lost. They are read from the history.
    pub fn committed(&mut self, seq: Seq) -> bool {
        let newest = self.track.last_seq();
        if seq <= newest {
            return false;
        }
        self.track.committed(seq);
        if self.mode == Mode::Live && (seq > newest + 1 || self.unsettled >= WINDOW) {
            self.mode = Mode::Behind { cursor: newest };
        }
        self.mode == Mode::Live
    }

    /// More may have been committed than was told: the history is to be read for it.
    pub fn doubt(&mut self) {
        if self.mode == Mode::Live {
            self.mode = Mode::Behind { cursor: self.track.last_seq() };
        }
    }

    /// The row's message was handed to the bus.
    pub fn published(&mut self, seq: Seq) {
        self.track.published(seq);
        self.unsettled += 1;
        if seeded!(MarkBeforeConfirm) {
            self.track.done(seq);
        }
    }

    /// There is nothing to publish for the row.
    pub fn nothing_to_send(&mut self, seq: Seq) {
        self.track.done(seq);
    }

    /// What became of a published message. What is not safe is read and published again.
    pub fn settled(&mut self, seq: Seq, settlement: Settlement) {
        self.unsettled = self.unsettled.saturating_sub(1);
        if settlement == Settlement::Confirmed {
            return self.track.done(seq);
        }
        self.track.failed(seq);
        if self.track.is_open(seq) {
            let cursor = match self.mode {
                Mode::Live => seq - 1,
                Mode::Behind { cursor } => cursor.min(seq - 1),
            };
            self.mode = Mode::Behind { cursor };
        }
    }

    /// After which row the history is to be read, if it is to be read.
    pub fn wants_page_after(&self) -> Option<Seq> {
        match self.mode {
            Mode::Behind { cursor } if self.unsettled < WINDOW => Some(cursor),
            _ => None,
        }
    }

    /// Whether a row that was read has to be published: it is neither confirmed nor under way.
    pub fn wants(&self, seq: Seq) -> bool {
        self.track.is_open(seq)
    }

    /// The history was read after `from` and up to `to`; `to` is `from` where nothing more is
    /// there. A failure that came meanwhile for an earlier row is not forgotten.
    pub fn read(&mut self, from: Seq, to: Seq) {
        if self.mode == (Mode::Behind { cursor: from }) {
            self.mode =
                if to >= self.track.last_seq() { Mode::Live } else { Mode::Behind { cursor: to } };
        }
    }

    /// The end of the confirmed prefix.
    pub fn mark(&self) -> Seq {
        self.track.mark()
    }

    /// How many messages are on their way.
    pub fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// How many rows lie beyond the confirmed prefix.
    pub fn lag(&self) -> Seq {
        self.track.last_seq() - self.track.mark()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_start_the_unconfirmed_rest_is_read_before_going_live() {
        let mut feed = Feed::resume(5, 8);
        assert_eq!(feed.wants_page_after(), Some(5));
        assert!(!feed.committed(9), "not out of turn while behind");
        feed.read(5, 9);
        assert_eq!(feed.wants_page_after(), None);
        assert!(feed.committed(10));
    }

    #[test]
    fn rows_that_nobody_told_of_are_read_from_the_history() {
        let mut feed = Feed::resume(5, 5);
        assert!(!feed.committed(8), "what is before it comes first");
        assert_eq!(feed.wants_page_after(), Some(5));
        assert!(feed.wants(6) && feed.wants(7) && feed.wants(8));
    }

    #[test]
    fn a_doubt_is_settled_by_a_look_at_the_history_and_nothing_is_published_twice() {
        let mut feed = Feed::resume(5, 5);
        feed.doubt();
        assert_eq!(feed.wants_page_after(), Some(5));
        assert!(!feed.committed(6));
        assert!(feed.wants(6));
        feed.published(6);
        feed.read(5, 6);
        assert!(!feed.committed(6), "the news of it came late");
        assert!(feed.committed(7));
        feed.doubt();
        feed.read(7, 7);
        assert_eq!(feed.wants_page_after(), None);
    }

    #[test]
    fn a_rejected_message_is_read_again_and_holds_the_mark() {
        let mut feed = Feed::resume(0, 0);
        for seq in 1..=3 {
            assert!(feed.committed(seq));
            feed.published(seq);
        }
        assert_eq!((feed.unsettled(), feed.lag()), (3, 3));
        feed.settled(1, Settlement::Confirmed);
        feed.settled(2, Settlement::Rejected);
        feed.settled(3, Settlement::Confirmed);
        assert_eq!((feed.mark(), feed.wants_page_after()), (1, Some(1)));
        assert_eq!((feed.unsettled(), feed.lag()), (0, 2));
        assert!(feed.wants(2) && !feed.wants(3));
        feed.published(2);
        assert!(!feed.wants(2), "it is under way");
        feed.read(1, 3);
        feed.settled(2, Settlement::Confirmed);
        assert_eq!((feed.mark(), feed.lag()), (3, 0));
    }

    #[test]
    fn a_failure_during_a_read_is_not_forgotten() {
        let mut feed = Feed::resume(0, 0);
        for seq in 1..=4 {
            feed.committed(seq);
            feed.published(seq);
        }
        feed.settled(3, Settlement::Unknown);
        assert_eq!(feed.wants_page_after(), Some(2));
        feed.settled(1, Settlement::Unknown);
        feed.read(2, 4);
        assert_eq!(feed.wants_page_after(), Some(0));
    }

    #[test]
    fn a_consumer_that_never_confirms_can_not_make_the_window_grow() {
        let mut feed = Feed::resume(0, 0);
        let published = (1..=WINDOW as Seq + 10).filter(|seq| {
            let now = feed.committed(*seq);
            if now {
                feed.published(*seq);
            }
            now
        });
        assert_eq!(published.count(), WINDOW);
        assert_eq!(feed.wants_page_after(), None);
        feed.settled(1, Settlement::Confirmed);
        assert_eq!(feed.wants_page_after(), Some(WINDOW as Seq));
    }
}
