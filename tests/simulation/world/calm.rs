//! The end of all faults: from then on everything must come to its end.

use super::World;
use super::env::Broken;
use super::step::Step;
use crate::faults::Fault;
use crate::promises;

/// How long everything may take to come to its end once faults have stopped, in milliseconds, by the
/// clocks of a world in which no clock was ever wrong: the longest pause between two attempts, the
/// time-out of a step and the claim on a mail, several times over.
const PATIENCE_MS: u64 = 15 * 60_000;

/// How long where clocks were wrong by up to an hour: what is due was set by one of them.
const PATIENCE_WITH_WRONG_CLOCKS_MS: u64 = 3 * 60 * 60_000;

/// More steps than any calm world takes, by far: a mail that was claimed by a clock an hour ahead is
/// asked for every 20 s until then.
const MOST_STEPS: u64 = 30_000;

/// No step takes longer than this without somebody looking around.
const LONGEST_PASS_MS: u64 = 60_000;

impl World {
    /// Ends all faults.
    fn calm_down(&mut self) {
        for queue in &mut self.env.broker.queues {
            queue.missing = false;
        }
        for n in 0..self.nodes.len() {
            self.take(Step::StartNode { node: n });
        }
        for node in self.nodes.iter_mut().flatten() {
            (node.stalled, node.ahead) = (false, 0);
        }
        for n in 0..self.workers.len() {
            self.take(Step::StartWorker { worker: n });
        }
        self.workers.iter_mut().flatten().for_each(|worker| worker.ahead = 0);
    }

    /// Lets the world run without faults until all is done, and checks what must be true then. Tells
    /// how many steps it took.
    pub fn come_to_an_end(&mut self) -> Result<u64, Broken> {
        self.calm_down();
        let wrong_clocks = self.env.faults.of(Fault::ClockJump) > 0;
        let patience = if wrong_clocks { PATIENCE_WITH_WRONG_CLOCKS_MS } else { PATIENCE_MS };
        let until = self.env.now.plus_millis(patience);
        let (mut steps, mut possible) = (0, Vec::new());
        loop {
            possible.clear();
            self.possible(&mut possible);
            if possible.is_empty() {
                let Some(unfinished) = promises::unfinished(self) else { break };
                if self.env.now >= until {
                    return Err(format!("liveness: {unfinished}"));
                }
                self.wait();
                steps += 1;
                continue;
            }
            for &step in &possible {
                self.take(step);
                steps += 1;
                if let Some(broken) = self.env.broken.take() {
                    return Err(broken);
                }
            }
            if steps > MOST_STEPS {
                return Err(format!("liveness: no end after {steps} calm steps"));
            }
        }
        promises::in_the_end(self)?;
        Ok(steps)
    }

    /// How many milliseconds it is until the next moment for which somebody waits.
    pub fn until_next_moment(&self) -> Option<u64> {
        let moments = self.nodes.iter().flatten().filter_map(|node| node.next_moment(&self.env));
        moments.min().map(|at| (at.0 - self.env.now.0) as u64 / 1_000 + 1)
    }

    /// Nothing happens until the next moment for which somebody waits.
    fn wait(&mut self) {
        let millis = self.until_next_moment().unwrap_or(LONGEST_PASS_MS).min(LONGEST_PASS_MS);
        self.take(Step::Pass { millis });
        for node in 0..self.nodes.len() {
            self.take(Step::Beat { node, fails: false });
        }
    }
}
