//! How long calls wait for a connection of a pool.

use metrics::{Counter, Histogram, counter, histogram};
use r2d2::HandleEvent;
use r2d2::event::{CheckoutEvent, TimeoutEvent};

/// Measures one pool. Its labels are written once and not with each call.
#[derive(Debug)]
pub(super) struct Waits {
    taken: Histogram,
    timeouts: Counter,
}

impl Waits {
    /// For the pool of this name of a store.
    pub fn of(store: &'static str, pool: &'static str) -> Self {
        let timeouts =
            counter!("skald_store_connection_timeouts_total", "store" => store, "pool" => pool);
        // There from the start, so that the first one shows as a rise.
        timeouts.absolute(0);
        let taken =
            histogram!("skald_store_connection_wait_seconds", "store" => store, "pool" => pool);
        Self { taken, timeouts }
    }
}

impl HandleEvent for Waits {
    fn handle_checkout(&self, event: CheckoutEvent) {
        self.taken.record(event.duration());
    }

    fn handle_timeout(&self, _: TimeoutEvent) {
        self.timeouts.increment(1);
    }
}
