//! How long nothing happened.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{Scope, sleep};
use std::time::{Duration, Instant};

/// Watches a count until it is dropped.
pub struct Pauses {
    longest: Arc<Mutex<Duration>>,
    over: Arc<AtomicBool>,
}

impl Pauses {
    /// Watches this count.
    pub fn watch<'scope>(
        scope: &'scope Scope<'scope, '_>,
        count: impl Fn() -> usize + Send + 'scope,
    ) -> Self {
        let pauses = Self { longest: Arc::default(), over: Arc::default() };
        let (longest, over) = (Arc::clone(&pauses.longest), Arc::clone(&pauses.over));
        scope.spawn(move || {
            let (mut seen, mut since) = (count(), Instant::now());
            while !over.load(Ordering::SeqCst) {
                if count() != seen {
                    (seen, since) = (count(), Instant::now());
                }
                let mut longest = longest.lock().unwrap();
                *longest = longest.max(since.elapsed());
                drop(longest);
                sleep(Duration::from_millis(5));
            }
        });
        pauses
    }

    /// The longest time in which the count did not change.
    pub fn longest(&self) -> Duration {
        *self.longest.lock().unwrap()
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
    }
}
