//! Which steps start, which are undone, and when the saga ends.

use super::draft::Draft;
use crate::saga::definition::{Direction, Runs, Step, StepKind};
use crate::saga::event::Event;
use crate::saga::evolve::HistoryError;
use crate::saga::id::StepName;
use crate::saga::json::Json;
use crate::saga::state::{Phase, State, StepState};

/// Runs on until every way onwards waits for somebody else.
pub(super) fn advance(draft: &mut Draft<'_>) -> Result<(), HistoryError> {
    loop {
        let moved = match draft.state().phase.clone() {
            Phase::Forward => start_ready(draft, &draft.definition.steps)? || complete(draft)?,
            Phase::RollingBack(reason) => {
                let undone = undo_ready(draft)?;
                if !undone && is_all_undone(draft.state()) {
                    draft.emit(Event::RolledBack { reason })?;
                    true
                } else {
                    undone
                }
            }
            Phase::RolledBack(reason) => {
                let after = &draft.definition.after_rollback;
                let started = start_ready(draft, after)?;
                if !started && all_succeeded(draft.state(), after) {
                    draft.emit(Event::SagaCancelled { reason })?;
                }
                started
            }
            Phase::Completed | Phase::Cancelled(_) => false,
        };
        if !moved {
            return Ok(());
        }
    }
}

/// Starts the steps whose needs are met. Tells whether there were any.
fn start_ready(draft: &mut Draft<'_>, steps: &[Step]) -> Result<bool, HistoryError> {
    let mut started = false;
    for step in steps {
        let state = draft.state();
        let ready = state.step(&step.name).is_none()
            && (step.needs.iter().all(|need| state.succeeded(need)) || seeded!(NeedsForgotten));
        if !ready {
            continue;
        }
        started = true;
        match step.runs {
            Runs::AtWorker => draft.ask(step, Direction::Do, 1, 1)?,
            Runs::Locally => draft.emit(Event::StepSucceeded {
                step: step.name.clone(),
                generation: 1,
                result: Json::null(),
            })?,
        }
    }
    Ok(started)
}

fn complete(draft: &mut Draft<'_>) -> Result<bool, HistoryError> {
    let done = all_succeeded(draft.state(), &draft.definition.steps);
    if done {
        draft.emit(Event::SagaCompleted)?;
    }
    Ok(done)
}

/// Undoes the steps on which nothing rests any more. Tells whether there were any.
///
/// A step that still runs is undone at once, without waiting for its outcome: the worker's
/// tombstone covers a do that arrives after its undo.
fn undo_ready(draft: &mut Draft<'_>) -> Result<bool, HistoryError> {
    let mut undone = false;
    for step in draft.definition.steps.iter().filter(|step| step.kind == StepKind::Compensatable) {
        let Some(generation) = generation_to_undo(draft.state(), &step.name) else {
            continue;
        };
        let rests_on_it = draft.definition.dependents(&step.name).any(|dependent| {
            draft.state().step(&dependent.name).is_some_and(|state| !state.left_nothing())
        });
        if rests_on_it {
            continue;
        }
        undone = true;
        match step.runs {
            Runs::AtWorker => draft.ask(step, Direction::Undo, generation, 1)?,
            Runs::Locally => {
                draft.emit(Event::StepUndone { step: step.name.clone(), generation })?
            }
        }
    }
    Ok(undone)
}

/// The generation whose undo has not been asked for yet; none where nothing is to be undone.
fn generation_to_undo(state: &State, step: &StepName) -> Option<u32> {
    match state.step(step)? {
        StepState::Doing(call) if !seeded!(RunningStepLeft) => Some(call.generation),
        StepState::Succeeded { generation, .. } | StepState::InDoubt { generation, .. } => {
            Some(*generation)
        }
        _ => None,
    }
}

/// Whether nothing of any step is left. Only called while rolling back, where every started step is
/// compensatable, or a pivot that failed.
fn is_all_undone(state: &State) -> bool {
    state.steps.iter().all(|step| step.state.left_nothing())
}

fn all_succeeded(state: &State, steps: &[Step]) -> bool {
    steps.iter().all(|step| state.succeeded(&step.name))
}
