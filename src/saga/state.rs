//! Where a saga stands.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::definition::Direction;
use super::event::{AttentionCause, Birth, Doubt, Reason, Setback};
use super::id::{SagaId, Sequence, StepName, Timestamp};
use super::json::Json;

/// The format in which states are stored; raised when an old reader could misread a new state.
pub const STATE_FORMAT: i32 = 1;

/// How many sendings under one key are remembered, so that a late reply to any of them counts. At
/// the shipped cap of 20 s this is 21 minutes; a reply that comes later still is answered again
/// from the worker's record.
pub const REMEMBERED_ASKS: usize = 64;

/// One run of a definition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Saga {
    /// Which one.
    pub id: SagaId,
    /// What it was born with.
    pub birth: Arc<Birth>,
    /// How far it has come.
    pub state: State,
}

/// How far a saga has come: all that changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// The sequence of its newest event.
    pub version: Sequence,
    /// The direction it moves in.
    pub phase: Phase,
    /// The steps that were started, in the order in which they were. A step that is not here has
    /// not been.
    pub steps: Vec<StartedStep>,
    /// Whether its deadline is still ahead.
    pub deadline: Deadline,
    /// What an operator should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attention: Vec<Attention>,
}

/// The direction a saga moves in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Towards completion.
    Forward,
    /// What was done is being undone.
    RollingBack(Reason),
    /// All is undone; the steps after the rollback run.
    RolledBack(Reason),
    /// The end: all steps succeeded.
    Completed,
    /// The end: rolled back, and the steps after it succeeded.
    Cancelled(Reason),
}

impl Phase {
    /// Whether nothing can happen any more.
    pub fn is_end(&self) -> bool {
        matches!(self, Self::Completed | Self::Cancelled(_))
    }
}

/// Whether a saga's deadline is still ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Deadline {
    /// It is.
    Ahead(Timestamp),
    /// It passed, and its consequences were drawn.
    Passed,
}

/// A step that was started.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StartedStep {
    /// Which one.
    pub name: StepName,
    /// Where it stands.
    pub state: StepState,
}

/// Where a started step stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum StepState {
    /// A worker is asked to do it.
    Doing(Call),
    /// It was done.
    Succeeded {
        /// Which try.
        generation: u32,
        /// What came of it.
        result: Json,
    },
    /// It was refused on the first attempt; nothing was done and nothing is to be undone.
    Failed {
        /// Which try.
        generation: u32,
        /// Why.
        reason: Reason,
    },
    /// It may have been done, and nobody will ask again; it will be undone.
    InDoubt {
        /// Which try.
        generation: u32,
        /// Why.
        doubt: Doubt,
    },
    /// It must succeed but was refused; it waits for an operator.
    Refused {
        /// Which try.
        generation: u32,
        /// Why.
        reason: Reason,
    },
    /// A worker is asked to undo it.
    Undoing {
        /// How.
        call: Call,
        /// What came of doing it, if it was done; an undo may need it.
        #[serde(
            default,
            deserialize_with = "Json::present",
            skip_serializing_if = "Option::is_none"
        )]
        result: Option<Json>,
    },
    /// Its undo was refused; it waits for an operator.
    UndoRefused {
        /// Which try.
        generation: u32,
        /// Why.
        reason: Reason,
        /// What came of doing it.
        #[serde(
            default,
            deserialize_with = "Json::present",
            skip_serializing_if = "Option::is_none"
        )]
        result: Option<Json>,
    },
    /// It was undone, or will never be done.
    Undone {
        /// Which try of the undo.
        generation: u32,
    },
}

impl StepState {
    /// The open call of this step and its direction.
    pub fn call(&self) -> Option<(Direction, &Call)> {
        match self {
            Self::Doing(call) => Some((Direction::Do, call)),
            Self::Undoing { call, .. } => Some((Direction::Undo, call)),
            _ => None,
        }
    }

    /// Whether what it was last asked for is over, so that nobody need look at it any more.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Succeeded { .. } | Self::Failed { .. } | Self::Undone { .. })
    }

    /// Whether, in a saga that rolls back, nothing of this step is left in the world.
    pub fn left_nothing(&self) -> bool {
        matches!(self, Self::Failed { .. } | Self::Undone { .. })
            || seeded!(RunningStepLeft) && matches!(self, Self::Doing(_))
    }
}

