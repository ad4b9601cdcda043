//! What of a shard's history goes out when, and how far that has got.
//!
//! It renders commands and events and keeps their feeds; whoever drives it hands messages to the bus
//! and tells what became of them.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use super::feed::{Feed, PAGE};
use crate::contract::message::Outgoing;
use crate::contract::{self, names::reply_queue};
use crate::ports::bus::Settlement;
use crate::ports::ledger::{Entry, HistoryRow, Marks, Seq, Shard, ShardState};
use crate::saga::catalogue::Catalogue;
use crate::saga::effect::{self, Command, IdempotencyKey};
use crate::saga::event::Recorded;
use crate::saga::id::{QueueName, SagaId, Sequence};
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
    reply_to: QueueName,
    catalogue: Catalogue,
    commands: Feed,
    events: Feed,
    /// Commands that reached no queue, and how often they were tried. At most as many as are
    /// outstanding, which admission bounds.
    unroutable: BTreeMap<Seq, u32>,
    /// Whether a message failed since the last breath: then pages wait for the next one.
    failing: bool,
}

/// What follows from a page of the history.
#[derive(Debug, Default)]
pub struct Page {
    /// To be published.
    pub messages: Vec<Tagged>,
    /// Commands that no queue takes. Their sagas are to be told; whether that is on record is told to
    /// [`Outbox::on_record`].
    pub lost: Vec<Lost>,
    /// Whether the next page is to be read at once.
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
        (&self.commands, &self.events, &self.unroutable, self.failing).hash(hasher);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Command,
    Event,
}

/// Tags tell commands from events by their lowest bit.
fn tag(seq: Seq, kind: Kind) -> u64 {
    seq << 1 | u64::from(kind == Kind::Event)
}

impl Outbox {
    /// Continues where the shard's marks are.
    pub fn resume(shard: Shard, state: &ShardState, catalogue: Catalogue) -> Self {
        Self {
            reply_to: reply_queue(shard),
            catalogue,
            commands: Feed::resume(state.marks.commands, state.last_seq),
            events: Feed::resume(state.marks.events, state.last_seq),
            unroutable: BTreeMap::new(),
            failing: false,
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
            self.failing |= settlement != Settlement::Confirmed;
            self.events.settled(seq, settlement);
            return settlement;
        }
        let settlement = match settlement {
            Settlement::Unroutable if seeded!(UnroutableIsConfirmed) => Settlement::Confirmed,
            settlement => settlement,
        };
        self.commands.settled(seq, settlement);
        self.failing |= settlement != Settlement::Confirmed;
        match settlement {
            Settlement::Unroutable => *self.unroutable.entry(seq).or_default() += 1,
            Settlement::Confirmed => drop(self.unroutable.remove(&seq)),
            Settlement::Rejected | Settlement::Unknown => {}
        }
        settlement
    }

    /// Whatever failed so far may be tried again.
    pub fn breathe(&mut self) {
        self.failing = false;
    }

    /// After which row the history is to be read, if it is to be read.
    pub fn wants_page_after(&self) -> Option<Seq> {
        let wanted = [self.commands.wants_page_after(), self.events.wants_page_after()];
        wanted.into_iter().flatten().min()
    }

    /// A page of the history was read after the row `after`.
    pub fn read(&mut self, after: Seq, rows: &[HistoryRow]) -> Page {
        let full = rows.len() >= PAGE as usize;
        let to = rows.last().map_or(after, |row| row.seq);
        let mut page = Page::default();
        for row in rows {
            self.commands.committed(row.seq);
            self.events.committed(row.seq);
            if self.commands.wants(row.seq) {
                self.give_up_or_send(row, &mut page);
            }
            if self.events.wants(row.seq) {
                self.send_event(row.seq, &row.saga, &row.recorded, &mut page.messages);
            }
        }
        for feed in [&mut self.commands, &mut self.events] {
            if let Some(cursor) =
                feed.wants_page_after().filter(|cursor| *cursor >= after && (*cursor < to || !full))
            {
                feed.read(cursor, to.max(cursor));
            }
        }
        page.more = full && !self.failing;
        page
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
        let Some(runnable) = self.catalogue.get(&saga.birth.definition) else { return Vec::new() };
        effect::open_commands(&runnable.definition, saga)
            .filter(|command| command.sequence == sequence)
            .filter_map(|command| {
                let outgoing = self.write(&command)?;
                Some(Tagged { tag: UNTRACKED, outgoing, cause: Cause::Step(command.key) })
            })
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
        let open = effect::is_open(saga, recorded.sequence);
        match open.then(|| self.render_command(saga, recorded)).flatten() {
            Some((outgoing, key)) => {
                self.commands.published(seq);
                let (tag, cause) = (tag(seq, Kind::Command), Cause::Step(key));
                messages.push(Tagged { tag, outgoing, cause });
            }
            None => self.commands.nothing_to_send(seq),
        }
    }

    fn send_event(
        &mut self,
        seq: Seq,
        saga: &Saga,
        recorded: &Recorded,
        messages: &mut Vec<Tagged>,
    ) {
        match self.render_event(saga, recorded) {
            Some(outgoing) => {
                self.events.published(seq);
                let (tag, cause) = (tag(seq, Kind::Event), Cause::Saga(saga.id));
                messages.push(Tagged { tag, outgoing, cause });
            }
            None => self.events.nothing_to_send(seq),
        }
    }

    fn render_command(
        &self,
        saga: &Saga,
        recorded: &Recorded,
    ) -> Option<(Outgoing, IdempotencyKey)> {
        let runnable = self.catalogue.get(&saga.birth.definition)?;
        let command = effect::command(&runnable.definition, saga, recorded)?;
        Some((self.write(&command)?, command.key))
    }

    fn write(&self, command: &Command<'_>) -> Option<Outgoing> {
        let runnable = self.catalogue.get(&command.saga.birth.definition)?;
        contract::command::write(runnable.script.as_ref(), command, &self.reply_to)
            .inspect_err(|error| {
                tracing::error!(sagaId = %command.saga.id, step = %command.step.name, %error, "a command can't be written");
            })
            .ok()
    }

    fn render_event(&self, saga: &Saga, recorded: &Recorded) -> Option<Outgoing> {
        let runnable = self.catalogue.get(&saga.birth.definition)?;
        contract::event::write(runnable.script.as_ref(), saga, recorded)
            .inspect_err(|error| {
                tracing::error!(sagaId = %saga.id, sequence = recorded.sequence, %error, "an event can't be written");
            })
            .ok()?
    }
}

#[cfg(test)]
mod tests;
