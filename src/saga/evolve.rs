//! How an event changes a state: the one table that live execution and replay share.

use std::sync::Arc;

use super::definition::Direction;
use super::event::{Event, Recorded};
use super::id::{SagaId, Sequence, StepName};
use super::state::{
    Attention, Call, Deadline, Phase, REMEMBERED_ASKS, Saga, StartedStep, State, StepState, Wait,
};

/// A history that can't have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// An event that its state does not allow.
    #[error("event {sequence} ({event}) is not possible where the saga stands: {found}")]
    Illegal {
        /// The event's position.
        sequence: Sequence,
        /// The event.
        event: &'static str,
        /// The status it met.
        found: &'static str,
    },
    /// A gap or a repetition.
    #[error("event {found} follows event {last}")]
    OutOfOrder {
        /// The newest event applied.
        last: Sequence,
        /// The one offered.
        found: Sequence,
    },
    /// No birth to start from.
    #[error("the history does not begin with the saga's start")]
    NoBirth,
}

/// Rebuilds a saga from its whole history.
///
/// # Errors
/// When the history has a gap, or an event that can't follow those before it.
pub fn replay(id: SagaId, history: &[Recorded]) -> Result<Saga, HistoryError> {
    let (first, rest) = history.split_first().ok_or(HistoryError::NoBirth)?;
    let mut saga = born(id, first)?;
    for recorded in rest {
        saga.state = evolve(saga.state, recorded)?;
    }
    Ok(saga)
}

/// Makes a saga from its first event.
///
/// # Errors
/// When `first` is not the start of a saga.
pub fn born(id: SagaId, first: &Recorded) -> Result<Saga, HistoryError> {
    let Event::SagaStarted(birth) = &first.event else {
        return Err(HistoryError::NoBirth);
    };
    if first.sequence != 1 {
        return Err(HistoryError::OutOfOrder { last: 0, found: first.sequence });
    }
    Ok(Saga {
        id,
        birth: Arc::new(birth.clone()),
        state: State {
            version: 1,
            phase: Phase::Forward,
            steps: Vec::new(),
            deadline: Deadline::Ahead(birth.deadline),
            attention: Vec::new(),
        },
    })
}

/// Applies one event.
///
/// It knows no definition and no rules of business, only which fact can follow which: a changed
/// rule never rewrites what has happened.
///
/// # Errors
/// When `recorded` is not the next event, or can't happen to a saga that stands like this.
pub fn evolve(mut state: State, recorded: &Recorded) -> Result<State, HistoryError> {
    if recorded.sequence != state.version + 1 {
        return Err(HistoryError::OutOfOrder { last: state.version, found: recorded.sequence });
    }
    if state.phase.is_end() {
        return Err(illegal(&state, recorded));
    }
    match &recorded.event {
        Event::SagaStarted(_) => return Err(illegal(&state, recorded)),
        Event::StepAsked { step, .. }
        | Event::StepDeferred { step, .. }
        | Event::StepSucceeded { step, .. }
        | Event::StepFailed { step, .. }
        | Event::StepGivenUp { step, .. }
        | Event::StepRefused { step, .. }
        | Event::StepUndone { step, .. } => {
            let found = find_step(&state, step);
            let next = evolve_step(found, recorded).ok_or_else(|| illegal(&state, recorded))?;
            if next.is_settled() {
                state.attention.retain(|attention| attention.step.as_ref() != Some(step));
            }
            put_step(&mut state, step, next);
        }
        Event::AttentionRaised { step, cause } => {
            state.attention.retain(|attention| attention.step != *step);
            state.attention.push(Attention {
                step: step.clone(),
                cause: cause.clone(),
                since: recorded.at,
            });
        }
        Event::RetryRequested { .. } => state.attention.clear(),
        Event::DeadlinePassed if state.deadline != Deadline::Passed => {
            state.deadline = Deadline::Passed
        }
        event => {
            state.phase =
                evolve_phase(&state.phase, event).ok_or_else(|| illegal(&state, recorded))?
        }
    }
    if state.phase.is_end() {
        state.attention.clear();
    }
    state.version = recorded.sequence;
    Ok(state)
}

