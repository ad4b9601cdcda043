//! What scenarios say about commands and their answers.

use serde::Serialize;
use skald::saga::definition::Direction;
use skald::saga::event::Reason;
use skald::saga::id::StepName;
use skald::saga::input::Answer;
use skald::saga::json::Json;

use crate::definitions::REFUSED;

/// One sending of a command, e.g. `doing("reserve").attempt(2)`.
pub struct Sending {
    pub(crate) step: StepName,
    pub(crate) direction: Direction,
    pub(crate) attempt: u32,
}

/// The first sending of the command that does `step`.
pub fn doing(step: &str) -> Sending {
    Sending { step: step.into(), direction: Direction::Do, attempt: 1 }
}

/// The first sending of the command that undoes `step`.
pub fn undoing(step: &str) -> Sending {
    Sending { step: step.into(), direction: Direction::Undo, attempt: 1 }
}

impl Sending {
    /// The `attempt`-th sending instead.
    pub fn attempt(self, attempt: u32) -> Self {
        Self { attempt, ..self }
    }
}

/// The answer of a worker that did what it was asked.
pub fn success(result: impl Serialize) -> Answer {
    Answer::Success(Json::of(&result).expect("the result has a JSON form"))
}

/// The answer of a worker that refuses.
pub fn refusal() -> Answer {
    Answer::Failure(Reason::of(REFUSED))
}
