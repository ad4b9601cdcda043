//! What the RabbitMQ bus does beyond the conformance suite.

mod bundling;
mod connecting;
mod foreign;
mod outage;
mod rejecting;
mod volume;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use skald::bus::rabbitmq::{Address, Bundling, RabbitBus};
use skald::ports::bus::{
    Bus, BusError, DeadLetters, Exchange, Lifetime, Outgoing, QueueSpec, Receipt, Settlement,
};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use crate::bus_conformance::stage::message;

/// Longer than a broker takes to start, and than a message waits for its confirmation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks at something that can't be waited for.
const GLANCE: Duration = Duration::from_millis(10);

async fn connect(url: &str) -> Result<RabbitBus, BusError> {
    RabbitBus::connect(vec![Address::parse(url).unwrap()], "skald test", Bundling::default()).await
}

/// Connects from a thread that may not block.
pub fn connect_here(url: &str) -> RabbitBus {
    let connect = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(connect(url)).unwrap()
    };
    std::thread::scope(|scope| scope.spawn(connect).join().unwrap())
}

/// A queue that nobody else uses, bound to commands with its name as their key.
fn queue(name: &str) -> QueueSpec {
    let name = format!("{name}-{}", Uuid::now_v7().simple());
    QueueSpec {
        name: name.as_str().into(),
        bindings: vec![(Exchange::Commands, name)],
        max_length: 100_000,
        delivery_limit: 100,
        dead_letters: DeadLetters::Dropped,
        lifetime: Lifetime::Lasting,
    }
}

fn command(key: &str, id: &str) -> Outgoing {
    Outgoing { exchange: Exchange::Commands, routing_key: key.to_owned(), message: message(id) }
}

/// Publishes one message and waits for its settlement.
async fn publish(bus: &dyn Bus, outgoing: Outgoing) -> Settlement {
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    bus.publish(outgoing, Receipt::new(outlet, 0));
    let (_, settlement) = timeout(PATIENCE, settlements.recv()).await.unwrap().unwrap();
    settlement
}

/// Publishes messages with these ids until each is confirmed, a hundred at a time. `confirmed` is
/// told of each.
async fn publish_until_confirmed(
    bus: Arc<dyn Bus>,
    key: String,
    ids: Range<u64>,
    mut confirmed: impl FnMut(u64),
) {
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    let mut to_send: Vec<u64> = ids.rev().collect();
    let mut open = 0;
    while open > 0 || !to_send.is_empty() {
        while open < 100
            && let Some(id) = to_send.pop()
        {
            bus.publish(command(&key, &id.to_string()), Receipt::new(outlet.clone(), id));
            open += 1;
        }
        let (id, settlement) = timeout(PATIENCE, settlements.recv()).await.unwrap().unwrap();
        open -= 1;
        match settlement {
            Settlement::Confirmed => confirmed(id),
            _ => to_send.push(id),
        }
    }
}

/// Consumes until `count` different messages were acknowledged, renewing the consumer whenever it is
/// over. Returns how often each came.
async fn consume_until(bus: Arc<dyn Bus>, spec: QueueSpec, count: usize) -> BTreeMap<String, u32> {
    let mut seen = BTreeMap::new();
    while seen.len() < count {
        let Ok(mut deliveries) = bus.consume(&spec.name, 500).await else {
            sleep(GLANCE).await;
            continue;
        };
        let mut batch = Vec::new();
        while seen.len() < count && deliveries.recv_many(&mut batch, 500).await > 0 {
            for delivery in batch.drain(..) {
                *seen.entry(delivery.message.id.clone()).or_default() += 1;
                delivery.ack();
            }
        }
    }
    seen
}

/// Looks again and again until `holds` does.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !holds().await {
            sleep(GLANCE).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn expect_depth(bus: &dyn Bus, spec: &QueueSpec, expected: (u64, u64)) {
    let what = format!("{} holds {expected:?}", spec.name);
    until(&what, async || {
        let depths = bus.depths().await.unwrap_or_default();
        let mut depths = depths.into_iter().filter(|depth| depth.queue == spec.name);
        depths.next().is_some_and(|depth| (depth.ready, depth.unsettled) == expected)
    })
    .await;
}
