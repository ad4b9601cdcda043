//! A saga's steps on its page: what is done, on the way forward and on the way back.

use std::collections::BTreeSet;

use super::when::When;
use super::words;
use crate::saga::check::Checked;
use crate::saga::definition::{Direction, Runs, Step};
use crate::saga::id::{StepName, Timestamp};
use crate::saga::state::{Call, Phase, State, StepState, Wait};

/// A lane of steps: the way forward, or what comes after a rollback.
pub struct Lane {
    /// What it is called.
    pub title: &'static str,
    /// Whether the saga goes, or went, along it.
    pub travelled: bool,
    /// Its steps by depth: those of a level need only those of the levels before.
    pub levels: Vec<Vec<Line>>,
}

impl Lane {
    /// All its steps.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.levels.iter().flatten()
    }

    /// Whether anything of it is, or was, undone.
    pub fn turns_back(&self) -> bool {
        self.lines().any(|line| line.undo.as_ref().is_some_and(|undo| undo.tone != "idle"))
    }
}

/// A step.
pub struct Line {
    /// Which one.
    pub name: String,
    /// Its place in the life of the saga.
    pub kind: &'static str,
    /// Doing it.
    pub act: Half,
    /// Undoing it; none where that can't be.
    pub undo: Option<Half>,
    /// Which attempt, of how many.
    pub attempt: Option<String>,
    /// What it waits for, and when that is due.
    pub waits: Option<(&'static str, When)>,
    /// What came of it.
    pub outcome: Option<String>,
    /// What the worker returned, as JSON.
    pub result: Option<String>,
}

/// One direction of a step.
pub struct Half {
    /// What a worker is asked for; empty where none is.
    pub command: String,
    /// How it stands, in words.
    pub label: &'static str,
    /// The name of the colours it is shown in.
    pub tone: &'static str,
    /// A mark that says the same to those who don't see colours.
    pub mark: char,
}

/// A label, its tone and its mark.
type Standing = (&'static str, &'static str, char);

const IDLE: Standing = ("not needed so far", "idle", '·');
const NOT_STARTED: Standing = ("not started", "idle", '○');
const SKIPPED: Standing = ("skipped", "idle", '–');
const RUNNING: Standing = ("running", "active", '●');
const PAUSING: Standing = ("waits to be asked again", "warn", '◔');
const DONE: Standing = ("done", "good", '✓');
const REFUSED: Standing = ("refused", "bad", '✕');
const STUCK: Standing = ("refused, stuck", "bad", '!');
const IN_DOUBT: Standing = ("may have been done", "warn", '?');
const UNDOING: Standing = ("being undone", "active", '↺');
const UNDO_DUE: Standing = ("will be undone", "warn", '○');
const UNDONE: Standing = ("undone", "good", '↺');
const NOTHING_TO_UNDO: Standing = ("nothing to undo", "idle", '–');
const TAKEN_BACK: Standing = ("taken back", "quiet", '–');

/// The lanes of a saga; none where its definition is not known.
pub fn lanes(definition: Option<&Checked>, state: &State, now: Timestamp) -> Vec<Lane> {
    let Some(definition) = definition else { return Vec::new() };
    let lane = |title, steps: &[Step], travelled, over| Lane {
        title,
        travelled,
        levels: levels(steps, |step| line(step, state, over, now)),
    };
    let forward = lane("Forward", &definition.steps, true, state.rollback_reason().is_some());
    let rolled_back = matches!(state.phase, Phase::RolledBack(_) | Phase::Cancelled(_));
    let completed = state.phase == Phase::Completed;
    let after = lane("After a rollback", &definition.after_rollback, rolled_back, completed);
    [forward, after].into_iter().filter(|lane| !lane.levels.is_empty()).collect()
}

/// The steps by depth: how many come before each along the longest way.
fn levels<T>(steps: &[Step], show: impl Fn(&Step) -> T) -> Vec<Vec<T>> {
    let mut placed: BTreeSet<&StepName> = BTreeSet::new();
    let mut left: Vec<&Step> = steps.iter().collect();
    let mut levels = Vec::new();
    while !left.is_empty() {
        let is_next = |step: &&Step| step.needs.iter().all(|need| placed.contains(need));
        let (next, later): (Vec<&Step>, Vec<&Step>) = left.into_iter().partition(is_next);
        // A checked definition has no circle; without one, each round places a step.
        let next = if next.is_empty() { later.clone() } else { next };
        levels.push(next.iter().map(|step| show(step)).collect());
        placed.extend(next.iter().map(|step| &step.name));
        left = later.into_iter().filter(|step| !placed.contains(&step.name)).collect();
    }
    levels
}

fn line(step: &Step, state: &State, over: bool, now: Timestamp) -> Line {
    let found = state.step(&step.name);
    let (act, undo) = standings(found, over);
    let call = found.and_then(StepState::call).map(|(_, call)| call);
    Line {
        name: step.name.to_string(),
        kind: words::kind(step.kind),
        act: half(act, step, Direction::Do),
        undo: step.undo.is_some().then(|| half(undo, step, Direction::Undo)),
        attempt: call.map(|call| attempt(step, call)),
        waits: call.map(|call| waits(call, now)),
        outcome: found.and_then(outcome),
        result: found.and_then(result),
    }
}

fn half((label, tone, mark): Standing, step: &Step, direction: Direction) -> Half {
    let command = match step.runs {
        Runs::AtWorker => step.command_for(direction).map(ToString::to_string),
        Runs::Locally => None,
    };
    Half { command: command.unwrap_or_default(), label, tone, mark }
}

/// How doing and undoing a step stand; `over` says that nothing new starts in its lane.
fn standings(found: Option<&StepState>, over: bool) -> (Standing, Standing) {
    match found {
        None if over => (SKIPPED, NOTHING_TO_UNDO),
        None => (NOT_STARTED, IDLE),
        Some(StepState::Doing(call)) => (asked(call, RUNNING), IDLE),
        Some(StepState::Succeeded { .. }) if over => (DONE, UNDO_DUE),
        Some(StepState::Succeeded { .. }) => (DONE, IDLE),
        Some(StepState::Failed { .. }) => (REFUSED, NOTHING_TO_UNDO),
        Some(StepState::InDoubt { .. }) => (IN_DOUBT, UNDO_DUE),
        Some(StepState::Refused { .. }) => (STUCK, IDLE),
        Some(StepState::Undoing { call, result }) => {
            (done_or_doubt(result.is_some()), asked(call, UNDOING))
        }
        Some(StepState::UndoRefused { result, .. }) => (done_or_doubt(result.is_some()), STUCK),
        Some(StepState::Undone { .. }) => (TAKEN_BACK, UNDONE),
    }
}

fn asked(call: &Call, running: Standing) -> Standing {
    if matches!(call.wait, Wait::Pause { .. }) { PAUSING } else { running }
}

fn done_or_doubt(is_done: bool) -> Standing {
    if is_done { DONE } else { IN_DOUBT }
}

fn attempt(step: &Step, call: &Call) -> String {
    let attempt = format!("{} of {}", call.attempt, step.retry.max_attempts);
    let beyond = call.attempt > step.retry.max_attempts;
    let attempt = if beyond { format!("{}, without end", call.attempt) } else { attempt };
    if call.generation > 1 { format!("{attempt} (try {})", call.generation) } else { attempt }
}

fn waits(call: &Call, now: Timestamp) -> (&'static str, When) {
    let what = match call.wait {
        Wait::Answer { .. } => "an answer",
        Wait::Pause { .. } => "its next attempt",
    };
    (what, When::due(call.wait.until(), now))
}

fn outcome(state: &StepState) -> Option<String> {
    match state {
        StepState::Failed { reason, .. }
        | StepState::Refused { reason, .. }
        | StepState::UndoRefused { reason, .. } => Some(words::reason(reason)),
        StepState::InDoubt { doubt, .. } => Some(words::doubt(doubt)),
        StepState::Doing(call) | StepState::Undoing { call, .. } => match call.wait {
            Wait::Pause { after, .. } => Some(words::setback(after).to_owned()),
            Wait::Answer { .. } => None,
        },
        StepState::Succeeded { .. } | StepState::Undone { .. } => None,
    }
}

fn result(state: &StepState) -> Option<String> {
    match state {
        StepState::Succeeded { result, .. }
        | StepState::Undoing { result: Some(result), .. }
        | StepState::UndoRefused { result: Some(result), .. } => {
            Some(result.as_str()).filter(|text| *text != "null").map(str::to_owned)
        }
        _ => None,
    }
}
