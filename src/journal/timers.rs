//! The moments for which live sagas wait: the fast path of the deadlines that the store holds.

use std::collections::{BTreeSet, HashMap};

use crate::saga::id::{SagaId, Timestamp};

/// One moment for each saga in memory.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    by_moment: BTreeSet<(Timestamp, SagaId)>,
    by_saga: HashMap<SagaId, Timestamp>,
}

impl Timers {
    /// Sets, moves or clears a saga's moment.
    pub fn set(&mut self, saga: SagaId, due: Option<Timestamp>) {
        let before = match due {
            Some(due) => self.by_saga.insert(saga, due),
            None => self.by_saga.remove(&saga),
        };
        if let Some(before) = before {
            self.by_moment.remove(&(before, saga));
        }
        if let Some(due) = due {
            self.by_moment.insert((due, saga));
        }
    }

    /// When `saga` is due.
    pub fn due(&self, saga: SagaId) -> Option<Timestamp> {
        self.by_saga.get(&saga).copied()
    }

    /// Takes out the sagas whose moment has come, earliest first, at most `limit`.
    pub fn take_due(&mut self, now: Timestamp, limit: usize) -> Vec<SagaId> {
        let mut due = Vec::new();
        while due.len() < limit
            && let Some((moment, saga)) = self.by_moment.first().copied()
            && moment <= now
        {
            self.set(saga, None);
            due.push(saga);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_moment_fires_once_and_in_order() {
        let saga = |n| SagaId(uuid::Uuid::from_u128(n));
        let mut timers = Timers::default();
        timers.set(saga(1), Some(Timestamp(10)));
        timers.set(saga(2), Some(Timestamp(20)));
        timers.set(saga(1), Some(Timestamp(30)));
        timers.set(saga(3), Some(Timestamp(25)));
        timers.set(saga(3), None);
        assert_eq!((timers.due(saga(1)), timers.due(saga(3))), (Some(Timestamp(30)), None));
        assert_eq!(timers.take_due(Timestamp(9), 10), []);
        assert_eq!(timers.take_due(Timestamp(30), 1), [saga(2)]);
        assert_eq!(timers.take_due(Timestamp(30), 10), [saga(1)]);
        assert_eq!(timers.due(saga(1)), None);
    }
}
