//! The core's facts in plain words.

use crate::saga::definition::{Direction, StepKind};
use crate::saga::event::{AttentionCause, Doubt, Event, Reason, Setback};
use crate::saga::state::SagaStatus;

/// A status.
pub fn status(status: SagaStatus) -> &'static str {
    match status {
        SagaStatus::Running => "Running",
        SagaStatus::RollingBack => "Rolling back",
        SagaStatus::NeedsAttention => "Needs attention",
        SagaStatus::Completed => "Completed",
        SagaStatus::Cancelled => "Cancelled",
    }
}

/// The name of the colours that a status is shown in; the words say the same.
pub fn status_tone(status: SagaStatus) -> &'static str {
    match status {
        SagaStatus::Running => "active",
        SagaStatus::RollingBack => "warn",
        SagaStatus::NeedsAttention => "bad",
        SagaStatus::Completed => "good",
        SagaStatus::Cancelled => "quiet",
    }
}

/// A step's place in the life of a saga.
pub fn kind(kind: StepKind) -> &'static str {
    match kind {
        StepKind::Compensatable => "can be undone",
        StepKind::Pivot => "point of no return",
        StepKind::Retriable => "must succeed",
    }
}

/// What came instead of an answer.
pub fn setback(setback: Setback) -> &'static str {
    match setback {
        Setback::Retryable => "the worker could not do it at the time",
        Setback::TimedOut => "no answer came in time",
        Setback::DeadLettered => "the command ended among the dead letters",
        Setback::Unroutable => "the command reached no queue",
        Setback::Unexplained => "the worker answered with an error that explains nothing",
    }
}

/// A reason: its code, and its text if it has one.
pub fn reason(reason: &Reason) -> String {
    match reason.text.as_str() {
        "" => reason.code.to_string(),
        text => format!("{} ({text})", reason.code),
    }
}

/// Why a step is in doubt.
pub fn doubt(doubt: &Doubt) -> String {
    match doubt {
        Doubt::NoAnswer(last) => format!("given up after its last attempt: {}", setback(*last)),
        Doubt::RefusedLate(why) => {
            format!("refused with {}, but an earlier attempt may have succeeded", reason(why))
        }
    }
}

/// What is wrong, for an operator.
pub fn cause(cause: &AttentionCause) -> String {
    match cause {
        AttentionCause::NotAnswered { attempts, last } => format!(
            "It was asked {attempts} times without success; the last time {}. It is asked again \
             and again by itself, and a late success clears this.",
            setback(*last)
        ),
        AttentionCause::Refused(why) => format!(
            "The worker refused with {}, which must not happen here. Nothing more happens by \
             itself: find out why, and have it tried again.",
            reason(why)
        ),
        AttentionCause::DeadlineExceeded => "The saga is past its deadline and past its point of \
             no return, so it can't be undone. It goes on by itself as far as it can."
            .to_owned(),
    }
}

/// Whether a command does or undoes a step.
fn verb(direction: Direction) -> &'static str {
    match direction {
        Direction::Do => "do",
        Direction::Undo => "undo",
    }
}

/// The headline of an event.
pub fn event(event: &Event) -> String {
    match event {
        Event::SagaStarted(birth) => format!("Started for {}", birth.key),
        Event::StepAsked { step, direction, generation, attempt, .. } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let tries = if *generation > 1 { format!(", try {generation}") } else { String::new() };
            format!("Asked to {} {step}{tries}{again}", verb(*direction))
        }
        Event::StepDeferred { step, setback: why, .. } => {
            format!("{step} will be asked again: {}", setback(*why))
        }
        Event::StepSucceeded { step, .. } => format!("{step} was done"),
        Event::StepFailed { step, reason: why } => format!("{step} was refused: {}", reason(why)),
        Event::StepGivenUp { step, doubt: why } => format!("{step} is in doubt: {}", doubt(why)),
        Event::StepRefused { step, reason: why } => {
            format!("{step} was refused though it must succeed: {}", reason(why))
        }
        Event::StepUndone { step, .. } => format!("{step} was undone"),
        Event::RollbackStarted { reason: why, by } => match by {
            Some(by) => format!("Rollback started by {by}: {}", reason(why)),
            None => format!("Rollback started: {}", reason(why)),
        },
        Event::RolledBack { reason: why } => format!("Everything is undone: {}", reason(why)),
        Event::DeadlinePassed => "The deadline passed".to_owned(),
        Event::AttentionRaised { step, cause: why } => match step {
            Some(step) => format!("{step} needs attention. {}", cause(why)),
            None => format!("Needs attention. {}", cause(why)),
        },
        Event::RetryRequested { by, note } => format!("Tried again by {by}: {note}"),
        Event::SagaCompleted => "Completed".to_owned(),
        Event::SagaCancelled { reason: why } => format!("Cancelled: {}", reason(why)),
    }
}

/// The name of the colours that an event is shown in.
pub fn event_tone(event: &Event) -> &'static str {
    match event {
        Event::StepSucceeded { .. } | Event::SagaCompleted => "good",
        Event::StepDeferred { .. }
        | Event::StepGivenUp { .. }
        | Event::RollbackStarted { .. }
        | Event::DeadlinePassed => "warn",
        Event::StepFailed { .. } | Event::StepRefused { .. } | Event::AttentionRaised { .. } => {
            "bad"
        }
        Event::SagaStarted(_) | Event::StepAsked { .. } | Event::RetryRequested { .. } => "active",
        Event::StepUndone { .. } | Event::RolledBack { .. } | Event::SagaCancelled { .. } => {
            "quiet"
        }
    }
}
