//! Several nodes on one store and one bus.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use skald::actors::{MAX_OUTSTANDING, Membership, NodeRunner, Surroundings};
use skald::bus::in_process::InProcessBus;
use skald::bus::topology;
use skald::contract::message::Message;
use skald::coordination::in_process::InProcessPokes;
use skald::journal::turn::{self, Turn};
use skald::orders::OrderStatus;
use skald::orders::definition::definition;
use skald::orders::script::OrderScript;
use skald::ports::bus::Bus;
use skald::ports::clock::SystemClock;
use skald::ports::door::{Admitted, InputOutcome, NewInput, Request};
use skald::ports::leases::{Census, Leases, Node, NodeId};
use skald::ports::ledger::{Batch, Ledger, Marks, Shard, ShardState};
use skald::ports::orchestrator::{NewOrder, Orchestrator, SubmitError, Watch};
use skald::ports::work::WorkOutcome;
use skald::ports::{Clock, StoreError};
use skald::saga::catalogue::Catalogue;
use skald::saga::event::Reason;
use skald::saga::id::SagaId;
use skald::saga::input::Answer;
use skald::saga::json::Json;
use skald::saga::state::SagaStatus;
use skald::store::{Stores, sqlite};
use uuid::Uuid;

use crate::gate::Gate;
use crate::rig::{Inbox, PATIENCE, a_harp};

const SHARDS: Shard = 5;

/// Longer than any test waits.
const LONG: Duration = Duration::from_secs(600);

/// What all nodes have in common.
struct Town {
    stores: Stores,
    bus: Arc<dyn Bus>,
    catalogue: Catalogue,
}

/// Leases that can't be renewed any more once the wire is cut.
struct Wire {
    leases: Arc<dyn Leases>,
    cut: AtomicBool,
}

impl Wire {
    fn to(&self) -> Result<&dyn Leases, StoreError> {
        match self.cut.load(Ordering::SeqCst) {
            true => {
                Err(StoreError::Unavailable { store: "orchestrator", cause: "cut off".to_owned() })
            }
            false => Ok(self.leases.as_ref()),
        }
    }
}

impl Leases for Wire {
    fn renew(&self, node: &Node, lease: Duration) -> Result<Census, StoreError> {
        self.to()?.renew(node, lease)
    }

    fn claim(
        &self,
        node: NodeId,
        shards: &[Shard],
    ) -> Result<Vec<(Shard, ShardState)>, StoreError> {
        self.to()?.claim(node, shards)
    }

    fn release(&self, node: NodeId, shards: &[Shard]) -> Result<(), StoreError> {
        self.to()?.release(node, shards)
    }

    fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.to()?.leave(node)
    }

    fn census(&self) -> Result<Census, StoreError> {
        self.to()?.census()
    }
}

impl Town {
    async fn found(folder: &Path) -> Self {
        let stores = sqlite::open(folder, SHARDS).unwrap();
        let catalogue = Catalogue::default().with(definition().unwrap(), OrderScript);
        let bus: Arc<dyn Bus> = Arc::new(InProcessBus::default());
        for queue in topology::queues(&catalogue, SHARDS) {
            bus.declare(&queue).await.unwrap();
        }
        Self { stores, bus, catalogue }
    }

    async fn join(&self, leases: Arc<dyn Leases>, lease: Duration) -> NodeRunner {
        self.join_by(Arc::clone(&self.stores.ledger), leases, lease).await
    }

    async fn join_by(
        &self,
        ledger: Arc<dyn Ledger>,
        leases: Arc<dyn Leases>,
        lease: Duration,
    ) -> NodeRunner {
        let identity = Node {
            id: Uuid::now_v7(),
            name: "node".to_owned(),
            url: String::new(),
            started_at: SystemClock.now(),
        };
        let surroundings = Surroundings {
            ledger,
            door: Arc::clone(&self.stores.door),
            letters: Arc::clone(&self.stores.letters),
            bus: Arc::clone(&self.bus),
            pokes: Arc::new(InProcessPokes::default()),
            clock: Arc::new(SystemClock),
            catalogue: self.catalogue.clone(),
            definition: definition().unwrap().reference(),
            sleep_after: Duration::from_secs(60),
            spans: Default::default(),
            max_outstanding: MAX_OUTSTANDING,
        };
        NodeRunner::start(Membership { leases, identity, lease }, surroundings).await.unwrap()
    }

