//! What each case plays on: a bus, names of its own, and a publisher's desk.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use skald::ports::bus::{
    Bus, DeadLetters, Deliveries, Delivery, Exchange, Lifetime, Message, Outgoing, QueueSpec,
    Receipt, Settlement,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::{Backend, Confirms};

/// Longer than any broker takes; only a case that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at a broker that can't be waited for.
const GLANCE: Duration = Duration::from_millis(5);

pub struct Stage {
    pub bus: Arc<dyn Bus>,
    pub confirms: Confirms,
    /// Keeps this case's names apart from all others on the same broker.
    run: String,
    outlet: mpsc::UnboundedSender<(u64, Settlement)>,
    settlements: mpsc::UnboundedReceiver<(u64, Settlement)>,
    settled: BTreeMap<u64, Settlement>,
    published: u64,
}

impl Stage {
    pub fn of(backend: &dyn Backend) -> Self {
        let (outlet, settlements) = mpsc::unbounded_channel();
        Self {
            bus: backend.bus(),
            confirms: backend.confirms(),
            run: Uuid::now_v7().simple().to_string(),
            outlet,
            settlements,
            settled: BTreeMap::new(),
            published: 0,
        }
    }

    /// A queue's name, or the first word of a key, that no other case uses.
    pub fn name(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    /// A queue that is bound to nothing, holds a thousand messages and delivers each four times.
    pub fn queue(&self, name: &str) -> QueueSpec {
        QueueSpec {
            name: self.name(name).as_str().into(),
            bindings: Vec::new(),
            max_length: 1000,
            delivery_limit: 3,
            dead_letters: DeadLetters::Dropped,
            lifetime: Lifetime::Lasting,
        }
    }

    pub async fn declare(&self, spec: &QueueSpec) {
        self.bus.declare(spec).await.unwrap();
    }

    pub async fn consume(&self, spec: &QueueSpec, prefetch: usize) -> Deliveries {
        self.bus.consume(&spec.name, prefetch).await.unwrap()
    }

    /// Publishes a message with this id and returns the tag of its receipt.
    pub fn publish(&mut self, exchange: Exchange, key: &str, id: &str) -> u64 {
        self.send(exchange, key, message(id))
    }

    pub fn send(&mut self, exchange: Exchange, key: &str, message: Message) -> u64 {
        self.published += 1;
        let receipt = Receipt::new(self.outlet.clone(), self.published);
        self.bus.publish(Outgoing { exchange, routing_key: key.to_owned(), message }, receipt);
        self.published
    }

    /// Publishes a message straight to a queue.
    pub fn post(&mut self, spec: &QueueSpec, id: &str) -> u64 {
        self.publish(Exchange::Default, spec.name.as_str(), id)
    }

    /// What became of a message; waits for it. Each receipt is settled once.
    pub async fn settlement(&mut self, tag: u64) -> Settlement {
        while !self.settled.contains_key(&tag) {
            let (tag, settlement) = in_time(self.settlements.recv()).await.unwrap();
            assert_eq!(self.settled.insert(tag, settlement), None, "settled twice");
        }
        self.settled[&tag]
    }

    /// Lets a broker that takes what is under way before it notices that a queue is full notice it.
    pub async fn let_it_notice(&mut self, tag: u64) {
        if self.confirms == Confirms::WhenKept {
            self.settlement(tag).await;
        }
    }

    /// A bus that confirms what is acknowledged has not confirmed this yet.
    pub fn expect_unconfirmed(&mut self, tag: u64) {
        while let Ok((tag, settlement)) = self.settlements.try_recv() {
            self.settled.insert(tag, settlement);
        }
        if self.confirms == Confirms::WhenAcknowledged {
            assert_eq!(self.settled.get(&tag), None);
        }
    }

    pub async fn expect_confirmed(&mut self, tag: u64) {
        assert_eq!(self.settlement(tag).await, Settlement::Confirmed);
    }

    /// Waits until so many messages wait in a queue, and so many are out.
    pub async fn expect_depth(&self, spec: &QueueSpec, ready: u64, unsettled: u64) {
        let mut seen = (0, 0);
        let matched = until(async || {
            seen = self.depth(spec).await;
            seen == (ready, unsettled)
        });
        assert!(matched.await, "ready and unsettled are {seen:?}, not ({ready}, {unsettled})");
    }

    /// Acknowledges messages until the queue is empty and nothing is out; returns their ids.
    pub async fn drain(&self, spec: &QueueSpec, deliveries: &mut Deliveries) -> Vec<String> {
        let mut ids = Vec::new();
        let emptied = until(async || {
            while let Ok(Some(delivery)) = timeout(GLANCE, deliveries.recv()).await {
                ids.push(delivery.message.id.clone());
                delivery.ack();
            }
            self.depth(spec).await == (0, 0)
        });
        assert!(emptied.await, "the queue does not become empty");
        ids
    }

    async fn depth(&self, spec: &QueueSpec) -> (u64, u64) {
        let depths = self.bus.depths().await.unwrap();
        let depth = depths.into_iter().find(|depth| depth.queue == spec.name).unwrap();
        (depth.ready, depth.unsettled)
    }
}

/// Looks again and again until `holds` does; false if it does not in time.
async fn until(mut holds: impl AsyncFnMut() -> bool) -> bool {
    let looking = async {
        while !holds().await {
            tokio::time::sleep(GLANCE).await;
        }
    };
    timeout(PATIENCE, looking).await.is_ok()
}

pub fn message(id: &str) -> Message {
    Message {
        id: id.to_owned(),
        kind: "test".to_owned(),
        correlation_id: None,
        reply_to: None,
        traceparent: None,
        body: Bytes::from_static(b"{}"),
        death: None,
    }
}

/// The next delivery; waits for it.
pub async fn next(deliveries: &mut Deliveries) -> Delivery {
    in_time(deliveries.recv()).await.expect("the consumer is over")
}

/// The ids of the next `count` messages, each acknowledged.
pub async fn next_ids(deliveries: &mut Deliveries, count: usize) -> Vec<String> {
    let mut ids = Vec::with_capacity(count);
    while ids.len() < count {
        let delivery = next(deliveries).await;
        ids.push(delivery.message.id.clone());
        delivery.ack();
    }
    ids
}

/// Waits, but not too long. What is there only when time is up comes too late: nobody was woken
/// for it.
pub async fn in_time<T>(waiting: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        () = tokio::time::sleep(PATIENCE) => panic!("nothing came in time"),
        came = waiting => came,
    }
}
