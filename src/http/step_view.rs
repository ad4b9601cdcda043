//! A saga's steps as clients see them: those that were started, and those that were not.

use serde::Serialize;

use super::names;
use super::time::Moment;
use crate::saga::check::Checked;
use crate::saga::definition::{Direction, Step};
use crate::saga::event::{Doubt, Reason};
use crate::saga::id::{CommandName, StepName};
use crate::saga::json::Json;
use crate::saga::state::{Call, Phase, State, StepState, Wait};

/// A step and where it stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StepView<'a> {
    /// Which step.
    pub name: &'a StepName,
    /// Where it has its place; missing where this server does not know the definition.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// Where it stands; `NOT_STARTED` or `SKIPPED` where it was not started.
    pub state: &'static str,
    /// What the definition says of it; missing where this server does not know the definition.
    #[serde(flatten)]
    pub plan: Option<Plan<'a>>,
    /// What is known of its newest try.
    #[serde(flatten)]
    pub progress: Progress<'a>,
}

/// Where a step has its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Lane {
    /// On the way forward; undone on the way back.
    Forward,
    /// After everything is undone.
    AfterRollback,
}

/// What the definition says of a step.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan<'a> {
    /// `COMPENSATABLE`, `PIVOT` or `RETRIABLE`.
    pub kind: &'static str,
    /// `AT_WORKER` or `LOCALLY`.
    pub runs: &'static str,
    /// What the worker is asked to do.
    pub command: &'a CommandName,
    /// What undoes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undo: Option<&'a CommandName>,
    /// The steps before it.
    pub needs: &'a [StepName],
    /// After so many attempts it is given up, or needs attention.
    pub max_attempts: u32,
}

/// What is known of a step's newest try.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress<'a> {
    /// Which try; part of the idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// How often it was sent under this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// `ANSWER`, or `PAUSE` before it is asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<&'static str>,
    /// Since when an answer is waited for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Moment>,
    /// Until when it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Moment>,
    /// What the newest attempt met, or why the outcome is in doubt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setback: Option<&'static str>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'a Reason>,
    /// What the worker returned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<&'a Json>,
}

/// All steps of a saga, in the order of its definition. Where that is not known, those that were
/// started, in the order in which they were.
pub fn steps<'a>(definition: Option<&'a Checked>, state: &'a State) -> Vec<StepView<'a>> {
    let Some(definition) = definition else {
        return state.steps.iter().map(|step| started(&step.name, &step.state)).collect();
    };
    let forward = definition.steps.iter().map(|step| (Lane::Forward, step));
    let after = definition.after_rollback.iter().map(|step| (Lane::AfterRollback, step));
    forward.chain(after).map(|(lane, step)| planned(lane, step, state)).collect()
}

fn started<'a>(name: &'a StepName, state: &'a StepState) -> StepView<'a> {
    StepView {
        name,
        lane: None,
        state: names::step_state(state),
        plan: None,
        progress: progress(state),
    }
}

fn planned<'a>(lane: Lane, step: &'a Step, state: &'a State) -> StepView<'a> {
    let found = state.step(&step.name);
    let plan = Plan {
        kind: names::kind(step.kind),
        runs: names::runs(step.runs),
        command: &step.command,
        undo: step.command_for(Direction::Undo),
        needs: &step.needs,
        max_attempts: step.retry.max_attempts,
    };
    StepView {
        name: &step.name,
        lane: Some(lane),
        state: found.map_or_else(|| not_started(lane, &state.phase), names::step_state),
        plan: Some(plan),
        progress: found.map(progress).unwrap_or_default(),
    }
}

fn not_started(lane: Lane, phase: &Phase) -> &'static str {
    match (lane, phase) {
        (Lane::Forward, Phase::Forward) => "NOT_STARTED",
        (Lane::AfterRollback, Phase::RollingBack(_) | Phase::RolledBack(_)) => "NOT_STARTED",
        (Lane::AfterRollback, Phase::Forward) => "NOT_STARTED",
        _ => "SKIPPED",
    }
}

fn progress(state: &StepState) -> Progress<'_> {
    let mut progress = Progress::default();
    match state {
        StepState::Doing(call) => progress.calls(call),
        StepState::Undoing { call, result } => {
            progress.calls(call);
            progress.result = result.as_ref();
        }
        StepState::Succeeded { generation, result } => {
            progress.generation = Some(*generation);
            progress.result = Some(result);
        }
        StepState::Failed { generation, reason } | StepState::Refused { generation, reason } => {
            progress.generation = Some(*generation);
            progress.reason = Some(reason);
        }
        StepState::UndoRefused { generation, reason, result } => {
            progress.generation = Some(*generation);
            progress.reason = Some(reason);
            progress.result = result.as_ref();
        }
        StepState::InDoubt { generation, doubt } => {
            progress.generation = Some(*generation);
            progress.setback = Some(names::doubt(doubt));
            if let Doubt::RefusedLate(reason) = doubt {
                progress.reason = Some(reason);
            }
        }
        StepState::Undone { generation } => progress.generation = Some(*generation),
    }
    progress
}

impl Progress<'_> {
    fn calls(&mut self, call: &Call) {
        self.generation = Some(call.generation);
        self.attempt = Some(call.attempt);
        self.until = Some(Moment(call.wait.until()));
        match call.wait {
            Wait::Answer { asked_at, .. } => {
                self.waits_for = Some("ANSWER");
                self.asked_at = Some(Moment(asked_at));
            }
            Wait::Pause { after, .. } => {
                self.waits_for = Some("PAUSE");
                self.setback = Some(after.code());
            }
        }
    }
}
