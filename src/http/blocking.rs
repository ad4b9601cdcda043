//! Calls of the stores, which block, made from async threads, which must not.

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::problem::{Kind, Problem};
use crate::ports::StoreError;

/// Longer than any burst that the readers work off takes; whoever would wait longer had better
/// come again.
const WAIT_FOR_TURN: Duration = Duration::from_secs(1);

/// A read takes a millisecond and a write waits for one fsync. What takes this long hangs.
const WAIT_FOR_ANSWER: Duration = Duration::from_secs(5);

/// Runs calls of the stores on threads of their own, so many at a time.
#[derive(Debug)]
pub struct Blocking {
    turns: Arc<Semaphore>,
}

impl Blocking {
    /// Lets `at_once` calls run at a time; at least one.
    pub fn new(at_once: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// Runs `call` and returns what it returned.
    ///
    /// A call that was begun goes on even if nobody waits for it any more, and keeps its turn until
    /// it ends.
    ///
    /// # Errors
    /// [`Kind::Overloaded`] if its turn does not come soon: it was not run.
    /// [`Kind::OutcomeUnknown`] if it takes too long: it may yet be carried out.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = timeout(WAIT_FOR_TURN, Arc::clone(&self.turns).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Problem::new(Kind::Overloaded, "too many requests wait for the store")
                .with_retry_after(1));
        };
        let running = web::block(move || {
            let _turn = turn;
            call()
        });
        match timeout(WAIT_FOR_ANSWER, running).await {
            Ok(Ok(answer)) => Ok(answer?),
            Ok(Err(panic)) => {
                Err(Problem::new(Kind::Internal, "the store's adapter failed").with_cause(panic))
            }
            Err(_) => Err(Problem::new(
                Kind::OutcomeUnknown,
                "the store did not answer in time; what was to be changed may have been",
            )
            .with_cause(format!("no answer from the store in {WAIT_FOR_ANSWER:?}"))
            .with_retry_after(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[actix_web::test]
    async fn a_call_keeps_its_turn_after_its_caller_went_away() {
        let blocking = Blocking::new(1);
        let (begun, begins) = mpsc::channel();
        let (end, ends) = mpsc::channel::<()>();
        let call = blocking.run(move || {
            begun.send(()).unwrap();
            ends.recv().unwrap();
            Ok(())
        });
        let began = web::block(move || begins.recv().unwrap());
        tokio::select! {
            _ = call => panic!("nobody ended it"),
            began = began => began.unwrap(),
        }
        let refused = blocking.run(|| Ok(())).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Overloaded);
        end.send(()).unwrap();
        blocking.run(|| Ok(())).await.unwrap();
    }

    #[actix_web::test]
    async fn a_call_that_panics_gives_its_turn_back() {
        let blocking = Blocking::new(1);
        let panicked = blocking.run(|| -> Result<(), StoreError> { panic!("on purpose") }).await;
        assert_eq!(panicked.unwrap_err().kind(), Kind::Internal);
        blocking.run(|| Ok(())).await.unwrap();
    }
}
