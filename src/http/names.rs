//! What the core's kinds of things are called in the API.

use crate::saga::definition::{Direction, Runs, StepKind};
use crate::saga::event::{Doubt, Event};
use crate::saga::state::{Phase, StepState};

/// A step's place in the life of a saga.
pub fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Compensatable => "COMPENSATABLE",
        StepKind::Pivot => "PIVOT",
        StepKind::Retriable => "RETRIABLE",
    }
}

/// Who runs a step.
pub fn runs(runs: Runs) -> &'static str {
    match runs {
        Runs::AtWorker => "AT_WORKER",
        Runs::Locally => "LOCALLY",
    }
}

/// Whether a command does or undoes a step.
pub fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Do => "DO",
        Direction::Undo => "UNDO",
    }
}

/// Why a step's outcome is in doubt: the setback, or that it was refused late.
pub fn doubt(doubt: &Doubt) -> &'static str {
    match doubt {
        Doubt::NoAnswer(last) => last.code(),
        Doubt::RefusedLate(_) => "REFUSED_LATE",
    }
}

/// The direction a saga moves in.
pub fn phase(phase: &Phase) -> &'static str {
    match phase {
        Phase::Forward => "FORWARD",
        Phase::RollingBack(_) => "ROLLING_BACK",
        Phase::RolledBack(_) => "ROLLED_BACK",
        Phase::Completed => "COMPLETED",
        Phase::Cancelled(_) => "CANCELLED",
    }
}

/// Where a started step stands.
pub fn step_state(state: &StepState) -> &'static str {
    match state {
        StepState::Doing(_) => "DOING",
        StepState::Succeeded { .. } => "SUCCEEDED",
        StepState::Failed { .. } => "FAILED",
        StepState::InDoubt { .. } => "IN_DOUBT",
        StepState::Refused { .. } => "REFUSED",
        StepState::Undoing { .. } => "UNDOING",
        StepState::UndoRefused { .. } => "UNDO_REFUSED",
        StepState::Undone { .. } => "UNDONE",
    }
}

/// The type of an event.
pub fn event(event: &Event) -> &'static str {
    match event {
        Event::SagaStarted(_) => "SAGA_STARTED",
        Event::StepAsked { .. } => "STEP_ASKED",
        Event::StepDeferred { .. } => "STEP_DEFERRED",
        Event::StepSucceeded { .. } => "STEP_SUCCEEDED",
        Event::StepFailed { .. } => "STEP_FAILED",
        Event::StepGivenUp { .. } => "STEP_GIVEN_UP",
        Event::StepRefused { .. } => "STEP_REFUSED",
        Event::StepUndone { .. } => "STEP_UNDONE",
        Event::RollbackStarted { .. } => "ROLLBACK_STARTED",
        Event::RolledBack { .. } => "ROLLED_BACK",
        Event::DeadlinePassed => "DEADLINE_PASSED",
        Event::AttentionRaised { .. } => "ATTENTION_RAISED",
        Event::RetryRequested { .. } => "RETRY_REQUESTED",
        Event::SagaCompleted => "SAGA_COMPLETED",
        Event::SagaCancelled { .. } => "SAGA_CANCELLED",
    }
}
