//! What people may ask for.

use super::answer::roll_back;
use super::draft::Draft;
use crate::saga::check::Checked;
use crate::saga::definition::Direction;
use crate::saga::event::{Event, Reason};
use crate::saga::id::StepName;
use crate::saga::input::{Ignored, Rejection};
use crate::saga::state::{Phase, State, StepState};

/// Whether the saga can still be turned round: it moves forward and its pivot was not begun. While
/// a pivot's outcome is unknown nothing is undone.
pub fn can_be_cancelled(definition: &Checked, state: &State) -> bool {
    let pivot_begun = definition.pivot().is_some_and(|pivot| state.step(&pivot.name).is_some());
    state.phase == Phase::Forward && (!pivot_begun || seeded!(CancelPastPivot))
}

pub(super) fn cancel(
    draft: &mut Draft<'_>,
    by: &str,
    reason: &Reason,
) -> Result<Option<Ignored>, Rejection> {
    if let Some(rolled_back) = draft.state().rollback_reason() {
        return Err(Rejection::AlreadyRollingBack(rolled_back.clone()));
    }
    if !can_be_cancelled(draft.definition, draft.state()) {
        return Err(Rejection::PastPivot);
    }
    roll_back(draft, reason.clone(), Some(by.to_owned()))?;
    Ok(None)
}

/// Asks everything that is stuck once more.
///
/// What was refused gets a new generation, because the worker would answer the old key from its
/// record; what has no answer is asked under its old key, because it may have been done.
pub(super) fn retry(
    draft: &mut Draft<'_>,
    by: &str,
    note: &str,
) -> Result<Option<Ignored>, Rejection> {
    if draft.state().phase.is_end() || draft.state().attention.is_empty() {
        return Err(Rejection::NotStuck(draft.state().status()));
    }
    let stuck = stuck(draft.state());
    draft.emit(Event::RetryRequested { by: by.to_owned(), note: note.to_owned() })?;
    for (name, direction, generation, attempt) in stuck {
        let step = draft.step(&name)?;
        draft.ask(step, direction, generation, attempt)?;
    }
    Ok(None)
}

/// The steps to ask once more and how: those that need attention; where the saga as a whole does,
/// all that are open.
fn stuck(state: &State) -> Vec<(StepName, Direction, u32, u32)> {
    let needs = |name: &StepName| {
        state
            .attention
            .iter()
            .any(|attention| attention.step.as_ref().is_none_or(|step| step == name))
    };
    let steps = state.steps.iter().filter(|step| needs(&step.name));
    steps
        .filter_map(|step| {
            let (direction, generation, attempt) = next_asking(&step.state)?;
            Some((step.name.clone(), direction, generation, attempt))
        })
        .collect()
}

/// The direction, generation and attempt with which a stuck step is asked next.
fn next_asking(state: &StepState) -> Option<(Direction, u32, u32)> {
    match state {
        StepState::Refused { generation, .. } => Some((Direction::Do, generation + 1, 1)),
        StepState::UndoRefused { generation, .. } => Some((Direction::Undo, generation + 1, 1)),
        _ => {
            let (direction, call) = state.call()?;
            Some((direction, call.generation, call.attempt.saturating_add(1)))
        }
    }
}
