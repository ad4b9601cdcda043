//! Locks that expire.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use crate::ports::locks::{Held, LASTS, Locks, WAIT};

/// Locks that all threads of this process share.
#[derive(Debug, Default)]
pub struct InProcessLocks {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    given_back: Condvar,
}

/// Who holds what.
#[derive(Debug, Default)]
struct Table {
    holders: HashMap<String, Holder>,
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    number: u64,
    until: Instant,
}

impl Table {
    /// Locks all of `names` for a new holder, or none.
    fn lock(&mut self, names: &BTreeSet<&str>, now: Instant) -> Option<u64> {
        let is_free = |name: &&str| self.holders.get(*name).is_none_or(|it| it.until <= now);
        if !names.iter().all(is_free) {
            return None;
        }
        self.next += 1;
        let holder = Holder { number: self.next, until: now + LASTS };
        self.holders.extend(names.iter().map(|name| ((*name).to_owned(), holder)));
        Some(self.next)
    }

    /// Gives back what `number` holds; what somebody else holds by now stays.
    fn unlock(&mut self, number: u64) {
        self.holders.retain(|_, holder| holder.number != number);
    }
}

impl Locks for InProcessLocks {
    fn hold(&self, names: &BTreeSet<&str>) -> Held {
        if names.is_empty() {
            return Held::nothing();
        }
        let patience = Instant::now() + WAIT;
        let mut table = self.shared.table.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let now = Instant::now();
            if let Some(number) = table.lock(names, now) {
                let shared = Arc::clone(&self.shared);
                return Held::until_dropped(move || {
                    shared.table.lock().unwrap_or_else(PoisonError::into_inner).unlock(number);
                    shared.given_back.notify_all();
                });
            }
            let Some(left) = patience.checked_duration_since(now).filter(|left| !left.is_zero())
            else {
                return Held::nothing();
            };
            let waited = self.shared.given_back.wait_timeout(table, left);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
