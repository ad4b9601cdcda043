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
use crate::orders::outcome::{self, Outcome};
use crate::orders::{Order, OrderId};
use crate::ports::StoreError;
use crate::ports::bus::Delivery;
use crate::ports::door::{InputId, InputOutcome, PendingInput, Request};
use crate::ports::ledger::{Claim, Entry, EntryOutcome, OrderChange};
use crate::ports::orchestrator::{SubmitError, Submitted, Watch};
use crate::ports::spans::messages::processed;
use crate::saga::catalogue::Runnable;
use crate::saga::decide::{begin, decide};
use crate::saga::event::{Birth, Setback};
use crate::saga::id::{SagaId, Sequence, Timestamp};
use crate::saga::input::{Answer, Decision, Input, Moved, Rejection};
use crate::saga::state::{Saga, Wait};

/// How long a saga whose worker's queue has not got to its command waits before it looks again. A
/// hundred thousand of them then cost ten thousand glances a second.
const LOOK_AGAIN_AFTER_MS: u64 = 10_000;

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
        let moved = match begin(&self.runnable.definition, id, birth, self.house.clock.now()) {
            Ok(moved) => moved,
            Err(error) => {
                tracing::error!(sagaId = %id, %error, "a saga can't begin");
                let _ = reply.send(Err(SubmitError::Store(error.to_string())));
                return ctx.stop();
            }
        };
        let order = Some(OrderChange::Placed(Box::new(order), claim));
        let outcome = (watch == Watch::Outcome).then(|| {
            let (sender, receiver) = oneshot::channel();
            self.watcher = Some(sender);
            receiver
        });
        self.commit(
            moved,
            order,
            Vec::new(),
            ctx,
            Box::new(move |actor, result, ctx| {
                let answer = match result {
                    Ok(EntryOutcome::Written(_)) => Ok(Submitted::Accepted(outcome)),
                    Ok(EntryOutcome::Replayed(answer)) => Ok(Submitted::Replayed(answer)),
                    Ok(EntryOutcome::Conflict) => Err(SubmitError::Unknown),
                    // What was under way when the store or the shard was lost may be written.
                    Err(StoreError::Unavailable { .. }) => Err(SubmitError::Unknown),
                    Err(error) => Err(SubmitError::Store(error.to_string())),
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
        to: Sequence,
        answer: Answer,
        delivery: Delivery,
        ctx: &mut Context<Self>,
    ) {
        let Some(saga) = &self.saga else { return };
        let correlation = delivery.message.correlation_id.as_deref();
        let trace_id = delivery.message.traceparent.as_deref().and_then(trace_id);
        tracing::debug!(sagaId = %self.id, correlationId = correlation, traceId = trace_id, "an answer came");
        self.note_answered(saga, to, &answer);
        let came = self.house.clock.now();
        match decide(&self.runnable.definition, saga, &Input::Answer { to, answer }, came) {
            Ok(Decision::Ignored(kind)) => {
                self.house.count_ignored(kind);
                self.trace_answer(&delivery, came);
                delivery.ack();
                self.retire_if_ended(ctx);
            }
            Ok(Decision::Moved(moved)) => {
                let order = order_change(&moved);
                self.commit(
                    moved,
                    order,
                    Vec::new(),
                    ctx,
                    Box::new(move |actor, result, ctx| match result {
                        Ok(EntryOutcome::Written(_)) => {
                            actor.trace_answer(&delivery, came);
                            failpoint::reach("saga", "before_ack");
                            delivery.ack();
                            failpoint::reach("saga", "after_ack");
                        }
                        Ok(_) => drop(delivery),
                        Err(StoreError::Refused { cause, .. }) => actor.bury(delivery, cause),
                        Err(_) => {
                            ctx.run_later(REDELIVER_AFTER, move |_, _| drop(delivery));
                        }
                    }),
                );
            }
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

    /// Tells the watch over the queues how far the answer's queue has got.
    fn note_answered(&self, saga: &Saga, to: Sequence, answer: &Answer) {
        let unheard = matches!(answer, Answer::Setback(Setback::TimedOut | Setback::Unroutable));
        let Some((name, direction, call)) = saga.state.call_asked_at(to).filter(|_| !unheard)
        else {
            return;
        };
        let queue =
            self.runnable.definition.step(name).and_then(|step| step.command_for(direction));
        if let (Some(command), Wait::Answer { asked_at, .. }, Some(newest)) =
            (queue, call.wait, call.newest_ask())
            && newest == to
        {
            self.house.queues.borrow_mut().answered(command.queue(), asked_at);
        }
    }

    fn due(&mut self, ctx: &mut Context<Self>) {
        let Some(saga) = &self.saga else { return };
        let now = self.house.clock.now();
        let reached = self.house.queues.borrow().reached().clone();
        match decide(&self.runnable.definition, saga, &Input::Due { reached }, now) {
            Ok(Decision::Moved(moved)) => {
                let order = order_change(&moved);
                self.commit(moved, order, Vec::new(), ctx, Box::new(|_, _, _| {}));
            }
            Ok(Decision::Ignored(_)) => self.hold(saga),
            Err(error) => tracing::error!(sagaId = %self.id, %error, "what is due can't be done"),
        }
    }

    /// Nothing to do yet: either it is too early, or the queue has not got to the command. Then a
    /// few sagas ask again on behalf of all, at no attempt's cost.
    fn hold(&self, saga: &Saga) {
        let now = self.house.clock.now();
        let next = match saga.state.next_due() {
            Some(due) if due <= now => {
                self.probe(saga);
                Some(now.plus_millis(LOOK_AGAIN_AFTER_MS))
            }
            next => next,
        };
        self.house.timers.borrow_mut().set(self.id, next);
    }

    fn probe(&self, saga: &Saga) {
        let now = self.house.clock.now();
        for (name, direction, call) in saga.state.calls() {
            let command =
                self.runnable.definition.step(name).and_then(|step| step.command_for(direction));
            let (Some(command), Some(sequence)) = (command, call.newest_ask()) else { continue };
            let overdue = matches!(call.wait, Wait::Answer { until, .. } if until <= now);
            if overdue && self.house.queues.borrow_mut().may_probe(&command.queue(), now) {
                tracing::debug!(sagaId = %self.id, queue = %command.queue(), "probing a queue that does not answer");
                self.house.publisher.do_send(AskAgain { saga: saga.clone(), sequence });
            }
        }
    }

    fn wanted(
        &mut self,
        input: PendingInput,
        done: oneshot::Sender<InputId>,
        ctx: &mut Context<Self>,
    ) {
        let Some(saga) = &self.saga else { return };
        let version = saga.state.version;
        let decided = match input.if_version {
            Some(wanted) if wanted != version => {
                Err(InputOutcome::VersionMismatch { found: version })
            }
            _ => {
                let request = to_core(input.request);
                match decide(&self.runnable.definition, saga, &request, self.house.clock.now()) {
                    Ok(Decision::Moved(moved)) => Ok(moved),
                    Ok(Decision::Ignored(_)) => Err(InputOutcome::Ignored),
                    Err(Rejection::AlreadyRollingBack(_)) => Err(InputOutcome::Applied { version }),
                    Err(rejection) => Err(InputOutcome::Rejected { detail: rejection.to_string() }),
                }
            }
        };
        let (moved, outcome) = match decided {
            Ok(moved) => {
                let version = moved.saga.state.version;
                (moved, InputOutcome::Applied { version })
            }
            Err(outcome) => (Moved { events: Vec::new(), saga: saga.clone() }, outcome),
        };
        let order = order_change(&moved);
        let inputs = vec![(input.id, outcome)];
        self.commit(moved, order, inputs, ctx, Box::new(move |_, _, _| drop(done)));
    }

    /// Has what was decided committed. Until the outcome is known the actor takes nothing else.
    fn commit(
        &mut self,
        moved: Moved,
        order: Option<OrderChange>,
        inputs: Vec<(InputId, InputOutcome)>,
        ctx: &mut Context<Self>,
        then: Then,
    ) {
        let entry = Entry {
            expected: self.saga.as_ref().map_or(0, |saga| saga.state.version),
            events: moved.events,
            saga: moved.saga.clone(),
            status_before: self.saga.as_ref().map(|saga| saga.state.status()),
            order,
            inputs,
        };
        let in_hand = self.in_hand.take();
        let (ticket, outcome) = oneshot::channel();
        self.house.journal.do_send(Commit { entry, ticket });
        let outcome = outcome.into_actor(self).map(move |outcome, actor, ctx| {
            let outcome = outcome.unwrap_or_else(|_| {
                let cause = "the journal is gone".to_owned();
                Err(StoreError::Unavailable { store: "orchestrator", cause })
            });
            match &outcome {
                Ok(EntryOutcome::Written(_)) => actor.moved_to(moved.saga, ctx),
                // Somebody else wrote: what is in memory is stale.
                Ok(_) => ctx.stop(),
                Err(error) => {
                    tracing::error!(sagaId = %actor.id, %error, "a transition was not committed");
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

/// What the events make of the saga's order.
fn order_change(moved: &Moved) -> Option<OrderChange> {
    let (Outcome { status, reason }, at) = outcome::brought_by(&moved.events)?;
    let id: OrderId = moved.saga.birth.key.parse().ok()?;
    Some(OrderChange::Settled { id, status, reason, at })
}

fn to_core(request: Request) -> Input {
    match request {
        Request::Cancel { by, reason } => Input::Cancel { by, reason },
        Request::Retry { by, note } => Input::Retry { by, note },
        Request::CommandLost { to, setback } => {
            Input::Answer { to, answer: Answer::Setback(setback) }
        }
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
            Tell::Answer { to, answer, delivery } => self.answered(to, answer, delivery, ctx),
            Tell::Due => self.due(ctx),
            Tell::Input(input, done) => self.wanted(input, done, ctx),
        }
        self.in_hand = None;
    }
}