fn evolve_phase(phase: &Phase, event: &Event) -> Option<Phase> {
    match (phase, event) {
        (Phase::Forward, Event::RollbackStarted { reason, .. }) => {
            Some(Phase::RollingBack(reason.clone()))
        }
        (Phase::RollingBack(_), Event::RolledBack { reason }) => {
            Some(Phase::RolledBack(reason.clone()))
        }
        (Phase::Forward, Event::SagaCompleted) => Some(Phase::Completed),
        (Phase::RolledBack(_), Event::SagaCancelled { reason }) => {
            Some(Phase::Cancelled(reason.clone()))
        }
        _ => None,
    }
}

fn evolve_step(found: Option<StepState>, recorded: &Recorded) -> Option<StepState> {
    use StepState as S;
    match (found, &recorded.event) {
        (found, Event::StepAsked { direction, generation, attempt, until, .. }) => {
            let asks = match found.as_ref().and_then(StepState::call) {
                Some((asked, call)) if asked == *direction && call.generation == *generation => {
                    call.asks.clone()
                }
                _ => Vec::new(),
            };
            let call = Call {
                generation: *generation,
                attempt: *attempt,
                asks: remember(asks, recorded.sequence),
                wait: Wait::Answer { asked_at: recorded.at, until: *until },
            };
            asked(found, *direction, call)
        }
        (Some(S::Doing(call)), Event::StepDeferred { setback, until, .. }) => {
            Some(S::Doing(Call { wait: Wait::Pause { until: *until, after: *setback }, ..call }))
        }
        (Some(S::Undoing { call, result }), Event::StepDeferred { setback, until, .. }) => {
            Some(S::Undoing {
                call: Call { wait: Wait::Pause { until: *until, after: *setback }, ..call },
                result,
            })
        }
        (None | Some(S::Doing(_)), Event::StepSucceeded { generation, result, .. }) => {
            Some(S::Succeeded { generation: *generation, result: result.clone() })
        }
        (Some(S::Doing(call)), Event::StepFailed { reason, .. }) => {
            Some(S::Failed { generation: call.generation, reason: reason.clone() })
        }
        (Some(S::Doing(call)), Event::StepGivenUp { doubt, .. }) => {
            Some(S::InDoubt { generation: call.generation, doubt: doubt.clone() })
        }
        (Some(S::Doing(call)), Event::StepRefused { reason, .. }) => {
            Some(S::Refused { generation: call.generation, reason: reason.clone() })
        }
        (Some(S::Undoing { call, result }), Event::StepRefused { reason, .. }) => {
            Some(S::UndoRefused { generation: call.generation, reason: reason.clone(), result })
        }
        (
            Some(S::Undoing { .. } | S::Succeeded { .. } | S::InDoubt { .. }),
            Event::StepUndone { generation, .. },
        ) => Some(S::Undone { generation: *generation }),
        _ => None,
    }
}

/// Where a step stands once a worker was asked, if it could be asked at all.
fn asked(found: Option<StepState>, direction: Direction, call: Call) -> Option<StepState> {
    use StepState as S;
    match (direction, found) {
        (Direction::Do, None | Some(S::Doing(_) | S::Refused { .. })) => Some(S::Doing(call)),
        (Direction::Undo, Some(S::Doing(_) | S::InDoubt { .. })) => {
            Some(S::Undoing { call, result: None })
        }
        (Direction::Undo, Some(S::Succeeded { result, .. })) => {
            Some(S::Undoing { call, result: Some(result) })
        }
        (Direction::Undo, Some(S::Undoing { result, .. } | S::UndoRefused { result, .. })) => {
            Some(S::Undoing { call, result })
        }
        _ => None,
    }
}

fn remember(mut asks: Vec<Sequence>, newest: Sequence) -> Vec<Sequence> {
    if asks.len() >= REMEMBERED_ASKS {
        asks.remove(0);
    }
    asks.push(newest);
    asks
}

fn find_step(state: &State, name: &StepName) -> Option<StepState> {
    state.step(name).cloned()
}

fn put_step(state: &mut State, name: &StepName, next: StepState) {
    match state.steps.iter_mut().find(|step| &step.name == name) {
        Some(step) => step.state = next,
        None => {
            // Most sagas in memory have one started step; room for four costs them 300 bytes.
            state.steps.reserve_exact(1);
            state.steps.push(StartedStep { name: name.clone(), state: next });
        }
    }
}

/// Names only: inputs and results may hold what does not belong into a log.
fn illegal(state: &State, recorded: &Recorded) -> HistoryError {
    HistoryError::Illegal {
        sequence: recorded.sequence,
        event: recorded.event.name(),
        found: state.status().as_str(),
    }
}
