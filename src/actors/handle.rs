//! The orchestrator as other threads see it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::house::ignored_as_str;
use super::registry::{Knock, Registry};
use super::submit::Submit;
use crate::ports::orchestrator::{Activity, NewOrder, Orchestrator, SubmitError, Submitted};
use crate::saga::id::{DefinitionRef, SagaId};

/// The orchestrator of one node.
#[derive(Clone)]
pub struct Handle {
    registry: Addr<Registry>,
    definition: DefinitionRef,
    store_is_away: Arc<AtomicBool>,
}

/// Tell what you are busy with.
#[derive(Message)]
#[rtype(result = "Activity")]
pub struct Observe;

impl Handle {
    /// A handle on `registry`, whose new orders run `definition`.
    pub fn new(
        registry: Addr<Registry>,
        definition: DefinitionRef,
        store_is_away: Arc<AtomicBool>,
    ) -> Self {
        Self { registry, definition, store_is_away }
    }
}

impl Orchestrator for Handle {
    fn submit(&self, order: NewOrder) -> BoxFuture<'static, Result<Submitted, SubmitError>> {
        let (reply, answer) = oneshot::channel();
        let submit = Submit { order, definition: self.definition.clone(), reply };
        match self.registry.try_send(submit) {
            Ok(()) => async { answer.await.unwrap_or(Err(SubmitError::Unknown)) }.boxed(),
            Err(actix::dev::SendError::Full(_)) => {
                let what = "the orchestrator's mailbox".to_owned();
                async { Err(SubmitError::Busy { what, retry_after_s: 1 }) }.boxed()
            }
            Err(actix::dev::SendError::Closed(_)) => async { Err(SubmitError::Unknown) }.boxed(),
        }
    }

    fn knock(&self, saga: SagaId) -> BoxFuture<'static, ()> {
        let (done, looked) = oneshot::channel();
        // Where the mailbox is full, the poller will find the input.
        let _ = self.registry.try_send(Knock(saga, done));
        async { drop(looked.await) }.boxed()
    }

    fn activity(&self) -> BoxFuture<'static, Activity> {
        let observed = self.registry.send(Observe);
        async { observed.await.unwrap_or_default() }.boxed()
    }

    fn troubles(&self) -> Vec<String> {
        let stopped = !self.registry.connected();
        let away = self.store_is_away.load(Ordering::Relaxed);
        [
            stopped.then(|| "the orchestrator has stopped".to_owned()),
            away.then(|| "the store takes no transactions; trying again".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl Handler<Observe> for Registry {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let house = &self.house;
        let work = house.shared.work.get();
        let queues = house.queues.borrow();
        let outstanding =
            |queue: crate::saga::id::QueueName| (queue.to_string(), queues.outstanding(&queue));
        MessageResult(Activity {
            awake: house.awake.get(),
            outstanding: house.catalogue.queues().into_iter().map(outstanding).collect(),
            waiting: house.shared.waiting.get() as u64,
            commits: work.commits,
            transitions: work.transitions,
            ignored: house
                .ignored
                .borrow()
                .iter()
                .map(|(kind, count)| (ignored_as_str(*kind), *count))
                .collect(),
        })
    }
}
