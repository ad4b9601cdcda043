//! What of a shard's history goes out when, and how far that has got.
//!
//! It keeps a feed of commands and one of events; whoever drives it hands messages to the bus and
//! tells what became of them.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use super::feed::{Bounds, Feed};
use super::render::Renderer;
use crate::contract::message::Outgoing;
use crate::ports::bus::Settlement;
use crate::ports::ledger::{Entry, HistoryRow, Marks, Seq, Shard, ShardState};
use crate::saga::catalogue::Catalogue;
use crate::saga::effect::IdempotencyKey;
use crate::saga::event::Recorded;
use crate::saga::id::{SagaId, Sequence};
use crate::saga::state::Saga;

/// How often a command that reaches no queue is tried, before its saga is told. With a pause of
/// 100 ms between two reads of the history it is two seconds: a worker that declares its queue at its
/// start makes it.
const UNROUTABLE_TRIES: u32 = 20;

/// The tag of messages of which nobody wants to know what became of them.
pub const UNTRACKED: u64 = u64::MAX;

/// A message to be published.
#[derive(Clone, Debug)]
pub struct Tagged {
    /// Under which its settlement is told.
    pub tag: u64,
    /// The message.
    pub outgoing: Outgoing,
    /// What it is sent for.
    pub cause: Cause,
}

/// What a message is sent for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A step is done or undone.
    Step(IdempotencyKey),
    /// Something happened to a saga.
    Saga(SagaId),
}

/// The messages of one shard on their way to the broker.
#[derive(Clone)]
pub struct Outbox {
    renderer: Renderer,
    commands: Feed,
    events: Feed,
    /// Which reading has its turn next.
    turn: usize,
    /// What the newest page is read for, and how far.
    page: Option<(Reading, u32)>,
    /// Commands that reached no queue, and how often they were tried. At most as many as are
    /// outstanding, which admission bounds.
    unroutable: BTreeMap<Seq, u32>,
    /// Whether more may have been committed since the reading of the last page began.
    doubted: bool,
}

/// What follows from a page of the history.
#[derive(Debug, Default)]
pub struct Page {
    /// To be published.
    pub messages: Vec<Tagged>,
    /// Commands that no queue takes. Their sagas are to be told; whether that is on record is told to
    /// [`Outbox::on_record`].
    pub lost: Vec<Lost>,
    /// Whether another page is to be read at once.
    pub more: bool,
}

/// A command that no queue takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Its row.
    pub seq: Seq,
    /// Its saga.
    pub saga: SagaId,
    /// The event that asked.
    pub to: Sequence,
}

/// Tells outboxes of one shard apart.
impl Hash for Outbox {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (&self.commands, &self.events, &self.unroutable).hash(hasher);
        (self.turn, self.page, self.doubted).hash(hasher);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Command,
    Event,
}

/// What a page of the history is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reading {
    /// Rows that were not looked at so far.
    On(Kind),
    /// Messages that failed.
    Again(Kind),
}

/// Each has its turn: neither events nor what fails holds up commands that wait.
const READINGS: [Reading; 4] = [
    Reading::On(Kind::Command),
    Reading::On(Kind::Event),
    Reading::Again(Kind::Command),
    Reading::Again(Kind::Event),
];

/// Tags tell commands from events by their lowest bit.
fn tag(seq: Seq, kind: Kind) -> u64 {
    seq << 1 | u64::from(kind == Kind::Event)
}

impl Outbox {
    /// Continues where the shard's marks are.
    pub fn resume(shard: Shard, state: &ShardState, catalogue: Catalogue, bounds: Bounds) -> Self {
        Self {
            renderer: Renderer::new(shard, catalogue),
            commands: Feed::resume(state.marks.commands, state.last_seq, bounds),
            events: Feed::resume(state.marks.events, state.last_seq, bounds),
            turn: 0,
            page: None,
            unroutable: BTreeMap::new(),
            doubted: false,
        }
    }

