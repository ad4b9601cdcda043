//! Keeping out of other workers' way: hint locks on the products that are hot.
//!
//! Who waits for a row in the database keeps all rows locked that it has so far, and others wait for
//! these. Who waits here keeps nothing.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use metrics::counter;

use super::heat::Heat;
use crate::orders::ProductId;
use crate::ports::locks::{Held, Locks};
use crate::saga::id::Timestamp;

/// Hint locks, and what is known of where they help.
pub struct Hints {
    locks: Arc<dyn Locks>,
    heat: Mutex<Heat>,
}

impl Hints {
    /// Locks nothing before conflicts were noted.
    pub fn new(locks: Arc<dyn Locks>) -> Self {
        Self { locks, heat: Mutex::default() }
    }

    /// Waits a little for other workers that are at the hot ones of the `wanted` products.
    pub fn hold(&self, wanted: &BTreeSet<ProductId>, now: Timestamp) -> Held {
        let hot = {
            let heat = self.heat.lock().unwrap_or_else(PoisonError::into_inner);
            heat.hot_of(wanted, now)
        };
        if hot.is_empty() {
            return Held::nothing();
        }
        let held = self.locks.hold(&hot);
        let outcome = if held.is_held() { "held" } else { "without" };
        counter!("skald_hint_locks_total", "outcome" => outcome).increment(1);
        held
    }

    /// Notes over which products this worker had to wait for another one.
    pub fn note(&self, contended: &BTreeSet<ProductId>, now: Timestamp) {
        if contended.is_empty() {
            return;
        }
        self.heat.lock().unwrap_or_else(PoisonError::into_inner).note(contended, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Locks whatever it is asked for, and remembers what that was.
    #[derive(Default)]
    struct Asked(Mutex<Vec<String>>);

    impl Locks for Asked {
        fn hold(&self, names: &BTreeSet<&str>) -> Held {
            self.0.lock().unwrap().extend(names.iter().map(|name| (*name).to_owned()));
            Held::until_dropped(|| ())
        }
    }

    #[test]
    fn only_what_others_were_at_again_and_again_is_locked() {
        let now = Timestamp(1_000_000_000);
        let asked = Arc::<Asked>::default();
        let hints = Hints::new(asked.clone());
        let (tea, both) = (BTreeSet::from(["tea".into()]), ["jam", "tea"].map(Into::into).into());
        assert!(!hints.hold(&both, now).is_held());
        for _ in 0..3 {
            hints.note(&tea, now);
        }
        assert!(hints.hold(&both, now).is_held());
        assert_eq!(*asked.0.lock().unwrap(), ["tea"]);
    }
}
