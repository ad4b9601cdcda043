//! The end of all faults: from then on everything must come to its end.

use super::World;
use super::env::Broken;
use super::node::Look;
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
    /// Ends all faults but that a listener takes no events.
    fn calm_down(&mut self) {
        for queue in &mut self.env.broker.queues {
            (queue.missing, queue.full) = (false, false);
        }
        for n in 0..self.nodes.len() {
            self.take(Step::StartNode { node: n });
        }
        for node in self.nodes.iter_mut().flatten() {
            (node.stalled, node.lease_is_cut, node.ahead) = (false, false, 0);
        }
        for n in 0..self.workers.len() {
            self.take(Step::StartWorker { worker: n });
        }
        self.workers.iter_mut().flatten().for_each(|worker| worker.ahead = 0);
    }

    /// Lets the world run without faults until all is done, and checks what must be true then. Tells
    /// how many steps it took. Where events find a full queue, nothing but they may wait for it.
    pub fn come_to_an_end(&mut self) -> Result<u64, Broken> {
        self.calm_down();
        let mut steps = 0;
        if self.env.broker.deaf {
            steps += self.run_until(promises::unfinished_but_for_events)?;
            self.env.broker.deaf = false;
        }
        steps += self.run_until(promises::unfinished)?;
        promises::in_the_end(self)?;
        Ok(steps)
    }

    /// Lets the world run without faults until it is at an end.
    fn run_until(&mut self, unfinished: impl Fn(&Self) -> Option<Broken>) -> Result<u64, Broken> {
        let set = [Fault::NodeClock, Fault::WorkerClock].map(|fault| self.env.faults.of(fault));
        let wrong_clocks = set.iter().sum::<u64>() > 0;
        let patience = if wrong_clocks { PATIENCE_WITH_WRONG_CLOCKS_MS } else { PATIENCE_MS };
        let until = self.env.now.plus_millis(patience);
        let (mut steps, mut possible) = (0, Vec::new());
        loop {
            possible.clear();
            self.possible(&mut possible);
            if possible.is_empty() || self.env.broker.deaf {
                let Some(unfinished) = unfinished(self) else { return Ok(steps) };
                if self.env.now >= until {
                    return Err(format!("liveness: {unfinished}"));
                }
            }
            if possible.iter().all(|step| self.is_vain(*step)) {
                self.wait();
                steps += 1;
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
    }

    /// Whether a step is only one of the attempts to send events that find a full queue, for as long
    /// as no command waits.
    fn is_vain(&self, step: Step) -> bool {
        let houses = self.nodes.iter().flatten().flat_map(|node| node.houses.values());
        let is_idle = houses.into_iter().all(|house| house.outbox.lag().commands == 0);
        let sends = matches!(
            step,
            Step::ReadHistory { .. }
                | Step::TakePage { .. }
                | Step::Arrive { .. }
                | Step::Hear { .. }
        );
        sends && is_idle && self.env.broker.deaf
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
            self.take(Step::Beat { node, look: Look::Fine });
        }
    }
}
