//! Who makes entries from plans: it knows how each saga has stood, and has the core decide.

use std::collections::BTreeMap;

use skald::orders::OrderStatus;
use skald::orders::definition::reason;
use skald::ports::door::{InputId, InputOutcome, NewInput, Request};
use skald::ports::ledger::{
    Batch, Entry, EntryOutcome, Marks, OrderChange, Seq, Shard, ShardState,
};
use skald::saga::event::{AttentionCause, Reason, Setback};
use skald::saga::id::{SagaId, Sequence, Timestamp};
use skald::saga::input::{Answer, Input};
use skald::saga::json::Json;
use skald::saga::state::{Attention, Deadline, Saga};

use super::sample;
use super::script::{How, Plan, Writer};

/// How a saga has stood after each entry about it that was written; before its birth is, how it would.
struct Known {
    n: u64,
    versions: Vec<Saga>,
    is_born: bool,
}

#[derive(Default)]
pub struct Author {
    sagas: Vec<Known>,
    inputs: Vec<(InputId, SagaId)>,
    shards: BTreeMap<Shard, (i64, Seq)>,
    letters: u64,
}

impl Author {
    /// A shard has this owner now.
    pub fn claimed(&mut self, shard: Shard, state: ShardState) {
        self.shards.insert(shard, (state.epoch, state.last_seq));
    }

    /// One of the sagas that anybody tried to begin, or none yet.
    pub fn saga(&self, pick: u8) -> Option<SagaId> {
        self.known(pick).map(|known| sample::saga_id(known.n))
    }

    fn known(&self, pick: u8) -> Option<&Known> {
        self.sagas.get(usize::from(pick) % self.sagas.len().max(1))
    }

    /// When a saga is due, if it is.
    pub fn due(&self, pick: u8) -> Option<(Timestamp, SagaId)> {
        let saga = self.version(pick, 0)?;
        Some((saga.state.next_due()?, saga.id))
    }

    /// All sagas that anybody tried to begin.
    pub fn sagas(&self) -> Vec<SagaId> {
        self.sagas.iter().map(|known| sample::saga_id(known.n)).collect()
    }

    /// All inputs and notices that anybody tried to leave.
    pub fn inputs(&self) -> impl Iterator<Item = InputId> {
        self.inputs.iter().map(|(id, _)| *id)
    }

    /// How far the history of a shard has got.
    pub fn last_seq(&self, shard: Shard) -> Seq {
        self.shards.get(&shard).map_or(0, |(_, last_seq)| *last_seq)
    }

    /// The id of a new input of a saga. Of each two the second is the older one by its id.
    pub fn new_input(&mut self, saga: SagaId) -> InputId {
        let id = sample::input_id(self.inputs.len() as u64 ^ 1);
        self.inputs.push((id, saga));
        id
    }

    /// The number of a new letter.
    pub fn new_letter(&mut self) -> u64 {
        self.letters += 1;
        self.letters
    }

    /// A batch by these plans.
    pub fn batch(
        &mut self,
        shard: Shard,
        writer: Writer,
        marks: (u8, u8),
        plans: &[Plan],
    ) -> Batch {
        let (epoch, last_seq) = self.shards.get(&shard).copied().unwrap_or_default();
        let epoch = match writer {
            Writer::Owner => epoch,
            Writer::Predecessor => epoch - 1,
            Writer::Nobody => epoch + 1,
        };
        let third = |thirds: u8| last_seq * u64::from(thirds) / 3;
        let marks = Marks { commands: third(marks.0), events: third(marks.1) };
        let mut entries: Vec<Entry> = Vec::new();
        for plan in plans {
            if let Some(entry) = self.entry(plan)
                && entries.iter().all(|other| may_share_a_batch(other, &entry))
            {
                entries.push(entry);
            }
        }
        Batch { shard, epoch, marks, entries }
    }

    fn entry(&mut self, plan: &Plan) -> Option<Entry> {
        match plan {
            Plan::Birth { key } => {
                let n = self.sagas.len() as u64 + 1;
                let entry = placed(n, *key);
                let versions = vec![entry.saga.clone()];
                self.sagas.push(Known { n, versions, is_born: false });
                Some(entry)
            }
            Plan::BirthAgain { saga, key } => Some(placed(self.known(*saga)?.n, *key)),
            Plan::Move { saga, back, how, settles } => {
                let mut entry = moved(self.version(*saga, *back)?, *how);
                let settled = settles.and_then(|input| self.settled(entry.saga.id, input));
                entry.inputs = settled.into_iter().collect();
                Some(entry)
            }
            Plan::Settle { saga, back, input } => {
                let mut entry = sample::unmoved(self.version(*saga, *back)?);
                entry.inputs = self.settled(entry.saga.id, *input).into_iter().collect();
                Some(entry)
            }
            Plan::Outcome { saga } => {
                let known = self.known(*saga)?;
                let mut entry = sample::changed(known.versions.last()?, |_| {});
                entry.order = Some(OrderChange::Settled {
                    id: sample::order_id(known.n),
                    status: OrderStatus::Cancelled,
                    reason: Some(Reason::of(reason::UNKNOWN_PRODUCT)),
                    at: sample::second(known.n),
                });
                Some(entry)
            }
        }
    }

