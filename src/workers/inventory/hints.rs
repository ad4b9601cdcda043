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
        counter!("skald_inventory_conflicts_total").increment(contended.len() as u64);
        self.heat.lock().unwrap_or_else(PoisonError::into_inner).note(contended, now);
    }
}
