//! The actor of one saga: takes its inputs in order, asks the core, has the result committed.
//!
//! It holds nothing that the store does not hold. When it ends, by sleep, panic or conflict, the
//! registry makes another one from the store.

use std::rc::Rc;
use std::time::Duration;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::house::{House, InHand};
use super::journal::Commit;
use super::publisher::AskAgain;
use super::registry::{Bury, Gone, Registry};
use super::report::report;
use super::spans::Begun;
use crate::contract::names::reply_queue;
use crate::contract::trace::trace_id;
use crate::failpoint;
use crate::journal::turn::{
    self, Acceptance, Acknowledgement, Aftermath, Hold, LOOK_AGAIN_AFTER_MS, Turn,
};
use crate::orders::Order;
use crate::orders::outcome::{self, Outcome};
use crate::ports::StoreError;
use crate::ports::bus::Delivery;
use crate::ports::door::{InputId, PendingInput};
use crate::ports::ledger::{Claim, Entry, EntryOutcome};
use crate::ports::orchestrator::{SubmitError, Submitted, Watch};
use crate::ports::spans::messages::processed;
use crate::saga::catalogue::Runnable;
use crate::saga::event::Birth;
use crate::saga::id::{SagaId, Sequence, Timestamp};
use crate::saga::input::Answer;
use crate::saga::state::Saga;

/// How long an answer that could not be committed is kept from coming back.
const REDELIVER_AFTER: Duration = Duration::from_secs(1);

/// Tells a saga's actor something.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Told {
    /// What.
    pub tell: Tell,
    /// Kept until its outcome is known.
    pub in_hand: InHand,
}

/// What a saga's actor is told.
pub enum Tell {
    /// Be born.
    Begin(Box<Begin>),
    /// A worker answered; the delivery is acknowledged once the answer is committed.
    Answer {
        /// The event that asked.
        to: Sequence,
        /// The answer.
        answer: Answer,
        /// Where it came from.
        delivery: Delivery,
        /// Whether the saga was read from the store after it had come.
        just_read: bool,
    },
    /// Something may be due.
    Due,
    /// Somebody wants something; the sender is dropped once the outcome is in the store.
    Input(PendingInput, oneshot::Sender<InputId>),
}

/// A saga to be born.
pub struct Begin {
    /// Its id.
    pub id: SagaId,
    /// What it is born with.
    pub birth: Birth,
    /// The order that it is for.
    pub order: Order,
    /// The client's idempotency key.
    pub claim: Option<Claim>,
    /// Whether somebody waits for the outcome.
    pub watch: Watch,
    /// Who submitted it.
    pub reply: oneshot::Sender<Result<Submitted, SubmitError>>,
}

/// The actor of one saga.
pub struct SagaActor {
    saga: Option<Saga>,
    id: SagaId,
    runnable: Runnable,
    house: Rc<House>,
    registry: Addr<Registry>,
    watcher: Option<oneshot::Sender<Outcome>>,
    in_hand: Option<InHand>,
    begun: Begun,
}

/// What follows once a commit's outcome is known.
type Then =
    Box<dyn FnOnce(&mut SagaActor, Result<EntryOutcome, StoreError>, &mut Context<SagaActor>)>;

impl SagaActor {
    /// An actor for a saga from the store, or, without one, for a saga about to be born.
    pub fn new(
        id: SagaId,
        saga: Option<Saga>,
        runnable: Runnable,
        house: Rc<House>,
        registry: Addr<Registry>,
    ) -> Self {
        let (in_hand, begun) = (None, Begun::default());
        Self { saga, id, runnable, house, registry, watcher: None, in_hand, begun }
    }

