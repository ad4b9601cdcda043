//! Taking orders in.

use std::rc::Rc;
use std::sync::atomic::Ordering;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::registry::Registry;
use super::saga::{Begin, SagaActor, Tell};
use crate::journal::turn::birth;
use crate::ports::orchestrator::{NewOrder, SubmitError, Submitted};
use crate::saga::id::DefinitionRef;

/// How many commands may be outstanding in one queue before orders are refused, counted over all
/// shards of the node as of its last beat, and in the shard itself to the moment. They are what the
/// process holds in memory for a worker that is away: some 500 MB.
pub const MAX_OUTSTANDING: u64 = 120_000;

/// When a refused client should come back: a queue that is full takes seconds to drain.
const RETRY_AFTER_S: u32 = 2;

/// Take in an order.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Submit {
    /// The order.
    pub order: NewOrder,
    /// What new orders run.
    pub definition: DefinitionRef,
    /// Who waits for the answer.
    pub reply: oneshot::Sender<Result<Submitted, SubmitError>>,
}

impl Handler<Submit> for Registry {
    type Result = ();

    fn handle(&mut self, Submit { order, definition, reply }: Submit, ctx: &mut Self::Context) {
        if let Err(refusal) = self.admission() {
            let _ = reply.send(Err(refusal));
            return;
        }
        let NewOrder { order, claim, traceparent, watch } = order;
        let runnable = self.house.catalogue.get(&definition).cloned();
        let birth = runnable
            .as_ref()
            .and_then(|runnable| birth(&runnable.definition, &order, traceparent).ok());
        let (Some(runnable), Some(birth)) = (runnable, birth) else {
            let _ = reply.send(Err(SubmitError::Store(format!(
                "definition {definition} is not known here"
            ))));
            return;
        };
        let id = order.saga;
        let actor = SagaActor::new(id, None, runnable, Rc::clone(&self.house), ctx.address());
        let begin = Begin { id, birth, order, claim, watch, reply };
        self.start(id, actor, Tell::Begin(Box::new(begin)), ctx);
    }
}

impl Registry {
    /// Refuses orders while too much waits for a worker or for the store.
    fn admission(&self) -> Result<(), SubmitError> {
        let full = |what: String| Err(SubmitError::Busy { what, retry_after_s: RETRY_AFTER_S });
        if self.house.shared.store_is_away.load(Ordering::Relaxed) {
            return Err(SubmitError::Store("the store is not available".to_owned()));
        }
        let (shard, node) = (self.house.outstanding.borrow(), self.house.load.outstanding.borrow());
        let in_node = node.iter().map(|(queue, count)| (queue, *count));
        match in_node.chain(shard.fullest()).max_by_key(|(_, count)| *count) {
            Some((queue, count)) if count >= self.house.max_outstanding => {
                full(format!("queue {queue}"))
            }
            _ => Ok(()),
        }
    }
}
