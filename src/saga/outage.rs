//! Telling a worker that is away from a command that was lost.
//!
//! A time-out alone says nothing: if the queue has not got to the command, the worker is away or
//! behind, and re-asking would only lengthen the queue. So the owner of the sagas keeps, per queue,
//! how far its answers have got; a silence counts as an attempt only once the queue has got past
//! the command ([`Reached`]). Until then a few probes are sent, because the queue itself may have
//! lost what it held.

use std::collections::BTreeMap;

use super::check::Checked;
use super::id::{QueueName, Timestamp};
use super::input::Reached;
use super::state::State;

/// How many commands are re-asked per queue and period while it answers nothing: enough to find out
/// that it is back, too few to matter when it holds a hundred thousand.
pub const PROBES_PER_PERIOD: u32 = 4;

/// The period for [`PROBES_PER_PERIOD`], in milliseconds; bounds how late a recovery is noticed
/// where the queue was lost with all it held.
pub const PROBE_PERIOD_MS: u64 = 2_000;

/// What the owner of some sagas knows about the queues it sends to, one for all its shards, which
/// share these queues. Lost with the process, which errs on the safe side: a queue that is not known
/// to have answered costs nobody an attempt.
#[derive(Clone, Debug, Default, Hash)]
pub struct QueueWatch {
    reached: Reached,
    probes: BTreeMap<QueueName, Probes>,
}

/// How many commands of some sagas wait for their outcome, by queue.
#[derive(Debug, Default)]
pub struct Outstanding(BTreeMap<QueueName, u64>);

#[derive(Clone, Debug, Hash)]
struct Probes {
    period_began: Timestamp,
    sent: u32,
}

impl QueueWatch {
    /// Notes that `queue` answered a command asked at `asked_at`.
    pub fn answered(&mut self, queue: QueueName, asked_at: Timestamp) {
        let reached = self.reached.entry(queue).or_insert(asked_at);
        *reached = (*reached).max(asked_at);
    }

    /// How far each queue has got.
    pub fn reached(&self) -> &Reached {
        &self.reached
    }

    /// Whether one more probe may be sent to `queue`; counts it if so.
    pub fn may_probe(&mut self, queue: &QueueName, now: Timestamp) -> bool {
        let probes =
            self.probes.entry(queue.clone()).or_insert(Probes { period_began: now, sent: 0 });
        if now.millis_since(probes.period_began) >= PROBE_PERIOD_MS {
            *probes = Probes { period_began: now, sent: 0 };
        }
        let may = probes.sent < PROBES_PER_PERIOD && !seeded!(ProbesForgotten);
        probes.sent += u32::from(may);
        may
    }
}

impl Outstanding {
    /// Counts the commands that a saga's move opened and closed.
    pub fn moved(&mut self, definition: &Checked, before: Option<&State>, after: &State) {
        for queue in open_queues(definition, after) {
            *self.0.entry(queue).or_default() += 1;
        }
        for queue in before.into_iter().flat_map(|state| open_queues(definition, state)) {
            if let Some(count) = self.0.get_mut(&queue) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// How many commands to `queue` wait for their outcome.
    pub fn of(&self, queue: &QueueName) -> u64 {
        self.0.get(queue).copied().unwrap_or(0)
    }

    /// The queue with the most commands outstanding, and how many these are.
    pub fn fullest(&self) -> Option<(&QueueName, u64)> {
        self.0.iter().map(|(queue, count)| (queue, *count)).max_by_key(|(_, count)| *count)
    }
}

fn open_queues<'a>(
    definition: &'a Checked,
    state: &'a State,
) -> impl Iterator<Item = QueueName> + 'a {
    state.calls().filter_map(|(name, direction, _)| {
        definition.step(name)?.command_for(direction).map(|command| command.queue())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> QueueName {
        "inventory.commands".into()
    }

    #[test]
    fn an_old_answer_does_not_take_back_what_was_reached() {
        let mut watch = QueueWatch::default();
        watch.answered(queue(), Timestamp(20));
        watch.answered(queue(), Timestamp(10));
        assert_eq!(watch.reached().get(&queue()), Some(&Timestamp(20)));
    }

    #[test]
    fn probes_are_few_and_come_again_in_the_next_period() {
        let mut watch = QueueWatch::default();
        let sent = |watch: &mut QueueWatch, now| {
            (0..100).filter(|_| watch.may_probe(&queue(), now)).count()
        };
        let start = Timestamp(0);
        assert_eq!(sent(&mut watch, start), PROBES_PER_PERIOD as usize);
        assert_eq!(sent(&mut watch, start.plus_millis(PROBE_PERIOD_MS - 1)), 0);
        assert_eq!(
            sent(&mut watch, start.plus_millis(PROBE_PERIOD_MS)),
            PROBES_PER_PERIOD as usize
        );
    }
}
