//! What a saga is made of: plain values that can be written as JSON.

use serde::{Deserialize, Serialize};

use super::id::{CommandName, DefinitionName, DefinitionRef, ReasonCode, StepName};
use super::retry::RetryPolicy;

/// A named, versioned set of steps.
///
/// Deserialising does not check it; [`Definition::check`](super::check) does, and nothing runs a
/// definition that was not checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// What it is called, e.g. `order`.
    pub name: DefinitionName,
    /// Raised with every change; each saga keeps the version it was born with.
    pub version: u32,
    /// How long a saga may take in all: before the pivot its end cancels the saga, after the pivot
    /// it calls for attention.
    pub deadline_ms: u64,
    /// The way forward, in any order that `needs` allows.
    pub steps: Vec<Step>,
    /// What is done once everything is undone; retriable steps only.
    #[serde(default)]
    pub after_rollback: Vec<Step>,
}

/// One step: a command to a worker, or a local change in the orchestrator's own commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Unique within the definition.
    pub name: StepName,
    /// The steps that must have succeeded before this one starts.
    #[serde(default)]
    pub needs: Vec<StepName>,
    /// What may happen to it when the saga fails.
    pub kind: StepKind,
    /// Who runs it.
    #[serde(default)]
    pub runs: Runs,
    /// What the worker is asked to do.
    pub command: CommandName,
    /// What undoes it; compensatable steps only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<CommandName>,
    /// How long to wait for an answer before the outcome counts as unknown.
    pub timeout_ms: u64,
    /// How often and how fast it is asked again.
    #[serde(default)]
    pub retry: RetryPolicy,
    /// The codes its worker may refuse with. A failure with any other code says nothing about what
    /// happened, and is treated as an unknown outcome.
    #[serde(default)]
    pub reasons: Vec<ReasonCode>,
    /// Whether the worker remembers its answers.
    #[serde(default)]
    pub worker: WorkerMemory,
}

/// A step's place in the life of a saga.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepKind {
    /// Has an undo.
    Compensatable,
    /// The point of no return.
    Pivot,
    /// Must succeed; comes after the pivot.
    Retriable,
}

/// Who runs a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Runs {
    /// A worker that is sent a command.
    #[default]
    AtWorker,
    /// The orchestrator itself: the step is a change of a projection, in the same commit.
    Locally,
}

/// Whether a worker keeps a record of each answer, so that a repeat gets the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkerMemory {
    /// It does: a failure on the first attempt means that nothing was done.
    #[default]
    Recorded,
    /// It does not: any failure it reports may hide an earlier success and is undone.
    Forgetful,
}

/// Whether a command does a step or undoes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// The step's action.
    Do,
    /// Its compensation.
    Undo,
}

impl Definition {
    /// The name and version that sagas are pinned to.
    pub fn reference(&self) -> DefinitionRef {
        DefinitionRef { name: self.name.clone(), version: self.version }
    }

    /// Finds a step, `after_rollback` included.
    pub fn step(&self, name: &StepName) -> Option<&Step> {
        self.all_steps().find(|step| &step.name == name)
    }

    /// All steps: the way forward, then those after a rollback.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.after_rollback)
    }

    /// The point of no return, if the definition has one.
    pub fn pivot(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.kind == StepKind::Pivot)
    }

    /// The steps that need `name` directly.
    pub fn dependents<'a>(&'a self, name: &'a StepName) -> impl Iterator<Item = &'a Step> {
        self.steps.iter().filter(|step| step.needs.contains(name))
    }
}

impl Step {
    /// The command that does or undoes this step; `None` where there is no undo.
    pub fn command_for(&self, direction: Direction) -> Option<&CommandName> {
        match direction {
            Direction::Do => Some(&self.command),
            Direction::Undo => self.undo.as_ref(),
        }
    }

    /// Whether asking stops after the policy's last attempt. Only a compensatable step can be given
    /// up, since only its unknown outcome can be undone; everything else is asked without end.
    pub fn gives_up(&self, direction: Direction) -> bool {
        self.kind == StepKind::Compensatable && direction == Direction::Do
    }
}
