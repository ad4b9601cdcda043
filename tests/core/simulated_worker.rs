//! A worker as it should be: answers repeats from its record, and remembers an undo that came first.
//! And one that keeps no record.

use skald::saga::definition::{Direction, WorkerMemory};
use skald::saga::event::{Reason, Setback};
use skald::saga::input::Answer;
use skald::saga::json::Json;

use crate::definitions::REFUSED;

/// What a worker would do with a command that it has not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It carries it out.
    Obeys,
    /// It refuses it for a reason of its closed set.
    Refuses,
    /// It can't now.
    IsBusy,
    /// It crashes over it again and again; the command is dead-lettered.
    DiesBefore,
    /// The same, but what it was asked for is done.
    DiesAfter,
    /// It answers with an error of its own making.
    Stammers,
    /// The same, but what it was asked for is done.
    StammersAfter,
}

/// What one worker has done of one step of one saga.
#[derive(Clone, Debug, Default)]
pub struct Worker {
    memory: WorkerMemory,
    /// Whether what the step does is there now.
    pub is_done: bool,
    /// How often it was done.
    pub times_done: u32,
    done: Option<Record>,
    undone: Option<Record>,
}

/// The newest generation that was answered, and whether the answer was a success.
#[derive(Clone, Copy, Debug)]
struct Record {
    generation: u32,
    obeyed: bool,
}

impl Worker {
    pub fn new(memory: WorkerMemory) -> Self {
        Self { memory, ..Self::default() }
    }

    /// Takes a command; `verdict` counts only where no record answers it.
    pub fn take(&mut self, direction: Direction, generation: u32, verdict: Verdict) -> Answer {
        match (self.memory, self.recorded_answer(direction, generation)) {
            (WorkerMemory::Recorded, Some(answer)) => answer,
            _ => self.act(direction, generation, verdict),
        }
    }

    fn recorded_answer(&self, direction: Direction, generation: u32) -> Option<Answer> {
        let tombstone = self.undone.filter(|record| record.obeyed);
        let record = match direction {
            Direction::Do if tombstone.is_some_and(|t| t.generation >= generation) => {
                return Some(refusal());
            }
            Direction::Do => self.done?,
            Direction::Undo => self.undone?,
        };
        match record.generation {
            newest if newest == generation && record.obeyed => Some(success()),
            newest if newest >= generation => Some(refusal()),
            _ => None,
        }
    }

    fn act(&mut self, direction: Direction, generation: u32, verdict: Verdict) -> Answer {
        match verdict {
            Verdict::Obeys | Verdict::DiesAfter | Verdict::StammersAfter => {
                self.is_done = direction == Direction::Do;
                self.times_done += u32::from(self.is_done);
                self.record(direction, Record { generation, obeyed: true });
            }
            Verdict::Refuses => self.record(direction, Record { generation, obeyed: false }),
            Verdict::IsBusy | Verdict::DiesBefore | Verdict::Stammers => {}
        }
        match verdict {
            Verdict::Obeys => success(),
            Verdict::Refuses => refusal(),
            Verdict::IsBusy => Answer::Setback(Setback::Retryable),
            Verdict::DiesBefore | Verdict::DiesAfter => Answer::Setback(Setback::DeadLettered),
            Verdict::Stammers | Verdict::StammersAfter => Answer::Failure(Reason::of("ERR_OOPS")),
        }
    }

    fn record(&mut self, direction: Direction, record: Record) {
        match direction {
            Direction::Do => self.done = Some(record),
            Direction::Undo => self.undone = Some(record),
        }
    }
}

fn success() -> Answer {
    Answer::Success(Json::null())
}

fn refusal() -> Answer {
    Answer::Failure(Reason::of(REFUSED))
}