/// A command that waits for its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Which try; part of the idempotency key.
    pub generation: u32,
    /// How often it was sent under this key.
    pub attempt: u32,
    /// The sequences of these sendings, newest last; at most [`REMEMBERED_ASKS`].
    pub asks: Vec<Sequence>,
    /// What it waits for.
    pub wait: Wait,
}

impl Call {
    /// The sequence of the newest sending.
    pub fn newest_ask(&self) -> Option<Sequence> {
        self.asks.last().copied()
    }
}

/// What an open call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Wait {
    /// The worker's answer.
    Answer {
        /// Since when.
        asked_at: Timestamp,
        /// Until when.
        until: Timestamp,
    },
    /// The end of a pause before it is asked again.
    Pause {
        /// The end.
        until: Timestamp,
        /// What made it necessary.
        after: Setback,
    },
}

impl Wait {
    /// When waiting ends.
    pub fn until(&self) -> Timestamp {
        match self {
            Self::Answer { until, .. } | Self::Pause { until, .. } => *until,
        }
    }
}

/// Something that an operator should look at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attention {
    /// Which step; none where it is the saga as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<StepName>,
    /// What is wrong.
    pub cause: AttentionCause,
    /// Since when.
    pub since: Timestamp,
}

impl State {
    /// Finds a started step.
    pub fn step(&self, name: &StepName) -> Option<&StepState> {
        self.steps.iter().find(|step| &step.name == name).map(|step| &step.state)
    }

    /// Whether `name` was done.
    pub fn succeeded(&self, name: &StepName) -> bool {
        matches!(self.step(name), Some(StepState::Succeeded { .. }))
    }

    /// All calls that wait for their outcome.
    pub fn calls(&self) -> impl Iterator<Item = (&StepName, Direction, &Call)> {
        self.steps.iter().filter_map(|step| {
            step.state.call().map(|(direction, call)| (&step.name, direction, call))
        })
    }

    /// The open call that was sent with the event at `sequence`, whichever attempt that was.
    pub fn call_asked_at(&self, sequence: Sequence) -> Option<(&StepName, Direction, &Call)> {
        self.calls().find(|(_, _, call)| call.asks.contains(&sequence))
    }

    /// The next moment at which something is due; none where the saga only waits for an operator.
    pub fn next_due(&self) -> Option<Timestamp> {
        if self.phase.is_end() {
            return None;
        }
        let deadline = match self.deadline {
            Deadline::Ahead(at) => Some(at),
            Deadline::Passed => None,
        };
        self.calls().map(|(_, _, call)| call.wait.until()).chain(deadline).min()
    }

    /// The status that people filter by.
    pub fn status(&self) -> SagaStatus {
        match &self.phase {
            Phase::Completed => SagaStatus::Completed,
            Phase::Cancelled(_) => SagaStatus::Cancelled,
            _ if !self.attention.is_empty() => SagaStatus::NeedsAttention,
            Phase::Forward => SagaStatus::Running,
            Phase::RollingBack(_) | Phase::RolledBack(_) => SagaStatus::RollingBack,
        }
    }

    /// Why the saga was rolled back, if it was.
    pub fn rollback_reason(&self) -> Option<&Reason> {
        match &self.phase {
            Phase::RollingBack(reason) | Phase::RolledBack(reason) | Phase::Cancelled(reason) => {
                Some(reason)
            }
            Phase::Forward | Phase::Completed => None,
        }
    }
}

/// A saga's status as people see and filter it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SagaStatus {
    /// On its way.
    Running,
    /// Being undone, or undone and telling so.
    RollingBack,
    /// An operator should look.
    NeedsAttention,
    /// Ended well.
    Completed,
    /// Ended undone.
    Cancelled,
}

impl SagaStatus {
    /// Every status, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Running, Self::RollingBack, Self::NeedsAttention, Self::Completed, Self::Cancelled];

    /// The name used in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::RollingBack => "ROLLING_BACK",
            Self::NeedsAttention => "NEEDS_ATTENTION",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads the name used in the API and the store.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}