    fn begin(&mut self, birth: Box<Begin>, ctx: &mut Context<Self>) {
        let Begin { id, birth, order, claim, watch, reply } = *birth;
        let (definition, now) = (&self.runnable.definition, self.house.clock.now());
        let entry = match turn::begin(definition, id, birth, (order, claim), now) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(sagaId = %id, %error, "a saga can't begin");
                let _ = reply.send(Err(SubmitError::Store(error.to_string())));
                return ctx.stop();
            }
        };
        let outcome = (watch == Watch::Outcome).then(|| {
            let (sender, receiver) = oneshot::channel();
            self.watcher = Some(sender);
            receiver
        });
        self.commit(
            entry,
            ctx,
            Box::new(move |actor, result, ctx| {
                let answer = match turn::acceptance(result) {
                    Acceptance::Accepted => Ok(Submitted::Accepted(outcome)),
                    Acceptance::Replayed(answer) => Ok(Submitted::Replayed(answer)),
                    Acceptance::Unknown => Err(SubmitError::Unknown),
                    Acceptance::Failed(cause) => Err(SubmitError::Store(cause)),
                };
                if actor.saga.is_none() {
                    ctx.stop();
                }
                let _ = reply.send(answer);
            }),
        );
    }

    fn answered(
        &mut self,
        (to, answer): (Sequence, Answer),
        delivery: Delivery,
        just_read: bool,
        ctx: &mut Context<Self>,
    ) {
        let Some(saga) = &self.saga else { return };
        let correlation = delivery.message.correlation_id.as_deref();
        let trace_id = delivery.message.traceparent.as_deref().and_then(trace_id);
        tracing::debug!(sagaId = %self.id, correlationId = correlation, traceId = trace_id, "an answer came");
        let (definition, came) = (&self.runnable.definition, self.house.clock.now());
        if let Some((queue, asked_at)) = turn::reached(definition, saga, to, &answer) {
            self.house.queues.borrow_mut().answered(queue, asked_at);
        }
        match turn::answer(definition, (saga, just_read), to, answer, came) {
            Ok(Turn::Ignored(kind)) => {
                self.house.count_ignored(kind);
                self.trace_answer(&delivery, came);
                failpoint::reach("saga", "before_ack");
                delivery.ack();
                failpoint::reach("saga", "after_ack");
                self.retire_if_ended(ctx);
            }
            Ok(Turn::Behind) => {
                tracing::debug!(sagaId = %self.id, to, "an answer to what was not asked here; reading the saga again");
                drop(delivery);
                ctx.stop();
            }
            Ok(Turn::Write(entry)) => self.commit(
                *entry,
                ctx,
                Box::new(move |actor, result, ctx| match turn::acknowledgement(&result) {
                    Acknowledgement::Acknowledge => {
                        actor.trace_answer(&delivery, came);
                        failpoint::reach("saga", "before_ack");
                        delivery.ack();
                        failpoint::reach("saga", "after_ack");
                    }
                    Acknowledgement::GiveBack => drop(delivery),
                    Acknowledgement::Bury(cause) => actor.bury(delivery, cause),
                    Acknowledgement::GiveBackLater => {
                        ctx.run_later(REDELIVER_AFTER, move |_, _| drop(delivery));
                    }
                }),
            ),
            Err(error) => {
                tracing::error!(sagaId = %self.id, %error, "an answer can't be applied");
                self.bury(delivery, error.to_string());
            }
        }
    }

    /// An answer that came at `came` is processed, and what it did is committed.
    fn trace_answer(&self, delivery: &Delivery, came: Timestamp) {
        let House { spans, clock, shard, .. } = &*self.house;
        if spans.are_on() {
            let queue = reply_queue(*shard);
            let message = &delivery.message;
            let span = processed(spans, message, queue.as_str(), came, clock.now(), None);
            span.into_iter().for_each(|span| spans.record(span));
        }
    }

    fn due(&mut self, ctx: &mut Context<Self>) {
        let Some(saga) = &self.saga else { return };
        let (definition, now) = (&self.runnable.definition, self.house.clock.now());
        let due = turn::due(definition, saga, self.house.queues.borrow().reached(), now);
        match due {
            Ok(Turn::Write(entry)) => self.commit(*entry, ctx, Box::new(|_, _, _| {})),
            Ok(Turn::Ignored(_) | Turn::Behind) => self.hold(saga),
            Err(error) => tracing::error!(sagaId = %self.id, %error, "what is due can't be done"),
        }
    }

    /// Waits on, and has a few commands sent once more where their queue does not answer.
    fn hold(&self, saga: &Saga) {
        let (definition, now) = (&self.runnable.definition, self.house.clock.now());
        let Hold { until, probes } =
            turn::hold(definition, saga, &mut self.house.queues.borrow_mut(), now);
        for sequence in probes {
            tracing::debug!(sagaId = %self.id, sequence, "probing a queue that does not answer");
            self.house.publisher.do_send(AskAgain { saga: saga.clone(), sequence });
        }
        self.house.timers.borrow_mut().set(self.id, until);
    }

    fn wanted(
        &mut self,
        input: PendingInput,
        done: oneshot::Sender<InputId>,
        ctx: &mut Context<Self>,
    ) {
        let Some(saga) = &self.saga else { return };
        let now = self.house.clock.now();
        let entry = turn::want(&self.runnable.definition, saga, input, now);
        self.commit(entry, ctx, Box::new(move |_, _, _| drop(done)));
    }

    /// Has what was decided committed. Until the outcome is known the actor takes nothing else.
    fn commit(&mut self, entry: Entry, ctx: &mut Context<Self>, then: Then) {
        let (saga, in_hand) = (entry.saga.clone(), self.in_hand.take());
        let (ticket, outcome) = oneshot::channel();
        self.house.journal.do_send(Commit { entry, ticket });
        let outcome = outcome.into_actor(self).map(move |outcome, actor, ctx| {
            let outcome = outcome.unwrap_or_else(|_| {
                let cause = "the journal is gone".to_owned();
                Err(StoreError::Unavailable { store: "orchestrator", cause })
            });
            match turn::aftermath(&outcome) {
                Aftermath::Moved => actor.moved_to(saga, ctx),
                Aftermath::Stale => ctx.stop(),
                Aftermath::Unwritten => {
                    tracing::error!(sagaId = %actor.id, ?outcome, "a transition was not committed");
                    actor.house.timers.borrow_mut().set(
                        actor.id,
                        Some(actor.house.clock.now().plus_millis(LOOK_AGAIN_AFTER_MS)),
                    );
                }
            }
            then(actor, outcome, ctx);
            drop(in_hand);
        });
        ctx.wait(outcome);
    }

    /// The saga stands here now; it is in the store.
    fn moved_to(&mut self, saga: Saga, ctx: &mut Context<Self>) {
        let (definition, now) = (&self.runnable.definition, self.house.clock.now());
        report(&self.house.meters, definition, self.saga.as_ref(), &saga, now);
        if let Some(submitted) = self.house.spans.recorded(saga.birth.traceparent.as_deref()) {
            let ended = self.begun.ended(submitted, definition, self.saga.as_ref(), &saga, now);
            ended.into_iter().for_each(|span| self.house.spans.record(span));
        }
        let before = self.saga.as_ref().map(|saga| &saga.state);
        self.house.outstanding.borrow_mut().moved(&self.runnable.definition, before, &saga.state);
        self.house.timers.borrow_mut().set(self.id, saga.state.next_due());
        if let Some(outcome) = self.watcher.as_ref().and_then(|_| outcome::of(&saga))
            && let Some(watcher) = self.watcher.take()
        {
            let _ = watcher.send(outcome);
        }
        self.saga = Some(saga);
        self.retire_if_ended(ctx);
    }

    /// Has the registry let go of an actor whose saga has ended. It ends with its last address, once it
    /// has dealt with what is in its mailbox: to stop here would give all that back to the bus, and a
    /// bundle of answers to one saga would come again for ever.
    fn retire_if_ended(&self, ctx: &mut Context<Self>) {
        if self.saga.as_ref().is_some_and(|saga| saga.state.phase.is_end()) {
            self.registry.do_send(Gone { saga: self.id, actor: ctx.address() });
        }
    }

    fn bury(&self, delivery: Delivery, reason: String) {
        self.registry.do_send(Bury { delivery, reason });
    }
}

impl Actor for SagaActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        self.house.awake.set(self.house.awake.get() + 1);
        let due = self.saga.as_ref().and_then(|saga| saga.state.next_due());
        self.house.timers.borrow_mut().set(self.id, due);
    }

    fn stopped(&mut self, ctx: &mut Self::Context) {
        self.registry.do_send(Gone { saga: self.id, actor: ctx.address() });
    }
}

impl Drop for SagaActor {
    /// Counts it out, also when it panicked and was never stopped.
    fn drop(&mut self) {
        self.house.awake.set(self.house.awake.get().saturating_sub(1));
    }
}

impl Handler<Told> for SagaActor {
    type Result = ();

    fn handle(&mut self, Told { tell, in_hand }: Told, ctx: &mut Self::Context) {
        // A commit takes it over.
        self.in_hand = Some(in_hand);
        match tell {
            Tell::Begin(begin) => self.begin(begin, ctx),
            Tell::Answer { to, answer, delivery, just_read } => {
                self.answered((to, answer), delivery, just_read, ctx);
            }
            Tell::Due => self.due(ctx),
            Tell::Input(input, done) => self.wanted(input, done, ctx),
        }
        self.in_hand = None;
    }
}
