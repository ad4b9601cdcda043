//! One shard on a store in a folder of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use skald::actors::{Membership, NodeRunner, Surroundings};
use skald::bus::in_process::InProcessBus;
use skald::bus::topology;
use skald::contract::message::{Exchange, Message, Outgoing};
use skald::contract::reply::{self, ReplyBody, WorkOutcome};
use skald::coordination::in_process::InProcessPokes;
use skald::orders::definition::definition;
use skald::orders::money::Currency;
use skald::orders::script::OrderScript;
use skald::orders::{Item, Order, OrderId, OrderStatus};
use skald::ports::Clock;
use skald::ports::bus::{Bus, Deliveries, Delivery, Lifetime, Receipt};
use skald::ports::clock::SystemClock;
use skald::ports::leases::Node;
use skald::ports::ledger::Claim;
use skald::ports::orchestrator::{Activity, NewOrder, Orchestrator, SubmitError, Submitted, Watch};
use skald::saga::catalogue::Catalogue;
use skald::saga::event::{Event, Reason, Recorded};
use skald::saga::id::{QueueName, SagaId, Timestamp};
use skald::saga::json::Json;
use skald::saga::state::SagaStatus;
use skald::store::{Stores, sqlite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::gate::{Gate, Hatch};

/// No wait in these tests takes longer, except by a fault.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// As many commands may be outstanding; more than any other test has.
pub const MAX_OUTSTANDING_HERE: u64 = 1_000;

/// The machine's clock, moved ahead.
#[derive(Default)]
pub struct MovedClock(AtomicI64);

impl MovedClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for MovedClock {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst))
    }
}

/// A running shard and everything around it.
pub struct Rig {
    pub folder: PathBuf,
    pub stores: Stores,
    pub gate: Arc<Gate>,
    pub hatch: Arc<Hatch>,
    pub bus: Arc<dyn Bus>,
    pub clock: Arc<MovedClock>,
    pub orchestrator: Arc<dyn Orchestrator>,
    runner: NodeRunner,
}

impl Rig {
    pub async fn start(folder: &Path) -> Self {
        Self::start_with(folder, Duration::from_secs(60), &[]).await
    }

    /// Starts a shard whose sagas sleep after `sleep_after`; `foreign` are event queues that are
    /// there from the start, with their lengths.
    pub async fn start_with(
        folder: &Path,
        sleep_after: Duration,
        foreign: &[(&str, usize)],
    ) -> Self {
        let bus: Arc<dyn Bus> = Arc::new(InProcessBus::default());
        for (name, max_length) in foreign {
            bus.declare(&listening(name, *max_length)).await.unwrap();
        }
        Self::start_on(bus, folder, sleep_after).await
    }

    /// Starts a shard on a bus.
    pub async fn start_on(bus: Arc<dyn Bus>, folder: &Path, sleep_after: Duration) -> Self {
        let stores = sqlite::open(folder, sqlite::EMBEDDED_SHARDS).unwrap();
        let gate = Gate::before(Arc::clone(&stores.ledger));
        let hatch = Hatch::before(Arc::clone(&stores.door));
        let definition = definition().unwrap();
        let reference = definition.reference();
        let catalogue = Catalogue::default().with(definition, OrderScript);
        for queue in topology::queues(&catalogue, sqlite::EMBEDDED_SHARDS) {
            bus.declare(&queue).await.unwrap();
        }
        let clock = Arc::new(MovedClock::default());
        let runner = NodeRunner::start(
            membership(&stores),
            Surroundings {
                ledger: gate.clone(),
                door: hatch.clone(),
                letters: Arc::clone(&stores.letters),
                bus: Arc::clone(&bus),
                pokes: Arc::new(InProcessPokes::default()),
                clock: clock.clone(),
                catalogue,
                definition: reference,
                sleep_after,
                max_outstanding: MAX_OUTSTANDING_HERE,
                spans: Default::default(),
            },
        )
        .await
        .unwrap();
        let orchestrator: Arc<dyn Orchestrator> = Arc::new(runner.handle());
        Self { folder: folder.to_owned(), stores, gate, hatch, bus, clock, orchestrator, runner }
    }

    /// Stops the shard in good order; whatever the bus held is lost with it.
    pub async fn stop(self) -> PathBuf {
        let Self { runner, folder, .. } = self;
        tokio::task::spawn_blocking(move || runner.stop()).await.unwrap();
        folder
    }

    /// Begins to stop the shard, and returns once it takes nothing more.
    pub async fn begin_to_stop(self) -> (Stores, JoinHandle<()>) {
        let Self { runner, stores, orchestrator, .. } = self;
        let stopping = tokio::task::spawn_blocking(move || runner.stop());
        let patience = tokio::time::Instant::now() + PATIENCE;
        while orchestrator.troubles().is_empty() {
            assert!(tokio::time::Instant::now() < patience, "the shard is not given up");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (stores, stopping)
    }

    pub async fn submit(&self) -> SagaId {
        let order = self.order();
        let saga = order.saga;
        self.submit_order(order, None).await.unwrap();
        saga
    }

    pub async fn submit_order(
        &self,
        order: Order,
        claim: Option<Claim>,
    ) -> Result<Submitted, SubmitError> {
        self.orchestrator
            .submit(NewOrder { order, claim, traceparent: None, watch: Watch::Unwatched })
            .await
    }

    pub fn order(&self) -> Order {
        a_harp(self.clock.now())
    }

    pub async fn commands(&self, service: &str) -> Inbox {
        self.consume(&format!("{service}.commands")).await
    }

    pub async fn consume(&self, queue: &str) -> Inbox {
        let deliveries = self.bus.consume(&QueueName::from(queue), 100_000).await.unwrap();
        Inbox { deliveries, bus: Arc::clone(&self.bus) }
    }

    pub fn history(&self, saga: SagaId) -> Vec<Recorded> {
        self.stores.queries.history(saga, 0, 1_000).unwrap()
    }

    pub fn event_names(&self, saga: SagaId) -> Vec<&'static str> {
        self.history(saga).iter().map(|recorded| recorded.event.name()).collect()
    }

