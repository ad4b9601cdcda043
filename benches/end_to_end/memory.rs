//! Very many sagas awake at once, each waiting for a worker that does not answer.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::System;
use anyhow::{Context as _, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use skald::actors::{MAX_OUTSTANDING, Membership, NodeRunner, Surroundings};
use skald::bus::in_process::InProcessBus;
use skald::bus::topology;
use skald::coordination::in_process::InProcessPokes;
use skald::orders::definition::definition;
use skald::orders::money::Currency;
use skald::orders::script::OrderScript;
use skald::orders::{Item, Order, OrderId, OrderStatus};
use skald::ports::Clock;
use skald::ports::bus::Bus;
use skald::ports::clock::SystemClock;
use skald::ports::leases::Node;
use skald::ports::orchestrator::{NewOrder, Orchestrator, Submitted, Watch};
use skald::saga::catalogue::Catalogue;
use skald::saga::id::{QueueName, SagaId};
use skald::store::sqlite;
use tokio::time::sleep;
use uuid::Uuid;

use crate::report::Memory;

const SAGAS: u64 = 100_000;
/// Orders on their way in at a time.
const CONCURRENCY: usize = 500;
/// The queue whose worker is away.
const QUEUE: &str = "inventory.commands";
/// Nobody falls asleep meanwhile.
const SLEEP_AFTER: Duration = Duration::from_secs(3_600);

/// Nobody else wants the shard.
const LEASE: Duration = Duration::from_secs(600);
/// The last commands are in their queue long before.
const PATIENCE: Duration = Duration::from_secs(30);

/// Wakes the sagas and looks how much memory this process has then.
pub fn measure(folder: &Path) -> anyhow::Result<Memory> {
    eprintln!("memory");
    System::new().block_on(async {
        let (shard, bus) = start(folder).await?;
        let orchestrator = shard.handle();
        let empty = resident_bytes()?;
        stream::iter(0..SAGAS)
            .map(|n| orchestrator.submit(order(n)))
            .buffer_unordered(CONCURRENCY)
            .try_for_each(async |submitted| {
                debug_assert!(matches!(submitted, Submitted::Accepted(_)));
                Ok(())
            })
            .await?;
        until_all_wait(&orchestrator, bus.as_ref()).await?;
        let resident = resident_bytes()?;
        tokio::task::spawn_blocking(move || shard.stop()).await?;
        Ok(Memory {
            sagas: SAGAS,
            resident_bytes: resident,
            empty_bytes: empty,
            bytes_per_saga: resident.saturating_sub(empty) / SAGAS,
        })
    })
}

/// A shard without workers.
async fn start(folder: &Path) -> anyhow::Result<(NodeRunner, Arc<dyn Bus>)> {
    let stores = sqlite::open(folder, sqlite::EMBEDDED_SHARDS)?;
    let definition = definition()?;
    let reference = definition.reference();
    let catalogue = Catalogue::default().with(definition, OrderScript);
    let bus: Arc<dyn Bus> = Arc::new(InProcessBus::default());
    for queue in topology::queues(&catalogue, sqlite::EMBEDDED_SHARDS) {
        bus.declare(&queue).await?;
    }
    let identity = Node {
        id: Uuid::now_v7(),
        name: "bench".to_owned(),
        url: String::new(),
        started_at: SystemClock.now(),
    };
    let membership = Membership { leases: stores.leases, identity, lease: LEASE };
    let surroundings = Surroundings {
        ledger: stores.ledger,
        door: stores.door,
        letters: stores.letters,
        bus: Arc::clone(&bus),
        pokes: Arc::new(InProcessPokes::default()),
        clock: Arc::new(SystemClock),
        catalogue,
        definition: reference,
        sleep_after: SLEEP_AFTER,
        spans: Default::default(),
        max_outstanding: MAX_OUTSTANDING,
    };
    Ok((NodeRunner::start(membership, surroundings).await?, bus))
}

/// An order as the demo's customers send it.
fn order(n: u64) -> NewOrder {
    let now = SystemClock.now();
    let customer = format!("customer-{:04}", n % 3_000);
    let order = Order {
        id: OrderId(Uuid::now_v7()),
        saga: SagaId(Uuid::now_v7()),
        email: Some(format!("{customer}@example.com")),
        user: customer,
        currency: Currency::DEFAULT,
        total: 9_995,
        status: OrderStatus::Pending,
        reason: None,
        created_at: now,
        updated_at: now,
        items: vec![Item { product: "item-0001".into(), quantity: 5, price: 1_999 }],
    };
    NewOrder { order, claim: None, traceparent: None, watch: Watch::Unwatched }
}

/// Waits until every saga is awake and has its command in the worker's queue.
async fn until_all_wait(orchestrator: &dyn Orchestrator, bus: &dyn Bus) -> anyhow::Result<()> {
    let queue = QueueName::from(QUEUE);
    let started = Instant::now();
    loop {
        let activity = orchestrator.activity().await;
        let outstanding = activity.outstanding.iter().find(|(name, _)| name == QUEUE);
        let depths = bus.depths().await?;
        let ready = depths.iter().find(|depth| depth.queue == queue).map_or(0, |depth| depth.ready);
        if activity.awake == SAGAS && outstanding.map(|(_, n)| *n) == Some(SAGAS) && ready >= SAGAS
        {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            bail!("not all sagas are awake: {ready} commands in the queue, {activity:?}");
        }
        sleep(Duration::from_millis(10)).await;
    }
}

/// What this process has in memory, in bytes.
fn resident_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")).context("no VmRSS")?;
    Ok(kilobytes.parse::<u64>()? * 1_024)
}
