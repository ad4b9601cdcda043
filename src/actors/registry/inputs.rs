//! The one door, from the inside: inputs are read from the store and handed to their sagas, and
//! what can't be processed is put on record.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::{RETRY_AFTER, Registry};
use crate::actors::saga::Tell;
use crate::contract::names::reply_queue;
use crate::failpoint;
use crate::ports::StoreError;
use crate::ports::bus::{Death, Delivery};
use crate::ports::door::{DeadLetter, InputId, NewInput, PendingInput};
use crate::saga::event::Setback;
use crate::saga::id::{SagaId, Sequence};

/// Inputs read at a time.
const INPUTS: u32 = 500;

/// Look at the inputs of a saga; the sender is dropped once it is done.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Knock(pub SagaId, pub oneshot::Sender<()>);

/// Look whether there are inputs.
#[derive(Message)]
#[rtype(result = "()")]
pub struct LookForInputs;

/// A command got nowhere; put that on record for its saga.
#[derive(Message)]
#[rtype(result = "Result<(), StoreError>")]
pub struct CommandLost {
    /// The saga.
    pub saga: SagaId,
    /// The event that asked.
    pub to: Sequence,
    /// What happened.
    pub setback: Setback,
}

/// A message can't be applied: store it among the dead letters, then acknowledge it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Bury {
    /// The message.
    pub delivery: Delivery,
    /// Why.
    pub reason: String,
}

impl Registry {
    /// Reads the inputs that wait, and hands them to their sagas.
    pub(super) fn read_inputs(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.reading_inputs, true) {
            return;
        }
        let knocked = std::mem::take(&mut self.knocked);
        let (door, shard, blocking) =
            (Arc::clone(&self.door), self.house.shard, self.blocking.clone());
        let read = async move { blocking.run(move || door.pending(shard, INPUTS)).await };
        ctx.spawn(read.into_actor(self).map(move |pending, registry, ctx| {
            registry.reading_inputs = false;
            match pending {
                Ok(Ok(pending)) => registry.hand_out(pending, knocked, ctx),
                failed => tracing::error!(?failed, "the inputs can't be read"),
            }
            if !registry.knocked.is_empty() {
                registry.read_inputs(ctx);
            }
        }));
    }

    fn hand_out(
        &mut self,
        pending: Vec<PendingInput>,
        mut knocked: Vec<(SagaId, oneshot::Sender<()>)>,
        ctx: &mut Context<Self>,
    ) {
        for input in pending {
            if !self.in_hand.insert(input.id) {
                continue;
            }
            let (id, saga) = (input.id, input.saga);
            let waiting: Vec<_> = knocked.extract_if(.., |(knocked, _)| *knocked == saga).collect();
            let (done, settled) = oneshot::channel();
            self.tell(saga, Tell::Input(input, done), ctx);
            ctx.spawn(settled.into_actor(self).map(move |_: Result<InputId, _>, registry, _| {
                registry.in_hand.remove(&id);
                drop(waiting);
            }));
        }
    }
}

impl Handler<Knock> for Registry {
    type Result = ();

    fn handle(&mut self, Knock(saga, done): Knock, ctx: &mut Self::Context) {
        self.knocked.push((saga, done));
        self.read_inputs(ctx);
    }
}

impl Handler<LookForInputs> for Registry {
    type Result = ();

    fn handle(&mut self, _: LookForInputs, ctx: &mut Self::Context) {
        self.read_inputs(ctx);
    }
}

impl Handler<CommandLost> for Registry {
    type Result = ResponseActFuture<Self, Result<(), StoreError>>;

    fn handle(&mut self, lost: CommandLost, _: &mut Self::Context) -> Self::Result {
        let CommandLost { saga, to, setback } = lost;
        let (client_key, now) = (format!("lost:{to}"), self.house.clock.now());
        let input = NewInput::command_lost((saga, to), setback, client_key, now);
        let (door, blocking) = (Arc::clone(&self.door), self.blocking.clone());
        let admit = async move { blocking.run(move || door.admit(&input)).await };
        Box::pin(admit.into_actor(self).map(|admitted, registry, ctx| match admitted {
            // Stored now, or before: either way it is on record.
            Ok(Ok(_)) => {
                registry.read_inputs(ctx);
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(error) => {
                Err(StoreError::Unavailable { store: "orchestrator", cause: error.to_string() })
            }
        }))
    }
}

impl Handler<Bury> for Registry {
    type Result = ();

    fn handle(&mut self, Bury { delivery, reason }: Bury, ctx: &mut Self::Context) {
        let death = Death {
            queue: reply_queue(self.house.shard).to_string(),
            routing_key: delivery.message.kind.clone(),
            reason,
        };
        let (message, now) = (Arc::clone(&delivery.message), self.house.clock.now());
        let (door, burying) = (Arc::clone(&self.door), self.burying.clone());
        // One after the other, and copied no sooner: there may be thousands, of any size.
        let bury = async move {
            burying.run(move || door.bury(&[DeadLetter::of(&message, death, now)])).await
        };
        ctx.spawn(bury.into_actor(self).map(move |buried, _, ctx| match buried {
            Ok(Ok(_)) => {
                failpoint::reach("bury", "before_ack");
                delivery.ack();
                failpoint::reach("bury", "after_ack");
            }
            failed => {
                tracing::error!(?failed, "a dead letter can't be stored; it stays in its queue");
                ctx.run_later(RETRY_AFTER, move |_, _| drop(delivery));
            }
        }));
    }
}
