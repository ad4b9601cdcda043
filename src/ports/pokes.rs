//! Pokes: whoever looks on is told which sagas moved, so that it looks at once and not a little later.

use std::sync::Arc;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::saga::id::SagaId;

/// Tells all nodes which sagas moved.
///
/// A poke is a hint: it may be lost, repeated or wrong. Whoever hears it looks at the store, and does
/// so now and then without one.
pub trait Pokes: Send + Sync {
    /// Tells that sagas moved. Never waits. Where nobody wants to know, `moved` is not even asked.
    fn tell(&self, moved: &mut dyn Iterator<Item = SagaId>);

    /// Hears what all nodes tell from now on.
    fn listen(&self) -> Listener;
}

/// What a listener hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// These sagas moved.
    Moved(Arc<[SagaId]>),
    /// Any may have moved: too much was told to be passed on.
    Anything,
}

/// Hears pokes.
pub struct Listener(Receiver<Heard>);

impl Listener {
    /// One that hears what is sent to `news`.
    pub fn of(news: Receiver<Heard>) -> Self {
        Self(news)
    }

    /// Waits for news. Where nobody can tell any more, for ever. Giving up the wait loses nothing.
    pub async fn hear(&mut self) -> Heard {
        match self.0.recv().await {
            Ok(heard) => heard,
            Err(RecvError::Lagged(_)) => Heard::Anything,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}
