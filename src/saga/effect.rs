//! What must be sent because of what happened.

use std::fmt;

use super::check::Checked;
use super::definition::{Direction, Step};
use super::event::{Event, Recorded};
use super::id::{CommandName, SagaId, Sequence, StepName, Timestamp};
use super::json::Json;
use super::state::{Saga, Wait};

/// A command that a worker is to be sent.
#[derive(Clone, Debug)]
pub struct Command<'a> {
    /// The saga, as it stands when this is rendered; its birth and results never change, so a
    /// re-send has the same body.
    pub saga: &'a Saga,
    /// The step's definition.
    pub step: &'a Step,
    /// What the worker is asked for.
    pub name: &'a CommandName,
    /// The position of the event that asked; with the saga's id the message's id.
    pub sequence: Sequence,
    /// The same for every sending.
    pub key: IdempotencyKey,
    /// The how-manieth sending.
    pub attempt: u32,
    /// When it was first to be sent.
    pub asked_at: Timestamp,
    /// Until when an answer is waited for. Information only: workers never drop by it.
    pub until: Timestamp,
}

/// What a definition can't say as a plain value: the bodies of its commands, and its events.
///
/// Everything it writes depends on the saga's birth and on results that never change, so that a
/// re-send says the same.
pub trait Script: Send + Sync {
    /// Where its messages come from, e.g. `/skald/orders`.
    fn source(&self) -> &'static str;

    /// The body of a command.
    ///
    /// # Errors
    /// When the saga's input or a result does not have the shape that the script was written for.
    fn command(&self, command: &Command<'_>) -> Result<Json, ScriptError>;

    /// What the world is told because of `recorded`, if anything.
    ///
    /// # Errors
    /// As for [`Script::command`].
    fn announcement(
        &self,
        saga: &Saga,
        recorded: &Recorded,
    ) -> Result<Option<Announcement>, ScriptError>;
}

/// A fact for whoever listens.
#[derive(Clone, Debug)]
pub struct Announcement {
    /// What it is called and routed by, e.g. `order.created`.
    pub name: &'static str,
    /// What it is about, e.g. the order's id.
    pub subject: String,
    /// The fact.
    pub data: Json,
}

/// A saga whose input or results its script can't read.
#[derive(Debug, thiserror::Error)]
#[error("the saga's input or a result does not have the expected shape: {0}")]
pub struct ScriptError(#[from] serde_json::Error);

/// What makes repeats of a command recognisable: saga · step · generation · do or undo.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey {
    /// The saga.
    pub saga: SagaId,
    /// The step.
    pub step: StepName,
    /// Which try.
    pub generation: u32,
    /// To do it or to undo it.
    pub direction: Direction,
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let direction = match self.direction {
            Direction::Do => "do",
            Direction::Undo => "undo",
        };
        write!(f, "{}:{}:{}:{direction}", self.saga, self.step, self.generation)
    }
}

impl IdempotencyKey {
    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let key = Self {
            saga: parts.next()?.parse().ok()?,
            step: parts.next()?.into(),
            generation: parts.next()?.parse().ok()?,
            direction: match parts.next()? {
                "do" => Direction::Do,
                "undo" => Direction::Undo,
                _ => return None,
            },
        };
        // One key has one spelling: a worker may compare keys as texts.
        (key.to_string() == text).then_some(key)
    }
}

/// The command that `recorded` sends, if it sends one.
///
/// `saga` may have moved on since; whether the command is still of use is [`is_open`]'s question.
pub fn command<'a>(
    definition: &'a Checked,
    saga: &'a Saga,
    recorded: &Recorded,
) -> Option<Command<'a>> {
    let Event::StepAsked { step, direction, generation, attempt, until } = &recorded.event else {
        return None;
    };
    let step = definition.step(step)?;
    Some(Command {
        saga,
        step,
        name: step.command_for(*direction)?,
        sequence: recorded.sequence,
        key: IdempotencyKey {
            saga: saga.id,
            step: step.name.clone(),
            generation: *generation,
            direction: *direction,
        },
        attempt: *attempt,
        asked_at: recorded.at,
        until: *until,
    })
}

/// Whether the outcome of the command sent at `sequence` is still of interest.
pub fn is_open(saga: &Saga, sequence: Sequence) -> bool {
    saga.state.call_asked_at(sequence).is_some()
}

/// The events that asked, before `since`, for what is still waited for; of each call the newest.
pub fn asked_before(saga: &Saga, since: Timestamp) -> impl Iterator<Item = Sequence> {
    let calls = saga.state.calls().map(|(_, _, call)| call);
    calls
        .filter(move |call| matches!(call.wait, Wait::Answer { asked_at, .. } if asked_at < since))
        .filter_map(|call| call.newest_ask())
}

/// The newest sending of every call that waits for an answer: what a new owner asks again, with the
/// same ids and keys, at no attempt's cost.
pub fn open_commands<'a>(
    definition: &'a Checked,
    saga: &'a Saga,
) -> impl Iterator<Item = Command<'a>> {
    saga.state.calls().filter_map(|(name, direction, call)| {
        let Wait::Answer { asked_at, until } = call.wait else { return None };
        let step = definition.step(name)?;
        Some(Command {
            saga,
            step,
            name: step.command_for(direction)?,
            sequence: call.newest_ask()?,
            key: IdempotencyKey {
                saga: saga.id,
                step: step.name.clone(),
                generation: call.generation,
                direction,
            },
            attempt: call.attempt,
            asked_at,
            until,
        })
    })
}
