//! A bus with the queues that a worker needs, and whoever else stands around it.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use skald::bus::in_process::InProcessBus;
use skald::contract::names::command_type;
use skald::ports::Clock;
use skald::ports::bus::{
    Bus, DeadLetters, Deliveries, Delivery, Exchange, Lifetime, Message, Outgoing, QueueSpec,
    Receipt, Settlement,
};
use skald::saga::id::Timestamp;
use skald::workers::runtime::Runtime;
use skald::workers::worker::Worker;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Longer than anything takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

pub const REPLIES: &str = "skald.replies.0";

/// How many commands the runtimes under test do at a time.
pub const BATCH: usize = 10;

pub const PREFETCH: usize = 20;

/// A clock that a test sets.
#[derive(Default)]
pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn advance(&self, millis: i64) {
        self.0.fetch_add(millis * 1000, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_700_000_000_000_000 + self.0.load(Ordering::SeqCst))
    }
}

pub struct Rig {
    pub bus: Arc<dyn Bus>,
    pub clock: Arc<TestClock>,
    pub replies: Deliveries,
    pub dead: Deliveries,
    outlet: mpsc::UnboundedSender<(u64, Settlement)>,
    settlements: mpsc::UnboundedReceiver<(u64, Settlement)>,
    settled: BTreeMap<u64, Settlement>,
    published: u64,
}

/// A runtime at work.
pub struct Running {
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

impl Running {
    /// Stops it in good order.
    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        in_time(self.task).await.unwrap();
    }

    /// Ends it as a crash would: whatever it holds is dropped.
    pub async fn kill(self) {
        self.task.abort();
        assert!(in_time(self.task).await.unwrap_err().is_cancelled());
    }
}

impl Rig {
    pub async fn new() -> Self {
        Self::with_queues(5, 1000).await
    }

    pub async fn with_queues(delivery_limit: u32, replies_length: usize) -> Self {
        let bus: Arc<dyn Bus> = Arc::new(InProcessBus::default());
        for service in ["inventory", "notification"] {
            let bindings = vec![(Exchange::Commands, format!("{service}.*"))];
            let commands = QueueSpec {
                delivery_limit,
                dead_letters: DeadLetters::Kept,
                lifetime: Lifetime::Lasting,
                ..queue(&format!("{service}.commands"), bindings, 1000)
            };
            bus.declare(&commands).await.unwrap();
        }
        bus.declare(&queue(REPLIES, vec![], replies_length)).await.unwrap();
        let everything = vec![(Exchange::Dead, "#".to_owned())];
        bus.declare(&queue("skald.dead-letters", everything, 1000)).await.unwrap();
        let replies = bus.consume(&REPLIES.into(), 1000).await.unwrap();
        let dead = bus.consume(&"skald.dead-letters".into(), 1000).await.unwrap();
        let (outlet, settlements) = mpsc::unbounded_channel();
        Self {
            bus,
            clock: Arc::default(),
            replies,
            dead,
            outlet,
            settlements,
            settled: BTreeMap::new(),
            published: 0,
        }
    }

    pub fn start<W: Worker>(&self, worker: &Arc<W>) -> Running {
        self.start_with_batches_of(BATCH, worker)
    }

    pub fn start_with_batches_of<W: Worker>(&self, most: usize, worker: &Arc<W>) -> Running {
        let (stop, stopping) = watch::channel(false);
        let runtime = self.runtime(worker).with_batches_of(most);
        Running { stop, task: tokio::spawn(runtime.run(stopping)) }
    }

    pub fn runtime<W: Worker>(&self, worker: &Arc<W>) -> Runtime<W> {
        Runtime {
            worker: Arc::clone(worker),
            bus: Arc::clone(&self.bus),
            clock: self.clock.clone(),
            spans: Default::default(),
            batch_size: BATCH,
            prefetch: PREFETCH,
        }
    }

    /// Publishes a command and returns the tag of its receipt.
    pub fn publish(&mut self, message: Message) -> u64 {
        self.published += 1;
        let receipt = Receipt::new(self.outlet.clone(), self.published);
        let routing_key = message.kind.clone();
        let outgoing = Outgoing { exchange: Exchange::Commands, routing_key, message };
        self.bus.publish(outgoing, receipt);
        self.published
    }

