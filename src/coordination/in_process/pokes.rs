//! One channel that all listeners of the process hear.

use tokio::sync::broadcast;

use crate::ports::pokes::{Heard, Listener, Pokes};
use crate::saga::id::SagaId;

/// Pokes that a slow listener may be behind with before it is told only that it missed some.
const WAITING: usize = 256;

/// Sagas named in one poke; more of them are no hint where to look any more.
pub(in crate::coordination) const NAMED: usize = 1_000;

/// Pokes that stay within this process.
#[derive(Debug)]
pub struct InProcessPokes {
    news: broadcast::Sender<Heard>,
}

impl Default for InProcessPokes {
    fn default() -> Self {
        Self { news: broadcast::Sender::new(WAITING) }
    }
}

impl InProcessPokes {
    /// Passes something on to all listeners.
    pub(in crate::coordination) fn pass_on(&self, heard: Heard) {
        // That nobody listens is no fault.
        let _ = self.news.send(heard);
    }

    /// Whether anybody listens.
    pub(in crate::coordination) fn is_heard(&self) -> bool {
        self.news.receiver_count() > 0
    }
}

impl Pokes for InProcessPokes {
    fn tell(&self, moved: &mut dyn Iterator<Item = SagaId>) {
        if !self.is_heard() {
            return;
        }
        let named: Vec<SagaId> = moved.take(NAMED + 1).collect();
        match named.len() {
            0 => {}
            1..=NAMED => self.pass_on(Heard::Moved(named.into())),
            _ => self.pass_on(Heard::Anything),
        }
    }

    fn listen(&self) -> Listener {
        Listener::of(self.news.subscribe())
    }
}