    fn version(&self, saga: u8, back: u8) -> Option<&Saga> {
        let versions = &self.known(saga)?.versions;
        versions.iter().rev().nth(usize::from(back).min(versions.len() - 1))
    }

    /// One of the saga's inputs, or now and then of any other's, with an outcome.
    fn settled(&self, saga: SagaId, (input, how): (u8, u8)) -> Option<(InputId, InputOutcome)> {
        let may_be_settled = |(_, of): &&(InputId, SagaId)| *of == saga || input % 8 == 7;
        let inputs: Vec<_> = self.inputs.iter().filter(may_be_settled).collect();
        let (id, _) = **inputs.get(usize::from(input) % inputs.len().max(1))?;
        let outcome = match how {
            0 => InputOutcome::Applied { version: 3 },
            1 => InputOutcome::Ignored,
            2 => InputOutcome::Rejected { detail: "it \"can't\" be".to_owned() },
            _ => InputOutcome::VersionMismatch { found: 2 },
        };
        Some((id, outcome))
    }

    /// A batch was committed with these outcomes.
    pub fn committed(&mut self, batch: &Batch, outcomes: &[EntryOutcome]) {
        for (entry, outcome) in batch.entries.iter().zip(outcomes) {
            let EntryOutcome::Written(_) = outcome else { continue };
            let of_it = |known: &&mut Known| sample::saga_id(known.n) == entry.saga.id;
            if let Some(known) = self.sagas.iter_mut().find(of_it) {
                if !known.is_born {
                    known.versions.clear();
                    known.is_born = true;
                }
                known.versions.push(entry.saga.clone());
            }
            if let Some((_, last_seq)) = self.shards.get_mut(&batch.shard) {
                *last_seq += entry.events.len() as Seq;
            }
        }
    }
}

/// A batch has at most one entry for each saga, says the port. Two that move the same saga on from the
/// same version are what a writer that had lost count would send: the second must conflict. What else
/// could be about one saga no promise is about, and the stores take it differently.
fn may_share_a_batch(one: &Entry, other: &Entry) -> bool {
    let moves = |entry: &Entry| (!entry.events.is_empty()).then_some(entry.expected);
    one.saga.id != other.saga.id
        || (moves(one).is_some_and(|from| from > 0) && moves(one) == moves(other))
}

fn placed(n: u64, key: Option<u8>) -> Entry {
    match key {
        Some(key) => sample::claimed(n, &key_of(key)),
        None => sample::placed(n),
    }
}

/// The idempotency keys that customers use.
pub fn key_of(key: u8) -> String {
    format!("key-{key}")
}

/// What happens to a saga; nothing, where it can't.
fn moved(saga: &Saga, how: How) -> Entry {
    let soon = sample::after(saga);
    let asked: Option<Sequence> = saga.state.calls().find_map(|(_, _, call)| call.newest_ask());
    let answer = |answer: Answer| Some((Input::Answer { to: asked?, answer }, soon));
    let told = match how {
        How::Succeeds => answer(Answer::Success(Json::of("done").unwrap())),
        How::Fails => answer(Answer::Failure(Reason::of(reason::INSUFFICIENT_STOCK))),
        How::IsLost => answer(Answer::Setback(Setback::DeadLettered)),
        How::IsCancelled => {
            let reason = Reason::of(reason::CANCELLED_BY_CUSTOMER);
            Some((Input::Cancel { by: "ada".to_owned(), reason }, soon))
        }
        How::IsTriedAgain => {
            Some((Input::Retry { by: "eve".to_owned(), note: String::new() }, soon))
        }
        How::TimesOut => {
            let reached = [("inventory.commands".into(), soon)].into();
            saga.state.next_due().map(|due| (Input::Due { reached }, due))
        }
        How::IsStuck => return sample::changed(saga, stuck),
    };
    told.and_then(|(input, now)| sample::brought(saga, &input, now))
        .unwrap_or_else(|| sample::unmoved(saga))
}

/// It waits for an operator and for nothing else.
fn stuck(saga: &mut Saga) {
    saga.state.steps.clear();
    saga.state.deadline = Deadline::Passed;
    let (cause, since) = (AttentionCause::DeadlineExceeded, sample::after(saga));
    saga.state.attention = vec![Attention { step: None, cause, since }];
}

/// What somebody wants of a saga.
pub fn wished(n: u8, id: InputId, saga: SagaId, again: bool, if_version: Option<u8>) -> NewInput {
    let mut input = sample::cancellation(0, saga, &format!("wish-{n}"));
    input.id = id;
    input.if_version = if_version.map(u64::from);
    if again {
        input.request = Request::Retry { by: "eve".to_owned(), note: "now \u{1f375}".to_owned() };
    }
    input
}
