//! What happens to a saga next: the rules.
//!
//! [`begin`] and [`decide`] turn an input into events, and nothing else: no clock, no chance, no
//! I/O. Each runs on to the next wait for somebody else, local steps included, so that one input
//! costs one commit.
//!
//! | file | tells |
//! |---|---|
//! | `advance` | which steps start, which are undone, when the saga ends |
//! | `answer` | what a worker's answer, or its absence, comes to |
//! | `due` | what happens when a moment has come |
//! | `request` | what people may ask for |

mod advance;
mod answer;
mod draft;
mod due;
mod request;

pub use due::SILENCE_MS;
pub use request::can_be_cancelled;

use super::check::Checked;
use super::event::{Birth, Event, Recorded};
use super::evolve::born;
use super::id::{SagaId, Timestamp};
use super::input::{Decision, Input, Moved, Rejection};
use super::state::Saga;
use draft::Draft;

/// Starts a saga.
///
/// # Errors
/// [`Rejection::Contradiction`] only, which would be a defect of the core.
pub fn begin(
    definition: &Checked,
    id: SagaId,
    birth: Birth,
    now: Timestamp,
) -> Result<Moved, Rejection> {
    let first = Recorded { sequence: 1, at: now, event: Event::SagaStarted(birth) };
    let mut draft = Draft::new(definition, born(id, &first)?, now);
    advance::advance(&mut draft)?;
    let mut moved = draft.finish();
    moved.events.insert(0, first);
    Ok(moved)
}

/// Decides what `input` does to `saga`.
///
/// # Errors
/// When the saga can't do what it is asked; nothing changes then.
pub fn decide(
    definition: &Checked,
    saga: &Saga,
    input: &Input,
    now: Timestamp,
) -> Result<Decision, Rejection> {
    if definition.reference() != saga.birth.definition {
        return Err(Rejection::WrongDefinition {
            pinned: saga.birth.definition.clone(),
            given: definition.reference(),
        });
    }
    let mut draft = Draft::new(definition, saga.clone(), now);
    let ignored = match input {
        Input::Answer { to, answer } => answer::answered(&mut draft, *to, answer)?,
        Input::Due { reached } => due::due(&mut draft, reached)?,
        Input::Cancel { by, reason } => request::cancel(&mut draft, by, reason)?,
        Input::Retry { by, note } => request::retry(&mut draft, by, note)?,
    };
    if let Some(ignored) = ignored {
        return Ok(Decision::Ignored(ignored));
    }
    advance::advance(&mut draft)?;
    Ok(Decision::Moved(draft.finish()))
}
