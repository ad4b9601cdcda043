//! A world without I/O behind the ports: sagas run on the real core, in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use skald::coordination::in_process::InProcessPokes;
use skald::orders::definition::definition;
use skald::orders::order::{Order, OrderId};
use skald::orders::outcome::{Outcome, brought_by};
use skald::orders::script::input;
use skald::orders::{OrderStatus, ProductId};
use skald::ports::door::{InputOutcome, NewInput, Request};
use skald::ports::inventory::Product;
use skald::ports::ledger::StoredAnswer;
use skald::ports::letters::Outcome as SentOutcome;
use skald::ports::orchestrator::{NewOrder, SubmitError, Watch};
use skald::ports::pokes::Pokes;
use skald::ports::queries::SagaSummary;
use skald::saga::check::Checked;
use skald::saga::decide::{begin, decide};
use skald::saga::event::{Birth, Reason, Recorded, Setback};
use skald::saga::id::{SagaId, Timestamp};
use skald::saga::input::{Answer, Decision, Input, Moved, Reached};
use skald::saga::json::Json;
use skald::saga::state::Saga;
use tokio::sync::{Semaphore, oneshot};

use crate::mailroom::Mailroom;

pub const START: i64 = 1_790_000_000_000_000;

/// Everything behind the ports, and the switches that make it misbehave.
pub struct World {
    pub inner: Mutex<Inner>,
    pub now: AtomicI64,
    pub definition: Arc<Checked>,
    /// Every store refuses.
    pub store_is_down: AtomicBool,
    /// Once so many sagas were read, one by one, no more can be.
    pub readable_sagas: AtomicUsize,
    /// Knocking resolves but nobody looks.
    pub owner_is_away: AtomicBool,
    /// Submissions wait here for a permit; one was added for each that may pass.
    pub gate: Semaphore,
    pub gate_is_shut: AtomicBool,
    /// Gets a permit with every submission that arrives.
    pub arrived: Semaphore,
    /// What the next submission fails with.
    pub next_failure: Mutex<Option<SubmitError>>,
    pub troubles: Mutex<Vec<String>>,
    /// Tells what moves.
    pub pokes: Arc<InProcessPokes>,
    /// What comes of a message that is sent again; none where the bus says nothing.
    pub bus_says: Mutex<Option<SentOutcome>>,
}

#[derive(Default)]
pub struct Inner {
    pub orders: BTreeMap<OrderId, Order>,
    pub sagas: BTreeMap<SagaId, Life>,
    pub claims: HashMap<String, StoredAnswer>,
    pub inputs: Vec<(NewInput, Option<InputOutcome>)>,
    pub products: BTreeMap<ProductId, Product>,
    pub watchers: HashMap<SagaId, oneshot::Sender<Outcome>>,
    pub submissions: Vec<NewOrder>,
    pub letters: Mailroom,
    pub pokes: Arc<InProcessPokes>,
}

/// A saga with its history.
pub struct Life {
    pub saga: Saga,
    pub history: Vec<Recorded>,
}

impl Life {
    pub fn summary(&self) -> SagaSummary {
        let at = |recorded: Option<&Recorded>| recorded.map_or(Timestamp(0), |it| it.at);
        SagaSummary {
            id: self.saga.id,
            definition: self.saga.birth.definition.clone(),
            key: self.saga.birth.key.clone(),
            status: self.saga.state.status(),
            version: self.saga.state.version,
            due_at: self.saga.state.next_due(),
            created_at: at(self.history.first()),
            updated_at: at(self.history.last()),
        }
    }
}

impl World {
    pub fn new() -> Arc<Self> {
        let pokes = Arc::new(InProcessPokes::default());
        let inner = Inner { pokes: Arc::clone(&pokes), ..Inner::default() };
        Arc::new(Self {
            pokes,
            inner: Mutex::new(inner),
            now: AtomicI64::new(START),
            definition: Arc::new(definition().unwrap()),
            store_is_down: AtomicBool::default(),
            readable_sagas: AtomicUsize::new(usize::MAX),
            owner_is_away: AtomicBool::default(),
            gate: Semaphore::new(0),
            gate_is_shut: AtomicBool::default(),
            arrived: Semaphore::new(0),
            next_failure: Mutex::default(),
            troubles: Mutex::default(),
            bus_says: Mutex::new(Some(SentOutcome::Done)),
        })
    }

    pub fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn now(&self) -> Timestamp {
        Timestamp(self.now.load(Ordering::Relaxed))
    }

    pub fn pass_ms(&self, millis: i64) {
        self.now.fetch_add(millis * 1000, Ordering::Relaxed);
    }