    /// These entries are committed; the numbers are the seqs of their first events.
    pub fn committed(&mut self, mut entries: Vec<(Seq, Entry)>) -> Vec<Tagged> {
        // A batch's entries are committed together; the track wants their rows in order.
        entries.sort_unstable_by_key(|(first_seq, _)| *first_seq);
        let mut messages = Vec::new();
        for (first_seq, entry) in &entries {
            for (recorded, seq) in entry.events.iter().zip(*first_seq..) {
                if self.commands.committed(seq) {
                    self.send_command(seq, &entry.saga, recorded, &mut messages);
                }
                if self.events.committed(seq) {
                    self.send_event(seq, &entry.saga, recorded, &mut messages);
                }
            }
        }
        messages
    }

    /// The outcome of a transaction was lost: more may be committed than was told.
    pub fn doubt(&mut self) {
        self.doubted = true;
        self.commands.doubt();
        self.events.doubt();
    }

    /// What became of a message. Returns what it counts as.
    pub fn settled(&mut self, tag: u64, settlement: Settlement) -> Settlement {
        if tag == UNTRACKED {
            return settlement;
        }
        let seq = tag >> 1;
        if tag & 1 == 1 {
            // Nobody has to listen to events.
            let settlement = if settlement == Settlement::Unroutable {
                Settlement::Confirmed
            } else {
                settlement
            };
            self.events.settled(seq, settlement);
            return settlement;
        }
        let settlement = match settlement {
            Settlement::Unroutable if seeded!(UnroutableIsConfirmed) => Settlement::Confirmed,
            settlement => settlement,
        };
        self.commands.settled(seq, settlement);
        match settlement {
            Settlement::Unroutable => *self.unroutable.entry(seq).or_default() += 1,
            Settlement::Confirmed => drop(self.unroutable.remove(&seq)),
            Settlement::Rejected | Settlement::Unknown => {}
        }
        settlement
    }

    /// Some time has passed: whatever failed so far may have its turn.
    pub fn breathe(&mut self) {
        self.commands.breathe();
        self.events.breathe();
    }

    /// Whether the history is to be read, now or after some breaths.
    pub fn wants_page(&self) -> bool {
        self.commands.wants_page() || self.events.wants_page()
    }

    /// Whether rows wait to be read, be it only once there is room for their messages.
    pub fn is_behind(&self) -> bool {
        self.commands.cursor().is_some() || self.events.cursor().is_some()
    }

    /// Begins to read a page of the history: after this row so many, if it is to be read now. What is
    /// found is told to [`read`](Self::read), before another page is begun.
    pub fn begin_page(&mut self) -> Option<(Seq, u32)> {
        let (turn, (after, limit)) = self.next_reading()?;
        self.page = Some((READINGS[turn], limit));
        self.turn = (turn + 1) % READINGS.len();
        self.doubted = false;
        Some((after, limit))
    }

    fn next_reading(&self) -> Option<(usize, (Seq, u32))> {
        let turns = (self.turn..).take(READINGS.len()).map(|turn| turn % READINGS.len());
        turns.into_iter().find_map(|turn| {
            let wanted = match READINGS[turn] {
                Reading::On(Kind::Command)
                    if seeded!(EventsHoldUpCommands) && self.events.wants_page() =>
                {
                    None
                }
                Reading::On(kind) => self.feed(kind).read_on(),
                Reading::Again(kind) => self.feed(kind).read_again(),
            };
            Some((turn, wanted?))
        })
    }

    /// The page that was begun is there, with these rows after the row `after`.
    pub fn read(&mut self, after: Seq, rows: &[HistoryRow]) -> Page {
        let Some((reading, limit)) = self.page.take() else { return Page::default() };
        let full = rows.len() >= limit as usize;
        let doubted = self.doubted && !seeded!(DoubtSettledByOldPage);
        let last = (!full || seeded!(FullPageIsLast)) && !doubted;
        let to = rows.last().map_or(after, |row| row.seq);
        let mut page = Page::default();
        for kind in [Kind::Command, Kind::Event] {
            let left_out = self.send_all(kind, rows, &mut page);
            let to = left_out.map_or(to, |seq| seq - 1);
            self.feed_mut(kind).read(after, to, last && left_out.is_none());
            if reading == Reading::Again(kind) {
                self.feed_mut(kind).tried_again(to);
            }
        }
        page.messages.sort_unstable_by_key(|message| message.tag);
        if !self.wants_page() {
            self.turn = 0;
        }
        page.more = self.next_reading().is_some();
        page
    }