    async fn node(&self) -> NodeRunner {
        self.join(Arc::clone(&self.stores.leases), LONG).await
    }

    async fn inventory(&self) -> Inbox {
        let queue = "inventory.commands".into();
        Inbox::new(self.bus.consume(&queue, 1_000).await.unwrap(), Arc::clone(&self.bus))
    }

    /// How many shards each owner has, in descending order.
    fn shares(&self) -> Vec<usize> {
        let census = self.stores.leases.census().unwrap();
        let mut counts = std::collections::BTreeMap::<NodeId, usize>::new();
        for owner in census.owners.into_iter().flatten() {
            *counts.entry(owner).or_default() += 1;
        }
        let mut counts: Vec<usize> = counts.into_values().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        counts
    }

    async fn until_shares_are(&self, wanted: &[usize]) {
        until("the shards are shared", || self.shares() == wanted).await;
    }

    async fn until_confirmed(&self, saga: SagaId) {
        until("the order is confirmed", || {
            self.stores
                .queries
                .order_of(saga)
                .is_some_and(|status| status == OrderStatus::Confirmed)
        })
        .await;
    }
}

trait OrderOf {
    fn order_of(&self, saga: SagaId) -> Option<OrderStatus>;
}

impl OrderOf for Arc<dyn skald::ports::queries::Queries> {
    fn order_of(&self, saga: SagaId) -> Option<OrderStatus> {
        let (found, _) = self.saga(saga).unwrap()?;
        Some(self.order(found.birth.key.parse().unwrap()).unwrap()?.status)
    }
}

async fn until(what: &str, mut found: impl FnMut() -> bool) {
    let patience = tokio::time::Instant::now() + PATIENCE;
    while !found() {
        assert!(tokio::time::Instant::now() < patience, "still waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn stop(node: NodeRunner) {
    tokio::task::spawn_blocking(move || node.stop()).await.unwrap();
}

async fn submit(node: &NodeRunner) -> Result<SagaId, SubmitError> {
    let order = a_harp(SystemClock.now());
    let saga = order.saga;
    let order = NewOrder { order, claim: None, traceparent: None, watch: Watch::Unwatched };
    node.handle().submit(order).await.map(|_| saga)
}

#[actix::test]
async fn nodes_share_the_shards_evenly_as_they_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await;
    let first = town.node().await;
    assert_eq!(town.shares(), [5], "whoever is alone has all of them at once");
    let second = town.node().await;
    town.until_shares_are(&[3, 2]).await;
    let third = town.node().await;
    town.until_shares_are(&[2, 2, 1]).await;
    stop(first).await;
    town.until_shares_are(&[3, 2]).await;
    for node in [&second, &third] {
        submit(node).await.unwrap();
    }
    stop(second).await;
    stop(third).await;
    assert_eq!(town.shares(), [0_usize; 0], "who stops in good order leaves nothing leased");
}

#[actix::test]
async fn what_a_stopped_node_began_another_one_ends_without_waiting_for_the_lease() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await;
    let mut inventory = town.inventory().await;
    let first = town.node().await;
    let second = town.node().await;
    town.until_shares_are(&[3, 2]).await;
    let saga = submit(&first).await.unwrap();
    let reserve = inventory.next_of("inventory.reserve").await;
    stop(first).await;
    inventory.succeed(reserve).await;
    town.until_confirmed(saga).await;
    stop(second).await;
}

#[actix::test]
async fn a_shard_that_can_not_be_taken_over_while_the_store_is_away_is_taken_over_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await;
    let mut inventory = town.inventory().await;
    let first = town.node().await;
    let gate = Gate::before(Arc::clone(&town.stores.ledger));
    let second = town.join_by(gate.clone(), Arc::clone(&town.stores.leases), LONG).await;
    town.until_shares_are(&[3, 2]).await;
    let saga = submit(&first).await.unwrap();
    let reserve = inventory.next_of("inventory.reserve").await;
    // One for each that the first one has.
    gate.hide_the_unfinished(3);
    stop(first).await;
    inventory.succeed(reserve).await;
    town.until_confirmed(saga).await;
    stop(second).await;
}