    /// Waits until a command was acknowledged, or its dead letter.
    pub async fn expect_settled(&mut self, tag: u64) {
        while !self.settled.contains_key(&tag) {
            let (tag, settlement) = in_time(self.settlements.recv()).await.unwrap();
            self.settled.insert(tag, settlement);
        }
        assert_eq!(self.settled[&tag], Settlement::Confirmed);
    }

    /// Acknowledges replies until every one of these commands is settled.
    pub async fn answer_until_settled(&mut self, tags: Vec<u64>) {
        while !tags.iter().all(|tag| self.settled.contains_key(tag)) {
            let (replies, settlements) = (&mut self.replies, &mut self.settlements);
            let settled = async {
                tokio::select! {
                    reply = replies.recv() => { reply.unwrap().ack(); None }
                    settled = settlements.recv() => settled,
                }
            };
            self.settled.extend(in_time(settled).await);
        }
        assert!(tags.iter().all(|tag| self.settled[tag] == Settlement::Confirmed));
    }

    pub fn expect_unsettled(&mut self, tag: u64) {
        while let Ok((tag, settlement)) = self.settlements.try_recv() {
            self.settled.insert(tag, settlement);
        }
        assert_eq!(self.settled.get(&tag), None);
    }

    /// The next reply, acknowledged.
    pub async fn reply(&mut self) -> Reply {
        let delivery = self.unacknowledged_reply().await;
        let reply = Reply::of(&delivery.message);
        delivery.ack();
        reply
    }

    pub async fn unacknowledged_reply(&mut self) -> Delivery {
        in_time(self.replies.recv()).await.unwrap()
    }

    /// The next dead letter: which message, and why it died.
    pub async fn dead_letter(&mut self) -> (String, String) {
        let delivery = in_time(self.dead.recv()).await.unwrap();
        let death = delivery.message.death.clone().unwrap();
        let letter = (delivery.message.id.clone(), death.reason);
        delivery.ack();
        letter
    }
}

fn queue(name: &str, bindings: Vec<(Exchange, String)>, max_length: usize) -> QueueSpec {
    QueueSpec {
        name: name.into(),
        bindings,
        max_length,
        delivery_limit: 1000,
        dead_letters: DeadLetters::Dropped,
        lifetime: Lifetime::Lasting,
    }
}

/// What a reply says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub kind: String,
    pub to: String,
    pub data: Value,
}

impl Reply {
    pub fn of(message: &Message) -> Self {
        let body: Value = serde_json::from_slice(&message.body).unwrap();
        Self {
            kind: message.kind.clone(),
            to: message.correlation_id.clone().unwrap(),
            data: body["data"]["data"].clone(),
        }
    }
}

/// A command on behalf of a saga's step; `sequence` makes its message id.
pub fn command(saga: u128, sequence: u64, kind: &str, key: &str, data: &Value) -> Message {
    let saga = Uuid::from_u128(saga);
    let id = format!("{saga}:{sequence}");
    let body = json!({
        "id": id, "type": kind, "pattern": kind,
        "data": {
            "commandType": command_type(kind),
            "data": data,
            "metadata": {"idempotencyKey": format!("{saga}:{key}")},
        },
    });
    Message {
        correlation_id: Some(id.clone()),
        id,
        kind: kind.to_owned(),
        reply_to: Some(REPLIES.to_owned()),
        traceparent: None,
        body: Bytes::from(body.to_string()),
        death: None,
    }
}

pub fn reserve(saga: u128, sequence: u64, product: &str, quantity: i64) -> Message {
    let data = json!({"items": [{"productId": product, "quantity": quantity}]});
    command(saga, sequence, "inventory.reserve", "reserve-inventory:1:do", &data)
}

pub fn release(saga: u128, sequence: u64) -> Message {
    let data = json!({"items": []});
    command(saga, sequence, "inventory.release", "reserve-inventory:1:undo", &data)
}

/// Waits, but not too long.
pub async fn in_time<T>(waiting: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        () = tokio::time::sleep(PATIENCE) => panic!("nothing came in time"),
        came = waiting => came,
    }
}
