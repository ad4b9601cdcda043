//! What must be true of the workers at any time, and how every story must end.

use skald::saga::definition::WorkerMemory;
use skald::saga::id::StepName;
use skald::saga::state::{Phase, StepState};

use crate::invariants::{Broken, ensure};
use crate::simulated_worker::Verdict;
use crate::world::{Fate, Happening, Message, World};

/// How often the calm world is gone through before a saga counts as stuck. The longest definition
/// has 12 steps, each of which needs a few rounds to be asked, answered and undone.
const ROUNDS: usize = 200;

/// How much time passes in a calm world, in milliseconds: more than any pause or time-out.
const A_WHILE_MS: u64 = 500;

impl World {
    /// What the workers have done agrees with where the saga stands, now and ever after.
    pub fn check_workers(&self) -> Result<(), Broken> {
        let pivot = self.definition.pivot().map(|step| &step.name);
        let phase = &self.saga.state.phase;
        let is_undone = matches!(phase, Phase::RolledBack(_) | Phase::Cancelled(_));
        for (name, worker) in &self.workers {
            let holds = |holds: bool, what: &str| {
                ensure(holds, || format!("{name} {what} while {phase:?}: {worker:?}"))
            };
            let comes_after = self.definition.after_rollback.iter().any(|step| step.name == *name);
            if comes_after {
                holds(is_undone || worker.times_done == 0, "ran before the rollback was over")?;
                holds(worker.is_done || !matches!(phase, Phase::Cancelled(_)), "did not run")?;
                continue;
            }
            holds(worker.is_done || *phase != Phase::Completed, "is not done")?;
            if self.remembers(name) {
                holds(worker.times_done <= 1, "was done twice")?;
                holds(!(worker.is_done && is_undone), "is left behind")?;
                let is_pivot = pivot == Some(name);
                holds(
                    !(is_pivot && worker.is_done && phase_turned(phase)),
                    "happened, but the saga turned round",
                )?;
            }
        }
        Ok(())
    }

    fn remembers(&self, name: &StepName) -> bool {
        self.definition.step(name).is_some_and(|step| step.worker == WorkerMemory::Recorded)
    }

    /// Faults stop: no message is lost, workers obey, an operator retries what was refused. The
    /// saga must end, and stay ended whatever is still under way.
    pub fn must_end(&mut self, is_reasked: bool) -> Result<(), Broken> {
        if is_reasked {
            self.happen(Happening::IsReasked)?;
        }
        for _ in 0..ROUNDS {
            self.everything_arrives()?;
            if self.saga.state.phase.is_end() {
                return self.must_stay_ended();
            }
            if self.is_refused() {
                let version = self.saga.state.version;
                self.happen(Happening::Retries(Fate::Lives))?;
                ensure(self.saga.state.version > version, || "the retry did nothing".into())?;
            } else {
                self.happen(Happening::Passes(A_WHILE_MS))?;
                (0..=u8::MAX).try_for_each(|n| self.happen(Happening::QueueMoves(n)))?;
                self.happen(Happening::IsDue(Fate::Lives))?;
            }
        }
        Err("it does not end".into())
    }

    fn everything_arrives(&mut self) -> Result<(), Broken> {
        while !self.bag.is_empty() {
            self.happen(Happening::Arrives(0, Verdict::Obeys, Fate::Lives))?;
        }
        Ok(())
    }

    fn is_refused(&self) -> bool {
        self.saga.state.steps.iter().any(|step| {
            matches!(step.state, StepState::Refused { .. } | StepState::UndoRefused { .. })
        })
    }

    /// Every command ever sent arrives once more, in either order.
    fn must_stay_ended(&mut self) -> Result<(), Broken> {
        let version = self.saga.state.version;
        let sent = self.ever_sent();
        for sequence in sent.iter().chain(sent.iter().rev()) {
            self.bag.push(Message::Command(*sequence));
            self.everything_arrives()?;
        }
        ensure(self.saga.state.version == version, || "it moved after its end".into())
    }
}

fn phase_turned(phase: &Phase) -> bool {
    !matches!(phase, Phase::Forward | Phase::Completed)
}
