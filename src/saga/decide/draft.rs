//! A decision in the making.

use crate::saga::check::Checked;
use crate::saga::definition::{Direction, Step};
use crate::saga::event::{Event, Recorded};
use crate::saga::evolve::{HistoryError, evolve};
use crate::saga::id::{StepName, Timestamp};
use crate::saga::input::{Moved, Rejection};
use crate::saga::state::{Saga, State};

/// The saga as the events so far have made it, and these events.
pub(super) struct Draft<'a> {
    pub definition: &'a Checked,
    pub now: Timestamp,
    pub saga: Saga,
    events: Vec<Recorded>,
}

impl<'a> Draft<'a> {
    pub fn new(definition: &'a Checked, saga: Saga, now: Timestamp) -> Self {
        Self { definition, now, saga, events: Vec::with_capacity(4) }
    }

    pub fn state(&self) -> &State {
        &self.saga.state
    }

    /// Lets `event` happen. Whatever is decided next sees its effect.
    pub fn emit(&mut self, event: Event) -> Result<(), HistoryError> {
        let recorded = Recorded { sequence: self.saga.state.version + 1, at: self.now, event };
        // The state goes through `evolve` by value; a rejected draft is thrown away as a whole.
        self.saga.state = evolve(self.saga.state.clone(), &recorded)?;
        self.events.push(recorded);
        Ok(())
    }

    /// Asks the worker to do or undo `step`.
    pub fn ask(
        &mut self,
        step: &Step,
        direction: Direction,
        generation: u32,
        attempt: u32,
    ) -> Result<(), HistoryError> {
        self.emit(Event::StepAsked {
            step: step.name.clone(),
            direction,
            generation,
            attempt,
            until: self.now.plus_millis(step.timeout_ms),
        })
    }

    /// The step's definition.
    pub fn step(&self, name: &StepName) -> Result<&'a Step, Rejection> {
        self.definition.step(name).ok_or_else(|| Rejection::NoSuchStep(name.clone()))
    }

    pub fn finish(self) -> Moved {
        Moved { events: self.events, saga: self.saga }
    }
}
