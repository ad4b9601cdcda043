//! What happens when a moment has come.

use super::answer::{roll_back, set_back};
use super::draft::Draft;
use super::request::can_be_cancelled;
use crate::saga::definition::Direction;
use crate::saga::event::{AttentionCause, Event, Reason, Setback, core_reason};
use crate::saga::evolve::HistoryError;
use crate::saga::id::StepName;
use crate::saga::input::{Ignored, Reached, Rejection};
use crate::saga::state::{Attention, Call, Deadline, Phase, Wait};

/// How long a command may wait in a queue that does not move before an operator should look: longer
/// than a deployment or a restart of the worker takes.
pub const SILENCE_MS: u64 = 30 * 60 * 1000;

/// Deals with everything that is due by now.
pub(super) fn due(draft: &mut Draft<'_>, reached: &Reached) -> Result<Option<Ignored>, Rejection> {
    let before = draft.state().version;
    if matches!(draft.state().deadline, Deadline::Ahead(at) if at <= draft.now)
        && !draft.state().phase.is_end()
    {
        deadline_passed(draft)?;
    }
    let calls: Vec<(StepName, Direction, Call)> = draft
        .state()
        .calls()
        .filter(|(_, _, call)| call.wait.until() <= draft.now)
        .map(|(name, direction, call)| (name.clone(), direction, call.clone()))
        .collect();
    for (name, direction, call) in calls {
        // The deadline, or a step given up just now, may have turned the saga round. What it was
        // doing is then undone, and must not be asked for once more.
        let will_be_undone =
            direction == Direction::Do && matches!(draft.state().phase, Phase::RollingBack(_));
        if !will_be_undone {
            call_due(draft, &name, direction, &call, reached)?;
        }
    }
    Ok((draft.state().version == before).then_some(Ignored::NothingDue))
}

fn deadline_passed(draft: &mut Draft<'_>) -> Result<(), HistoryError> {
    draft.emit(Event::DeadlinePassed)?;
    if can_be_cancelled(draft.definition, draft.state()) {
        roll_back(draft, Reason::of(core_reason::DEADLINE_EXCEEDED), None)
    } else {
        draft.emit(Event::AttentionRaised { step: None, cause: AttentionCause::DeadlineExceeded })
    }
}

fn call_due(
    draft: &mut Draft<'_>,
    name: &StepName,
    direction: Direction,
    call: &Call,
    reached: &Reached,
) -> Result<(), Rejection> {
    let step = draft.step(name)?;
    match call.wait {
        Wait::Pause { .. } if seeded!(NewKeyOnRetry) => {
            draft.ask(step, direction, call.generation.saturating_add(1), 1)?
        }
        Wait::Pause { .. } => {
            draft.ask(step, direction, call.generation, call.attempt.saturating_add(1))?
        }
        Wait::Answer { asked_at, .. } => {
            let queue = step.command_for(direction).map(|command| command.queue());
            let passed = queue
                .and_then(|queue| reached.get(&queue))
                .is_some_and(|reached| *reached >= asked_at);
            if passed {
                set_back(draft, step, direction, call, Setback::TimedOut)?;
            } else if draft.now >= asked_at.plus_millis(SILENCE_MS) {
                draw_attention(draft, name, call)?;
            }
        }
    }
    Ok(())
}

/// Nobody may wait in silence: an operator hears of it, once, while the waiting goes on.
fn draw_attention(draft: &mut Draft<'_>, name: &StepName, call: &Call) -> Result<(), HistoryError> {
    let known = |attention: &Attention| attention.step.as_ref() == Some(name);
    if draft.state().attention.iter().any(known) {
        return Ok(());
    }
    let cause = AttentionCause::NotAnswered { attempts: call.attempt, last: Setback::TimedOut };
    draft.emit(Event::AttentionRaised { step: Some(name.clone()), cause })
}