    /// Begins the saga of a new order; returns where its outcome will be told.
    pub fn accept(&self, new: &NewOrder) -> Option<oneshot::Receiver<Outcome>> {
        let birth = Birth {
            definition: self.definition.reference(),
            key: new.order.id.to_string(),
            input: input(&new.order).unwrap(),
            deadline: self.now().plus_millis(self.definition.deadline_ms),
            traceparent: new.traceparent.clone(),
        };
        let moved = begin(&self.definition, new.order.saga, birth, self.now()).unwrap();
        let mut inner = self.lock();
        inner.orders.insert(new.order.id, new.order.clone());
        inner.commit(moved);
        (new.watch == Watch::Outcome).then(|| {
            let (sender, receiver) = oneshot::channel();
            inner.watchers.insert(new.order.saga, sender);
            receiver
        })
    }

    /// The worker that was asked for `step` answers.
    pub fn answer(&self, saga: SagaId, step: &str, answer: Answer) {
        let mut inner = self.lock();
        let state = &inner.sagas[&saga].saga.state;
        let call = state.step(&step.into()).and_then(|step| step.call()).expect("an open call");
        let to = call.1.newest_ask().unwrap();
        inner.tell(self, saga, Input::Answer { to, answer }).unwrap();
    }

    pub fn succeed(&self, saga: SagaId, step: &str) {
        let result = Json::of(&serde_json::json!({"by": "the worker of this world"})).unwrap();
        self.answer(saga, step, Answer::Success(result));
    }

    pub fn refuse(&self, saga: SagaId, step: &str, code: &str) {
        self.answer(saga, step, Answer::Failure(Reason::of(code)));
    }

    /// The worker that was asked for `step` can't do it until the saga needs attention.
    pub fn exhaust(&self, saga: SagaId, step: &str) {
        while self.lock().sagas[&saga].saga.state.attention.is_empty() {
            self.answer(saga, step, Answer::Setback(Setback::Retryable));
            self.pass_ms(60_000);
            let due = Input::Due { reached: Reached::new() };
            self.lock().tell(self, saga, due).unwrap();
        }
    }

    pub fn retry(&self, saga: SagaId) {
        let input = Input::Retry { by: "somebody".into(), note: "again".into() };
        self.lock().tell(self, saga, input).unwrap();
    }

    pub fn confirm(&self, saga: SagaId) {
        self.succeed(saga, "reserve-inventory");
        self.succeed(saga, "send-confirmation");
    }

    /// The owner of `saga` looks at its inputs.
    pub fn decide_inputs(&self, saga: SagaId) {
        let mut inner = self.lock();
        let waiting = inner.inputs.iter().enumerate();
        let waiting = waiting.filter(|(_, (it, outcome))| it.saga == saga && outcome.is_none());
        for (place, new) in waiting.map(|(n, (it, _))| (n, it.clone())).collect::<Vec<_>>() {
            let version = inner.sagas[&saga].saga.state.version;
            let outcome = if new.if_version.is_some_and(|wanted| wanted != version) {
                InputOutcome::VersionMismatch { found: version }
            } else {
                let input = match new.request {
                    Request::Cancel { by, reason } => Input::Cancel { by, reason },
                    Request::Retry { by, note } => Input::Retry { by, note },
                    Request::CommandLost { .. } => unreachable!("nobody loses commands here"),
                };
                match inner.tell(self, saga, input) {
                    Ok(()) => {
                        InputOutcome::Applied { version: inner.sagas[&saga].saga.state.version }
                    }
                    Err(detail) => InputOutcome::Rejected { detail },
                }
            };
            inner.inputs[place].1 = Some(outcome);
        }
    }
}

impl Inner {
    fn tell(&mut self, world: &World, saga: SagaId, input: Input) -> Result<(), String> {
        let found = &self.sagas[&saga].saga;
        match decide(&world.definition, found, &input, world.now()) {
            Ok(Decision::Moved(moved)) => {
                self.commit(moved);
                Ok(())
            }
            Ok(Decision::Ignored(_)) => Ok(()),
            Err(rejection) => Err(rejection.to_string()),
        }
    }

    fn commit(&mut self, moved: Moved) {
        let id = moved.saga.id;
        if let Some((Outcome { status, reason }, at)) = brought_by(&moved.events) {
            let order = self.orders.values_mut().find(|order| order.saga == id).unwrap();
            order.status = status;
            order.reason = reason;
            order.updated_at = at;
        }
        let ended = self.orders.values().find(|order| order.saga == id);
        let ended = ended.filter(|order| order.status != OrderStatus::Pending);
        if let Some(order) = ended
            && let Some(watcher) = self.watchers.remove(&id)
        {
            let outcome = Outcome { status: order.status, reason: order.reason.clone() };
            let _ = watcher.send(outcome);
        }
        let life = self
            .sagas
            .entry(id)
            .or_insert_with(|| Life { saga: moved.saga.clone(), history: Vec::new() });
        life.saga = moved.saga;
        life.history.extend(moved.events);
        self.pokes.tell(&mut std::iter::once(id));
    }
}
