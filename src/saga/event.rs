//! Facts that happened to a saga.

use serde::{Deserialize, Serialize};

use super::definition::Direction;
use super::id::{DefinitionRef, ReasonCode, Sequence, StepName, Timestamp};
use super::json::Json;

/// The format in which events are stored; raised when an old reader could misread a new event.
pub const EVENT_FORMAT: i32 = 1;

/// An event with its place in the saga's history.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Recorded {
    /// Its position, from 1 without gaps.
    pub sequence: Sequence,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What a saga was born with; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Birth {
    /// What it runs.
    pub definition: DefinitionRef,
    /// What its business calls it, e.g. the order's id.
    pub key: String,
    /// What it was given to work on.
    pub input: Json,
    /// When the whole saga should be over.
    pub deadline: Timestamp,
    /// The W3C trace that it belongs to, if the submission carried one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// What can happen to a saga. Absolute moments only, so that replaying needs no clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// It was born.
    SagaStarted(Birth),
    /// A worker was asked to do or undo a step; the command goes out once this is committed.
    StepAsked {
        /// Which step.
        step: StepName,
        /// To do it or to undo it.
        direction: Direction,
        /// Which try; a new one has a new idempotency key.
        generation: u32,
        /// The how-manieth sending under this key, from 1.
        attempt: u32,
        /// Until when an answer is waited for.
        until: Timestamp,
    },
    /// A step met a setback and will be asked again.
    StepDeferred {
        /// Which step.
        step: StepName,
        /// What came instead of an answer.
        setback: Setback,
        /// When it is asked again.
        until: Timestamp,
    },
    /// A step did what it should; for a local step this is all that ever happens.
    StepSucceeded {
        /// Which step.
        step: StepName,
        /// Which try.
        generation: u32,
        /// What the worker returned.
        result: Json,
    },
    /// A step was refused on its first attempt: nothing was done.
    StepFailed {
        /// Which step.
        step: StepName,
        /// Why.
        reason: Reason,
    },
    /// A compensatable step may or may not have been done, and asking has an end: it will be undone.
    StepGivenUp {
        /// Which step.
        step: StepName,
        /// What it came to.
        doubt: Doubt,
    },
    /// A step that must succeed, or an undo, was refused for a reason; it waits for an operator.
    StepRefused {
        /// Which step.
        step: StepName,
        /// Why.
        reason: Reason,
    },
    /// A step was undone, or it was made sure that it will never be done.
    StepUndone {
        /// Which step.
        step: StepName,
        /// Which try of the undo.
        generation: u32,
    },
    /// Nothing new starts from here on; what was done is undone.
    RollbackStarted {
        /// What set it off; the reason that the customer is told.
        reason: Reason,
        /// Who asked for it, where somebody did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
    /// Everything is undone. The outcome stands, whatever the steps after the rollback do.
    RolledBack {
        /// What had set it off.
        reason: Reason,
    },
    /// The saga's deadline passed.
    DeadlinePassed,
    /// An operator should look.
    AttentionRaised {
        /// Which step it is about; none where it is the saga as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        step: Option<StepName>,
        /// What is wrong.
        cause: AttentionCause,
    },
    /// An operator had it tried again.
    RetryRequested {
        /// Who.
        by: String,
        /// Why.
        note: String,
    },
    /// Every step succeeded. Nothing happens to the saga after this.
    SagaCompleted,
    /// Everything is undone and the steps after the rollback succeeded. Nothing happens after this.
    SagaCancelled {
        /// What had set off the rollback.
        reason: Reason,
    },
}

impl Event {
    /// What it is called where it is stored and shown.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SagaStarted(_) => "sagaStarted",
            Self::StepAsked { .. } => "stepAsked",
            Self::StepDeferred { .. } => "stepDeferred",
            Self::StepSucceeded { .. } => "stepSucceeded",
            Self::StepFailed { .. } => "stepFailed",
            Self::StepGivenUp { .. } => "stepGivenUp",
            Self::StepRefused { .. } => "stepRefused",
            Self::StepUndone { .. } => "stepUndone",
            Self::RollbackStarted { .. } => "rollbackStarted",
            Self::RolledBack { .. } => "rolledBack",
            Self::DeadlinePassed => "deadlinePassed",
            Self::AttentionRaised { .. } => "attentionRaised",
            Self::RetryRequested { .. } => "retryRequested",
            Self::SagaCompleted => "sagaCompleted",
            Self::SagaCancelled { .. } => "sagaCancelled",
        }
    }
}

/// Why something did not happen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Reason {
    /// One of a closed set of codes.
    pub code: ReasonCode,
    /// A short sentence that is safe to show; empty where the code says it all.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Reason {
    /// A reason whose code says it all.
    pub fn of(code: &str) -> Self {
        Self { code: code.into(), text: String::new() }
    }
}

/// Reasons that the core itself gives.
pub mod core_reason {
    /// The saga's deadline passed before its pivot.
    pub const DEADLINE_EXCEEDED: &str = "DEADLINE_EXCEEDED";
    /// A step's outcome stayed unknown after all its attempts.
    pub const STEP_OUTCOME_UNKNOWN: &str = "STEP_OUTCOME_UNKNOWN";
}

/// What came instead of a success or a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Setback {
    /// The worker can't do it now and did nothing.
    Retryable,
    /// No answer in time.
    TimedOut,
    /// The command ended among the dead letters.
    DeadLettered,
    /// The command reached no queue.
    Unroutable,
    /// An error without one of the step's reason codes.
    Unexplained,
}

/// Why a step's outcome is in doubt for good.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Doubt {
    /// The last of its attempts met this.
    NoAnswer(Setback),
    /// It was refused, but an earlier attempt may have succeeded.
    RefusedLate(Reason),
}

/// What is wrong with a saga that needs attention.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum AttentionCause {
    /// A step that must succeed does not; it is asked again and again.
    NotAnswered {
        /// How often it was asked before this was raised.
        attempts: u32,
        /// What the last attempt met.
        last: Setback,
    },
    /// A worker refused what must not be refused; nothing happens until an operator acts.
    Refused(Reason),
    /// The saga is past its deadline and can't be cancelled any more: its pivot was begun, or it is
    /// being rolled back already.
    DeadlineExceeded,
}
