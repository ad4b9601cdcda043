//! What happens when something panics that everything depends on.

/// Ends the process when its owner panics.
///
/// actix drops a panicking actor, and tokio a panicking task, and both go on without it. For a saga's
/// actor that is right: its saga is rebuilt from the store. A process without a journal, a registry or
/// a publisher, though, would answer and do nothing; ended, it is started again and finds everything
/// in the store.
#[derive(Debug)]
pub struct AbortOnPanic(pub &'static str);

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!(
                "the {} panicked; the process ends so that it can be started again",
                self.0
            );
            std::process::abort();
        }
    }
}