    /// Sends the messages of one kind that rows have and that are not under way, as far as there is
    /// room. Returns the first row that was left out.
    fn send_all(&mut self, kind: Kind, rows: &[HistoryRow], page: &mut Page) -> Option<Seq> {
        for row in rows {
            let feed = self.feed_mut(kind);
            feed.committed(row.seq);
            if !feed.wants(row.seq) {
                continue;
            }
            if !feed.has_room_for(row.seq) {
                return Some(row.seq);
            }
            match kind {
                Kind::Command => self.give_up_or_send(row, page),
                Kind::Event => {
                    self.send_event(row.seq, &row.saga, &row.recorded, &mut page.messages);
                }
            }
        }
        None
    }

    fn feed(&self, kind: Kind) -> &Feed {
        match kind {
            Kind::Command => &self.commands,
            Kind::Event => &self.events,
        }
    }

    fn feed_mut(&mut self, kind: Kind) -> &mut Feed {
        match kind {
            Kind::Command => &mut self.commands,
            Kind::Event => &mut self.events,
        }
    }

    /// Whether it is on record that the command of a row was lost; only then is the row done with.
    pub fn on_record(&mut self, seq: Seq, stored: bool) {
        if stored {
            self.unroutable.remove(&seq);
            self.commands.settled(seq, Settlement::Confirmed);
        } else {
            self.commands.settled(seq, Settlement::Unknown);
        }
    }

    /// The open command of `saga` that was asked at `sequence`, once more. Costs no attempt and moves
    /// no mark.
    pub fn ask_again(&self, saga: &Saga, sequence: Sequence) -> Vec<Tagged> {
        let commands = self.renderer.open_commands(saga, sequence).into_iter();
        commands
            .map(|(outgoing, key)| Tagged { tag: UNTRACKED, outgoing, cause: Cause::Step(key) })
            .collect()
    }

    /// How far the broker has confirmed.
    pub fn marks(&self) -> Marks {
        Marks { commands: self.commands.mark(), events: self.events.mark() }
    }

    /// How many messages are on their way.
    pub fn unsettled(&self) -> usize {
        self.commands.unsettled() + self.events.unsettled()
    }

    /// How many rows lie beyond each mark.
    pub fn lag(&self) -> Marks {
        Marks { commands: self.commands.lag(), events: self.events.lag() }
    }

    /// Sends a command again, unless it found no queue too often.
    fn give_up_or_send(&mut self, row: &HistoryRow, page: &mut Page) {
        let HistoryRow { seq, recorded, saga } = row;
        let tries = self.unroutable.get(seq).copied().unwrap_or(0);
        if tries < UNROUTABLE_TRIES {
            return self.send_command(*seq, saga, recorded, &mut page.messages);
        }
        tracing::error!(sagaId = %saga.id, sequence = recorded.sequence, "no queue takes a command");
        self.commands.published(*seq);
        page.lost.push(Lost { seq: *seq, saga: saga.id, to: recorded.sequence });
    }

    /// Sends the command of a row, if it has one whose outcome is still of interest.
    fn send_command(
        &mut self,
        seq: Seq,
        saga: &Saga,
        recorded: &Recorded,
        messages: &mut Vec<Tagged>,
    ) {
        match self.renderer.command(saga, recorded) {
            Some((outgoing, key)) => {
                self.commands.published(seq);
                let (tag, cause) = (tag(seq, Kind::Command), Cause::Step(key));
                messages.push(Tagged { tag, outgoing, cause });
            }
            None => {
                self.unroutable.remove(&seq);
                self.commands.nothing_to_send(seq);
            }
        }
    }

    fn send_event(
        &mut self,
        seq: Seq,
        saga: &Saga,
        recorded: &Recorded,
        messages: &mut Vec<Tagged>,
    ) {
        match self.renderer.event(saga, recorded) {
            Some(outgoing) => {
                self.events.published(seq);
                let (tag, cause) = (tag(seq, Kind::Event), Cause::Saga(saga.id));
                messages.push(Tagged { tag, outgoing, cause });
            }
            None => self.events.nothing_to_send(seq),
        }
    }
}

#[cfg(test)]
mod tests;
