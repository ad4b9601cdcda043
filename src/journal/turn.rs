//! What an input makes of a saga in memory: an entry to be written; and what its outcome means.

use crate::orders::outcome::{self, Outcome};
use crate::orders::{Order, OrderId, script};
use crate::ports::StoreError;
use crate::ports::door::{InputId, InputOutcome, PendingInput, Request};
use crate::ports::ledger::{Claim, Entry, EntryOutcome, OrderChange, StoredAnswer};
use crate::saga::check::Checked;
use crate::saga::decide;
use crate::saga::event::{Birth, Setback};
use crate::saga::id::{QueueName, SagaId, Sequence, Timestamp};
use crate::saga::input::{Answer, Decision, Ignored, Input, Moved, Reached, Rejection};
use crate::saga::outage::QueueWatch;
use crate::saga::state::{Saga, Wait};

/// How long a saga whose worker's queue has not got to its command waits before it looks again. A
/// hundred thousand of them then cost ten thousand glances a second.
pub const LOOK_AGAIN_AFTER_MS: u64 = 10_000;

/// What an input comes to.
#[derive(Debug)]
pub enum Turn {
    /// This is to be written; until its outcome is known the saga takes nothing else.
    Write(Box<Entry>),
    /// Nothing happened, harmlessly.
    Ignored(Ignored),
    /// The answer is to a command that the saga, as it is remembered here, has not sent: either nobody
    /// has, or somebody else owns the shard by now and the saga is further on. It is to be read again
    /// before anybody decides.
    Behind,
}

/// What the saga of an order is born with.
///
/// # Errors
/// As for [`script::input`].
pub fn birth(
    definition: &Checked,
    order: &Order,
    traceparent: Option<String>,
) -> Result<Birth, serde_json::Error> {
    Ok(Birth {
        definition: definition.reference(),
        key: order.id.to_string(),
        input: script::input(order)?,
        deadline: order.created_at.plus_millis(definition.deadline_ms),
        traceparent,
    })
}

/// A saga is born.
///
/// # Errors
/// As for [`decide::begin`].
pub fn begin(
    definition: &Checked,
    id: SagaId,
    birth: Birth,
    placed: (Order, Option<Claim>),
    now: Timestamp,
) -> Result<Entry, Rejection> {
    let Moved { events, saga } = decide::begin(definition, id, birth, now)?;
    let (order, claim) = placed;
    let order = Some(OrderChange::Placed(Box::new(order), claim));
    Ok(Entry { expected: 0, events, saga, status_before: None, order, inputs: Vec::new() })
}

/// A worker answered the command that was sent with the event at `to`. `just_read` says that the saga
/// was read from the store after the answer had come.
///
/// # Errors
/// When the saga can't make anything of it.
pub fn answer(
    definition: &Checked,
    (saga, just_read): (&Saga, bool),
    to: Sequence,
    answer: Answer,
    now: Timestamp,
) -> Result<Turn, Rejection> {
    let decision = decide::decide(definition, saga, &Input::Answer { to, answer }, now)?;
    match decision {
        Decision::Ignored(Ignored::NeverAsked) if !just_read && !seeded!(BehindIgnored) => {
            Ok(Turn::Behind)
        }
        decision => Ok(turn(saga, decision)),
    }
}

/// Some moment may have come.
///
/// # Errors
/// When what is due can't be done.
pub fn due(
    definition: &Checked,
    saga: &Saga,
    reached: &Reached,
    now: Timestamp,
) -> Result<Turn, Rejection> {
    let input = Input::Due { reached: reached.clone() };
    let decision = decide::decide(definition, saga, &input, now)?;
    Ok(turn(saga, decision))
}

/// Somebody wants something. Whatever comes of it is written.
pub fn want(definition: &Checked, saga: &Saga, input: PendingInput, now: Timestamp) -> Entry {
    let version = saga.state.version;
    let decided = match input.if_version {
        Some(wanted)
            if (wanted != version && !seeded!(VersionIgnored)) || seeded!(VersionRefused) =>
        {
            Err(InputOutcome::VersionMismatch { found: version })
        }
        _ => match decide::decide(definition, saga, &to_core(input.request), now) {
            Ok(Decision::Moved(moved)) => Ok(moved),
            Ok(Decision::Ignored(_)) => Err(InputOutcome::Ignored),
            Err(Rejection::AlreadyRollingBack(_)) => Err(InputOutcome::Applied { version }),
            Err(rejection) => Err(InputOutcome::Rejected { detail: rejection.to_string() }),
        },
    };
    let (moved, outcome) = match decided {
        Ok(moved) => {
            let version = moved.saga.state.version;
            (moved, InputOutcome::Applied { version })
        }
        Err(outcome) => (Moved { events: Vec::new(), saga: saga.clone() }, outcome),
    };
    let settled = if seeded!(OutcomeForgotten) { Vec::new() } else { vec![(input.id, outcome)] };
    entry(saga, moved, settled)
}

/// What an entry's outcome means for the saga in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// It stands where the entry says.
    Moved,
    /// Somebody else wrote: what is in memory is stale, and is read again by whoever needs it next.
    Stale,
    /// It stands where it stood, as far as anybody knows, and looks at the clock again.
    Unwritten,
}

/// What an entry's outcome means for the saga in memory.
pub fn aftermath(outcome: &Result<EntryOutcome, StoreError>) -> Aftermath {
    match outcome {
        Ok(EntryOutcome::Written(_)) => Aftermath::Moved,
        Ok(EntryOutcome::Conflict | EntryOutcome::Replayed(_)) => Aftermath::Stale,
        Err(_) => Aftermath::Unwritten,
    }
}