    /// Waits until the history of `saga` holds what is looked for.
    pub async fn until_event(&self, saga: SagaId, wanted: impl Fn(&Event) -> bool) {
        self.until("an event", || {
            self.history(saga).iter().any(|recorded| wanted(&recorded.event))
        })
        .await;
    }

    pub async fn until_status(&self, saga: SagaId, status: SagaStatus) {
        let found =
            || self.stores.queries.saga(saga).unwrap().is_some_and(|(_, row)| row.status == status);
        self.until(status.as_str(), found).await;
    }

    /// Waits for something that only the store can tell; bounded by [`PATIENCE`].
    pub async fn until(&self, what: &str, mut found: impl FnMut() -> bool) {
        let patience = tokio::time::Instant::now() + PATIENCE;
        while !found() {
            assert!(tokio::time::Instant::now() < patience, "still waiting for {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn until_awake(&self, wanted: u64) {
        self.until_activity("sagas in memory", |activity| activity.awake == wanted).await;
    }

    pub async fn until_waiting(&self, wanted: u64) {
        self.until_activity("transitions that wait", |activity| activity.waiting == wanted).await;
    }

    async fn until_activity(&self, what: &str, wanted: impl Fn(&Activity) -> bool) {
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let activity = self.orchestrator.activity().await;
            if wanted(&activity) {
                return;
            }
            assert!(tokio::time::Instant::now() < patience, "{what}: {activity:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// An order for a harp, made now.
pub fn a_harp(now: Timestamp) -> Order {
    Order {
        id: OrderId(Uuid::now_v7()),
        saga: SagaId(Uuid::now_v7()),
        user: "ada".to_owned(),
        email: None,
        currency: Currency::DEFAULT,
        total: 999,
        status: OrderStatus::Pending,
        reason: None,
        created_at: now,
        updated_at: now,
        items: vec![Item { product: "harp".into(), quantity: 1, price: 999 }],
    }
}

/// A node of its own.
pub fn membership(stores: &Stores) -> Membership {
    let identity = Node {
        id: Uuid::now_v7(),
        name: "rig".to_owned(),
        url: String::new(),
        started_at: SystemClock.now(),
    };
    Membership { leases: Arc::clone(&stores.leases), identity, lease: Duration::from_secs(10) }
}

fn listening(name: &str, max_length: usize) -> skald::ports::bus::QueueSpec {
    skald::ports::bus::QueueSpec {
        name: name.into(),
        bindings: vec![(Exchange::Events, "#".to_owned())],
        max_length,
        delivery_limit: 100,
        dead_letters: skald::ports::bus::DeadLetters::Dropped,
        lifetime: Lifetime::Lasting,
    }
}

/// A consumer that plays a worker.
pub struct Inbox {
    deliveries: Deliveries,
    bus: Arc<dyn Bus>,
}

impl Inbox {
    pub fn new(deliveries: Deliveries, bus: Arc<dyn Bus>) -> Self {
        Self { deliveries, bus }
    }

    pub async fn next(&mut self) -> Delivery {
        tokio::time::timeout(PATIENCE, self.deliveries.recv())
            .await
            .expect("a message in time")
            .unwrap()
    }

    /// The next message, which must be of this kind.
    pub async fn next_of(&mut self, kind: &str) -> Delivery {
        let delivery = self.next().await;
        assert_eq!(delivery.message.kind, kind);
        delivery
    }

    /// Answers a command with a success, and acknowledges it.
    pub async fn succeed(&self, delivery: Delivery) {
        self.answer(&delivery.message, WorkOutcome::Success(Json::null())).await;
        delivery.ack();
    }

    pub async fn refuse(&self, delivery: Delivery, code: &str) {
        self.answer(&delivery.message, WorkOutcome::Failure(Reason::of(code))).await;
        delivery.ack();
    }

    /// Sends an answer and waits until its reader has acknowledged it.
    pub async fn answer(&self, command: &Message, outcome: WorkOutcome) {
        let reply =
            reply::write(command, "test.answered", &ReplyBody::Settled(outcome), SystemClock.now());
        publish(self.bus.as_ref(), reply.unwrap().unwrap()).await;
    }
}

/// Publishes and waits for the confirmation.
pub async fn publish(bus: &dyn Bus, outgoing: Outgoing) {
    let (receipts, mut settled) = mpsc::unbounded_channel();
    bus.publish(outgoing, Receipt::new(receipts, 1));
    let (_, settlement) =
        tokio::time::timeout(PATIENCE, settled.recv()).await.expect("confirmed in time").unwrap();
    assert_eq!(settlement, skald::ports::bus::Settlement::Confirmed);
}
