//! Hint locks: they spare contention, and nothing relies on them.

use std::collections::BTreeSet;
use std::time::Duration;

/// How long a caller is kept waiting for others at most. Two or three batches of a busy worker take as
/// long; whoever waits longer had better queue up at the database, which is what locks for good.
pub const WAIT: Duration = Duration::from_millis(50);

/// How long a lock lasts whose holder vanished: longer than a batch takes, and no longer than others
/// should be slowed down by a holder that was killed.
pub const LASTS: Duration = Duration::from_secs(1);

/// Keeps those out of each other's way who would only wait for each other in the database.
///
/// A lock is a hint: it may be lost, given twice or not at all, so whoever works under it has to be
/// right without it, too.
pub trait Locks: Send + Sync {
    /// Locks all of `names`, or none of them where others hold one for longer than [`WAIT`] or nobody
    /// can tell; of no names nothing is held. The caller goes on in either case. Blocks.
    fn hold(&self, names: &BTreeSet<&str>) -> Held;
}

/// What came of an attempt to lock. Given back when dropped.
#[must_use = "what is held is given back when this is dropped"]
pub struct Held(Option<Box<dyn FnOnce() + Send>>);

impl Held {
    /// Nothing is held.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// All is held; `give_back` is called once it is not needed any more, and must not block.
    pub fn until_dropped(give_back: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(give_back)))
    }

    /// Whether all is held.
    pub fn is_held(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn what_is_held_is_given_back_once() {
        assert!(!Held::nothing().is_held());
        let given_back = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&given_back);
        let held = Held::until_dropped(move || _ = counted.fetch_add(1, Ordering::Relaxed));
        assert!(held.is_held());
        assert_eq!(given_back.load(Ordering::Relaxed), 0);
        drop(held);
        assert_eq!(given_back.load(Ordering::Relaxed), 1);
    }
}