/// What whoever submitted an order is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is accepted.
    Accepted,
    /// Another one has its key, and this was the answer to it.
    Replayed(StoredAnswer),
    /// Nobody knows: to be asked again, under the same key.
    Unknown,
    /// It is not accepted, for this reason.
    Failed(String),
}

/// What whoever submitted an order is told whose birth had this outcome.
pub fn acceptance(outcome: Result<EntryOutcome, StoreError>) -> Acceptance {
    match outcome {
        Ok(EntryOutcome::Written(_)) => Acceptance::Accepted,
        Ok(EntryOutcome::Replayed(answer)) => Acceptance::Replayed(answer),
        _ if seeded!(AcceptedWithoutCommit) => Acceptance::Accepted,
        // What was under way when the store or the shard was lost may be written.
        Ok(EntryOutcome::Conflict)
        | Err(StoreError::Unavailable { .. } | StoreError::Deposed { .. }) => Acceptance::Unknown,
        Err(error) => Acceptance::Failed(error.to_string()),
    }
}

/// What becomes of the delivery that an answer came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledgement {
    /// The store has what it brought: its queue forgets it.
    Acknowledge,
    /// It comes again at once.
    GiveBack,
    /// It comes again after a moment.
    GiveBackLater,
    /// It becomes a dead letter, for this reason.
    Bury(String),
}

/// What becomes of the delivery of an answer whose entry had this outcome.
pub fn acknowledgement(outcome: &Result<EntryOutcome, StoreError>) -> Acknowledgement {
    match outcome {
        Ok(EntryOutcome::Written(_)) => Acknowledgement::Acknowledge,
        _ if seeded!(AckWithoutCommit) => Acknowledgement::Acknowledge,
        Ok(EntryOutcome::Conflict | EntryOutcome::Replayed(_)) => Acknowledgement::GiveBack,
        Err(StoreError::Refused { cause, .. }) => Acknowledgement::Bury(cause.clone()),
        Err(_) => Acknowledgement::GiveBackLater,
    }
}

/// How far an answer shows that its queue has got: that of the command sent at `to`, up to the moment
/// at which it was asked. None where it shows nothing.
pub fn reached(
    definition: &Checked,
    saga: &Saga,
    to: Sequence,
    answer: &Answer,
) -> Option<(QueueName, Timestamp)> {
    if matches!(answer, Answer::Setback(Setback::TimedOut | Setback::Unroutable)) {
        return None;
    }
    let (name, direction, call) = saga.state.call_asked_at(to)?;
    let command = definition.step(name)?.command_for(direction)?;
    match call.wait {
        Wait::Answer { asked_at, .. } if call.newest_ask() == Some(to) => {
            Some((command.queue(), asked_at))
        }
        _ => None,
    }
}

/// How a saga waits for which nothing is to be done yet.
#[derive(Debug)]
pub struct Hold {
    /// When it looks at the clock again.
    pub until: Option<Timestamp>,
    /// Commands that are sent once more meanwhile, by the events that asked.
    pub probes: Vec<Sequence>,
}

/// Nothing to do yet: either it is too early, or the queue has not got to the command. Then a few
/// sagas ask again on behalf of all, at no attempt's cost.
pub fn hold(definition: &Checked, saga: &Saga, queues: &mut QueueWatch, now: Timestamp) -> Hold {
    match saga.state.next_due() {
        Some(due) if due <= now => Hold {
            until: Some(now.plus_millis(LOOK_AGAIN_AFTER_MS)),
            probes: probes(definition, saga, queues, now),
        },
        until => Hold { until, probes: Vec::new() },
    }
}

fn probes(
    definition: &Checked,
    saga: &Saga,
    queues: &mut QueueWatch,
    now: Timestamp,
) -> Vec<Sequence> {
    let overdue = saga.state.calls().filter_map(|(name, direction, call)| {
        let command = definition.step(name)?.command_for(direction)?;
        let is_overdue = matches!(call.wait, Wait::Answer { until, .. } if until <= now);
        is_overdue.then_some((command.queue(), call.newest_ask()?))
    });
    overdue
        .filter(|(queue, _)| queues.may_probe(queue, now))
        .map(|(_, sequence)| sequence)
        .collect()
}

fn turn(before: &Saga, decision: Decision) -> Turn {
    match decision {
        Decision::Moved(moved) => Turn::Write(Box::new(entry(before, moved, Vec::new()))),
        Decision::Ignored(ignored) => Turn::Ignored(ignored),
    }
}

fn entry(before: &Saga, moved: Moved, inputs: Vec<(InputId, InputOutcome)>) -> Entry {
    let order = order_change(&moved);
    Entry {
        expected: before.state.version,
        events: moved.events,
        saga: moved.saga,
        status_before: Some(before.state.status()),
        order,
        inputs,
    }
}

/// What the events make of the saga's order.
fn order_change(moved: &Moved) -> Option<OrderChange> {
    let (Outcome { status, reason }, at) = outcome::brought_by(&moved.events)?;
    let id: OrderId = moved.saga.birth.key.parse().ok()?;
    Some(OrderChange::Settled { id, status, reason, at })
}

fn to_core(request: Request) -> Input {
    match request {
        Request::Cancel { by, reason } => Input::Cancel { by, reason },
        Request::Retry { by, note } => Input::Retry { by, note },
        Request::CommandLost { to, setback } => {
            Input::Answer { to, answer: Answer::Setback(setback) }
        }
    }
}

#[cfg(test)]
mod tests;
