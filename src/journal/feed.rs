//! Which messages of the history are published when.
//!
//! Messages go out as their rows are committed. Whatever can't go out then, because nobody knows what
//! was committed, too much is on its way, or the process has just started, is read from the history:
//! nothing is kept in memory for it, and one kind of message never delays the other. A message that
//! fails is sent again later, and holds up no other meanwhile.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use super::marks::Track;
use super::pause::Pause;
use crate::ports::bus::Settlement;
use crate::ports::ledger::Seq;

/// How much a feed takes at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How many messages of one kind may be without confirmation, on their way or failed, before
    /// the rest is read from the history later. It bounds what a slow consumer can make this process
    /// hold.
    pub window: usize,
    /// Rows read from the history at a time.
    pub page: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { window: 200_000, page: 500 }
    }
}

/// How many rows are read to find out whether a queue takes something again that refused it more than
/// once. Whoever else listens gets their messages again each time.
const PROBE: u32 = 10;

/// One kind of message of one shard on its way to the broker.
#[derive(Clone, Debug, Hash)]
pub struct Feed {
    track: Track,
    mode: Mode,
    unsettled: usize,
    /// Rows whose messages failed, and were not sent again since.
    failed: BTreeSet<Seq>,
    /// The last row that was read to send them again: all have their turn.
    tried: Seq,
    pause: Pause,
    bounds: Bounds,
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
    pub fn resume(mark: Seq, last_seq: Seq, bounds: Bounds) -> Self {
        Self {
            track: Track::resume(mark, last_seq),
            mode: if mark < last_seq { Mode::Behind { cursor: mark } } else { Mode::Live },
            unsettled: 0,
            failed: BTreeSet::new(),
            tried: 0,
            pause: Pause::default(),
            bounds,
        }
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
        if self.mode == Mode::Live && (seq > newest + 1 || self.is_full()) {
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
        self.failed.remove(&seq);
        self.unsettled += 1;
        if seeded!(MarkBeforeConfirm) {
            self.track.done(seq);
        }
    }

    /// There is nothing to publish for the row.
    pub fn nothing_to_send(&mut self, seq: Seq) {
        self.track.done(seq);
        self.failed.remove(&seq);
    }

    /// What became of a published message. What is not safe is read and published again.
    pub fn settled(&mut self, seq: Seq, settlement: Settlement) {
        self.unsettled = self.unsettled.saturating_sub(1);
        if settlement == Settlement::Confirmed {
            self.track.done(seq);
        } else {
            self.track.failed(seq);
            if self.track.is_open(seq) {
                self.failed.insert(seq);
                self.pause.failed(settlement);
            }
        }
        if self.failed.is_empty() && self.unsettled == 0 {
            (self.tried, self.pause) = (0, Pause::default());
        }
    }

    /// Some time has passed: what failed may have its turn.
    pub fn breathe(&mut self) {
        self.pause.breathe();
    }

    /// Whether the history is to be read, now or later.
    pub fn wants_page(&self) -> bool {
        self.on().is_some() || !self.failed.is_empty()
    }

    /// After which row the history is to be read on, and how far, if it is to be read now.
    pub fn read_on(&self) -> Option<(Seq, u32)> {
        let cursor = self.on().filter(|_| !self.pause.is_failing())?;
        Some((cursor, self.bounds.page))
    }

    /// After which row the history is to be read for messages that failed, and how far, if it is
    /// their turn.
    pub fn read_again(&self) -> Option<(Seq, u32)> {
        let page = match self.pause.over()? {
            true => self.bounds.page,
            false => self.bounds.page.min(PROBE),
        };
        let next = self.failed.range((Excluded(self.tried), Unbounded)).next();
        Some((next.or(self.failed.first())? - 1, page))
    }

    fn on(&self) -> Option<Seq> {
        self.cursor().filter(|_| !self.is_full())
    }

    /// After which row the history was not looked at.
    pub fn cursor(&self) -> Option<Seq> {
        match self.mode {
            Mode::Behind { cursor } => Some(cursor),
            Mode::Live => None,
        }
    }

    /// Whether a row that was read has to be published: it is neither confirmed nor under way.
    pub fn wants(&self, seq: Seq) -> bool {
        self.track.is_open(seq)
    }

    /// Whether the row's message may go out now: only so many may have no confirmation. One that failed
    /// counts already.
    pub fn has_room_for(&self, seq: Seq) -> bool {
        self.failed.contains(&seq) || !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.unsettled + self.failed.len() >= self.bounds.window
    }

    /// The history was read after `from` and up to `to`; `to` is `from` where nothing more is
    /// there. Only the `last` page, after which there was nothing more, ends the reading: what is in
    /// doubt may lie beyond a full one.
    pub fn read(&mut self, from: Seq, to: Seq, last: bool) {
        if let Some(cursor) = self.cursor().filter(|cursor| *cursor >= from) {
            let to = to.max(cursor);
            let done = last && to >= self.track.last_seq();
            self.mode = if done { Mode::Live } else { Mode::Behind { cursor: to } };
        }
    }

    /// A page up to `to` was read to send again what failed.
    pub fn tried_again(&mut self, to: Seq) {
        self.tried = to;
        self.pause.tried();
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

    const BOUNDS: Bounds = Bounds { window: 10, page: 100 };

    fn feed(mark: Seq, last_seq: Seq) -> Feed {
        Feed::resume(mark, last_seq, BOUNDS)
    }

    /// One that has published these many rows, from the first.
    fn live(rows: Seq) -> Feed {
        let mut feed = feed(0, 0);
        for seq in 1..=rows {
            assert!(feed.committed(seq));
            feed.published(seq);
        }
        feed
    }

    fn on(feed: &Feed) -> Option<Seq> {
        feed.read_on().map(|(after, _)| after)
    }

    fn again(feed: &Feed) -> Option<Seq> {
        feed.read_again().map(|(after, _)| after)
    }

    #[test]
    fn after_a_start_the_unconfirmed_rest_is_read_before_going_live() {
        let mut feed = feed(5, 8);
        assert_eq!(feed.read_on(), Some((5, 100)));
        assert!(!feed.committed(9), "not out of turn while behind");
        feed.read(5, 9, true);
        assert_eq!(on(&feed), None);
        assert!(feed.committed(10));
    }

    #[test]
    fn rows_that_nobody_told_of_are_read_from_the_history() {
        let mut feed = feed(5, 5);
        assert!(!feed.committed(8), "what is before it comes first");
        assert_eq!(on(&feed), Some(5));
        assert!(feed.wants(6) && feed.wants(7) && feed.wants(8));
    }

    #[test]
    fn a_doubt_is_settled_by_a_look_at_the_history_and_nothing_is_published_twice() {
        let mut feed = feed(5, 5);
        feed.doubt();
        assert_eq!(on(&feed), Some(5));
        assert!(!feed.committed(6));
        assert!(feed.wants(6));
        feed.published(6);
        feed.read(5, 6, true);
        assert!(!feed.committed(6), "the news of it came late");
        assert!(feed.committed(7));
        feed.doubt();
        feed.read(7, 7, false);
        assert_eq!(on(&feed), Some(7), "there may be more");
        feed.read(7, 7, true);
        assert_eq!(on(&feed), None);
    }

    #[test]
    fn a_page_that_begins_further_on_leaves_what_lies_before_it_to_another() {
        let mut feed = feed(5, 8);
        feed.read(6, 8, true);
        assert_eq!(on(&feed), Some(5));
    }

    #[test]
    fn a_refused_message_is_read_again_holds_the_mark_and_holds_up_no_other() {
        let mut feed = live(3);
        assert_eq!((feed.unsettled(), feed.lag()), (3, 3));
        feed.settled(1, Settlement::Confirmed);
        feed.settled(2, Settlement::Rejected);
        feed.settled(3, Settlement::Confirmed);
        assert_eq!((feed.mark(), feed.unsettled(), feed.lag()), (1, 0, 2));
        assert!(feed.committed(4), "it goes out at once");
        assert_eq!(again(&feed), None, "not before a breath");
        feed.breathe();
        assert_eq!(feed.read_again(), Some((1, 100)));
        assert!(feed.wants(2) && !feed.wants(3));
        feed.published(2);
        feed.tried_again(3);
        assert!(!feed.wants(2) && again(&feed).is_none(), "it is under way");
        feed.settled(2, Settlement::Confirmed);
        assert_eq!(feed.mark(), 3);
    }

    #[test]
    fn messages_that_failed_have_their_turn_one_after_the_other() {
        let mut feed = live(4);
        for seq in 1..=4 {
            feed.settled(seq, Settlement::Rejected);
        }
        feed.breathe();
        assert_eq!(again(&feed), Some(0));
        feed.tried_again(2);
        assert_eq!(again(&feed), Some(2));
        feed.tried_again(4);
        assert_eq!(again(&feed), Some(0), "and again");
    }

    #[test]
    fn a_queue_that_refuses_again_and_again_is_asked_with_little_and_ever_more_rarely() {
        let mut feed = live(1);
        let mut looks = Vec::new();
        let mut breaths = 0;
        while looks.len() < 5 {
            feed.settled(1, Settlement::Rejected);
            feed.breathe();
            breaths += 1;
            while feed.read_again().is_none() {
                feed.breathe();
                breaths += 1;
            }
            looks.push((breaths, feed.read_again().expect("it is its turn").1));
            feed.published(1);
            feed.tried_again(1);
        }
        assert_eq!(looks, [(1, 100), (3, 10), (6, 10), (11, 10), (20, 10)]);
    }

    #[test]
    fn once_all_is_confirmed_pauses_are_as_short_as_ever() {
        let mut feed = live(1);
        for _ in 0..3 {
            feed.settled(1, Settlement::Rejected);
            feed.breathe();
            while feed.read_again().is_none() {
                feed.breathe();
            }
            feed.published(1);
        }
        feed.settled(1, Settlement::Confirmed);
        assert!(feed.committed(2));
        feed.published(2);
        feed.settled(2, Settlement::Rejected);
        feed.breathe();
        assert_eq!(feed.read_again(), Some((1, 100)));
    }

    #[test]
    fn a_consumer_that_never_confirms_can_not_make_the_window_grow() {
        let mut feed = feed(0, 0);
        let published = (1..=20).filter(|seq| {
            let now = feed.committed(*seq);
            if now {
                feed.published(*seq);
            }
            now
        });
        assert_eq!(published.count(), 10);
        assert_eq!((on(&feed), feed.has_room_for(11)), (None, false));
        feed.settled(1, Settlement::Rejected);
        assert_eq!((on(&feed), feed.has_room_for(11)), (None, false), "it is in the window still");
        assert!(feed.has_room_for(1));
        feed.settled(2, Settlement::Confirmed);
        feed.breathe();
        assert_eq!((on(&feed), feed.has_room_for(11)), (Some(10), true));
    }
}
