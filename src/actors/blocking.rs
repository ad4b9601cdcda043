//! Blocking calls from async threads.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Runs blocking calls on threads of their own, at most a fixed number at a time.
///
/// The number is that of the connections behind the calls: more threads would only wait for one.
/// A panic is contained; its caller is told.
#[derive(Clone, Debug)]
pub struct Blocking {
    permits: Arc<Semaphore>,
}

/// A blocking call that panicked, or was cut off by the end of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a call to a store broke off; its outcome is unknown")]
pub struct BrokenOff;

impl Blocking {
    /// At most `calls` at a time.
    pub fn new(calls: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(calls)) }
    }

    /// Runs `call` once a thread is free for it.
    ///
    /// # Errors
    /// When the call panicked.
    pub async fn run<T, F>(&self, call: F) -> Result<T, BrokenOff>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| BrokenOff)?;
        spawn_blocking(move || {
            let _permit = permit;
            call()
        })
        .await
        .map_err(|_| BrokenOff)
    }
}