#[actix::test]
async fn a_node_that_is_cut_off_gives_up_its_shards_before_another_one_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await;
    let mut inventory = town.inventory().await;
    let lease = Duration::from_secs(1);
    let wire = Arc::new(Wire { leases: Arc::clone(&town.stores.leases), cut: false.into() });
    let first = town.join(wire.clone(), lease).await;
    let saga = submit(&first).await.unwrap();
    let reserve = inventory.next_of("inventory.reserve").await;

    wire.cut.store(true, Ordering::SeqCst);
    until("the node has given up its shards", || {
        first.handle().troubles().contains(&"this node owns no shard".to_owned())
    })
    .await;
    let refused = submit(&first).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Busy { .. }), "{refused:?}");

    let second = town.join(Arc::clone(&town.stores.leases), lease).await;
    town.until_shares_are(&[5]).await;
    inventory.succeed(reserve).await;
    town.until_confirmed(saga).await;

    wire.cut.store(false, Ordering::SeqCst);
    town.until_shares_are(&[3, 2]).await;
    until("the node is well again", || first.handle().troubles().is_empty()).await;
    submit(&first).await.unwrap();
    stop(first).await;
    stop(second).await;
}

#[actix::test]
async fn a_node_that_was_deposed_behind_its_back_writes_nothing_and_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await;
    let mut inventory = town.inventory().await;
    let node = town.node().await;
    let saga = submit(&node).await.unwrap();
    let reserve = inventory.next_of("inventory.reserve").await;
    for shard in 0..SHARDS {
        town.stores.ledger.claim(shard).unwrap();
    }
    inventory.succeed(reserve).await;
    // It notices, claims what nobody has a lease on, and ends what was begun under its new epoch.
    town.until_shares_are(&[5]).await;
    town.until_confirmed(saga).await;
    stop(node).await;
}

#[actix::test]
async fn an_answer_to_what_a_successor_asked_is_not_lost_at_a_deposed_node() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await;
    let mut inventory = town.inventory().await;
    let node = town.node().await;
    let id = submit(&node).await.unwrap();
    let reserve = inventory.next_of("inventory.reserve").await;

    let ledger = &town.stores.ledger;
    let is_there = |shard: &Shard| !ledger.history_after(*shard, 0, 1).unwrap().is_empty();
    let shard = (0..SHARDS).find(is_there).unwrap();
    let epoch = ledger.claim(shard).unwrap().epoch;
    let saga = ledger.load(shard, &[id]).unwrap().remove(0);
    let reserved = Answer::Success(Json::null());
    let definition = definition().unwrap();
    let moved = turn::answer(&definition, (&saga, true), 2, reserved, SystemClock.now());
    let Ok(Turn::Write(entry)) = moved else { panic!("{moved:?}") };
    let asked = entry.saga.state.calls().find_map(|(_, _, call)| call.newest_ask()).unwrap();
    let batch = Batch { shard, epoch, marks: Marks::default(), entries: vec![*entry] };
    ledger.commit(&batch).unwrap();

    // Nobody else answers: without this one the saga would not end.
    let asked = format!("{id}:{asked}");
    let correlation_id = Some(asked.clone());
    let command = Message { id: asked, correlation_id, ..(*reserve.message).clone() };
    inventory.answer(&command, WorkOutcome::Success(Json::null())).await;
    until("the saga has ended", || ledger.load(shard, &[id]).unwrap()[0].state.phase.is_end())
        .await;
    stop(node).await;
}

#[actix::test]
async fn a_wish_reaches_its_saga_through_any_node() {
    let folder = tempfile::tempdir().unwrap();
    let town = Town::found(folder.path()).await;
    let first = town.node().await;
    let second = town.node().await;
    town.until_shares_are(&[3, 2]).await;
    let saga = submit(&first).await.unwrap();
    let id = Uuid::now_v7();
    let input = NewInput {
        id,
        saga,
        client_key: "k".to_owned(),
        request: Request::Cancel { by: "ada".to_owned(), reason: Reason::of("ENOUGH") },
        if_version: None,
        at: SystemClock.now(),
    };
    let Admitted::Stored(_, shard) = town.stores.door.admit(&input).unwrap() else { panic!() };
    second.handle().knock(shard, saga).await;
    until("the owner has decided", || {
        matches!(town.stores.door.outcome(id).unwrap(), Some(InputOutcome::Applied { .. }))
    })
    .await;
    let (_, row) = town.stores.queries.saga(saga).unwrap().unwrap();
    assert_eq!(row.status, SagaStatus::RollingBack);
    stop(first).await;
    stop(second).await;
}
