//! What a worker's answer, or its absence, comes to.

use super::draft::Draft;
use crate::saga::definition::{Direction, Step, StepKind, WorkerMemory};
use crate::saga::event::{AttentionCause, Doubt, Event, Reason, Setback, core_reason};
use crate::saga::evolve::HistoryError;
use crate::saga::id::Sequence;
use crate::saga::input::{Answer, Ignored, Rejection};
use crate::saga::state::{Call, State, Wait};

/// Takes the answer to the command that was sent with the event at `to`.
///
/// A success or a refusal counts whichever attempt it answers. A setback counts only for the newest
/// one: an older sending that came to nothing says nothing about the sending that is still open.
pub(super) fn answered(
    draft: &mut Draft<'_>,
    to: Sequence,
    answer: &Answer,
) -> Result<Option<Ignored>, Rejection> {
    let Some((name, direction, call)) = draft.state().call_asked_at(to) else {
        return Ok(Some(settled_or_never(draft.state(), to)));
    };
    let (name, call) = (name.clone(), call.clone());
    let step = draft.step(&name)?;
    match answer {
        Answer::Success(result) => {
            let generation = call.generation;
            draft.emit(match direction {
                Direction::Do => {
                    Event::StepSucceeded { step: name, generation, result: result.clone() }
                }
                Direction::Undo => Event::StepUndone { step: name, generation },
            })?;
        }
        Answer::Failure(reason) if is_known_reason(step, reason) => {
            refused(draft, step, direction, &call, reason)?
        }
        Answer::Failure(_) => {
            return setback_of(draft, step, direction, &call, to, Setback::Unexplained);
        }
        Answer::Setback(setback) => return setback_of(draft, step, direction, &call, to, *setback),
    }
    Ok(None)
}

fn settled_or_never(state: &State, to: Sequence) -> Ignored {
    if to <= state.version { Ignored::Settled } else { Ignored::NeverAsked }
}

/// A reason outside the step's closed set explains nothing.
fn is_known_reason(step: &Step, reason: &Reason) -> bool {
    step.reasons.contains(&reason.code)
}

/// A business failure. Nothing was done only if this was the first sending, to a worker that
/// remembers; otherwise an earlier one may have succeeded.
fn refused(
    draft: &mut Draft<'_>,
    step: &Step,
    direction: Direction,
    call: &Call,
    reason: &Reason,
) -> Result<(), HistoryError> {
    let nothing_done =
        call.attempt == 1 && step.worker == WorkerMemory::Recorded || seeded!(RefusalWithoutUndo);
    let name = step.name.clone();
    match (direction, step.kind) {
        (Direction::Do, StepKind::Compensatable | StepKind::Pivot) if nothing_done => {
            draft.emit(Event::StepFailed { step: name, reason: reason.clone() })?;
            roll_back(draft, reason.clone(), None)
        }
        (Direction::Do, StepKind::Compensatable) => {
            draft.emit(Event::StepGivenUp {
                step: name,
                doubt: Doubt::RefusedLate(reason.clone()),
            })?;
            roll_back(draft, reason.clone(), None)
        }
        (Direction::Do, StepKind::Pivot | StepKind::Retriable) | (Direction::Undo, _) => {
            draft.emit(Event::StepRefused { step: name.clone(), reason: reason.clone() })?;
            draft.emit(Event::AttentionRaised {
                step: Some(name),
                cause: AttentionCause::Refused(reason.clone()),
            })
        }
    }
}

fn setback_of(
    draft: &mut Draft<'_>,
    step: &Step,
    direction: Direction,
    call: &Call,
    to: Sequence,
    setback: Setback,
) -> Result<Option<Ignored>, Rejection> {
    let waits_for_it = matches!(call.wait, Wait::Answer { .. }) && call.newest_ask() == Some(to);
    if !waits_for_it {
        return Ok(Some(Ignored::Superseded));
    }
    set_back(draft, step, direction, call, setback)?;
    Ok(None)
}

/// The newest sending came to nothing: pause and ask again, or give up and undo.
pub(super) fn set_back(
    draft: &mut Draft<'_>,
    step: &Step,
    direction: Direction,
    call: &Call,
    setback: Setback,
) -> Result<(), HistoryError> {
    let name = step.name.clone();
    let exhausted = call.attempt >= step.retry.max_attempts;
    if exhausted && step.gives_up(direction) && seeded!(SilenceIsFailure) {
        let reason = Reason::of(core_reason::STEP_OUTCOME_UNKNOWN);
        draft.emit(Event::StepFailed { step: name, reason: reason.clone() })?;
        return roll_back(draft, reason, None);
    }
    if exhausted && step.gives_up(direction) {
        draft.emit(Event::StepGivenUp { step: name, doubt: Doubt::NoAnswer(setback) })?;
        return roll_back(draft, Reason::of(core_reason::STEP_OUTCOME_UNKNOWN), None);
    }
    let pause = step.retry.pause_ms(draft.saga.id, call.attempt);
    let until = draft.now.plus_millis(pause);
    draft.emit(Event::StepDeferred { step: name.clone(), setback, until })?;
    let known =
        draft.state().attention.iter().any(|attention| attention.step.as_ref() == Some(&name));
    if exhausted && !known {
        draft.emit(Event::AttentionRaised {
            step: Some(name),
            cause: AttentionCause::NotAnswered { attempts: call.attempt, last: setback },
        })?;
    }
    Ok(())
}

/// Turns the saga round. Only a saga that moves forward can be turned.
pub(super) fn roll_back(
    draft: &mut Draft<'_>,
    reason: Reason,
    by: Option<String>,
) -> Result<(), HistoryError> {
    draft.emit(Event::RollbackStarted { reason, by })
}
