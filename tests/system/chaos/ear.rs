//! Somebody else's durable queue, bound to all events.

use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;
use skald::bus::rabbitmq::{Address, Bundling, RabbitBus};
use skald::ports::bus::{Bus, DeadLetters, Delivery, Exchange, Lifetime, QueueSpec};
use skald::ports::source::Source;

use crate::accounts::Heard;

/// The queue.
pub const QUEUE: &str = "audit";

/// What a listener has heard, each event acknowledged after it was noted.
#[derive(Clone, Default)]
pub struct Ear(Arc<Mutex<Heard>>);

impl Ear {
    /// Listens until the test is over, at a URL or at several with commas between them.
    pub fn listening(urls: &str) -> Self {
        let addresses = urls.split(',').map(|url| Address::parse(url).unwrap()).collect();
        let ear = Self::default();
        let (listening, listens) = std::sync::mpsc::channel();
        let noting = ear.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let bus: Arc<dyn Bus> = Arc::new(
                    RabbitBus::connect(addresses, QUEUE, Bundling::default()).await.unwrap(),
                );
                let queue = QueueSpec {
                    name: QUEUE.into(),
                    bindings: vec![(Exchange::Events, "#".to_owned())],
                    max_length: 1_000_000,
                    delivery_limit: 1_000,
                    lifetime: Lifetime::Lasting,
                    dead_letters: DeadLetters::Dropped,
                };
                bus.declare(&queue).await.unwrap();
                let mut events = Source::of(bus, queue.name, 1_000).open().await.unwrap();
                listening.send(()).unwrap();
                let mut batch = Vec::new();
                loop {
                    events.recv_many(&mut batch, 1_000).await;
                    batch.drain(..).for_each(|delivery| noting.note(delivery));
                }
            });
        });
        listens.recv().unwrap();
        ear
    }

    /// How often it heard each event.
    pub fn heard(&self) -> Heard {
        self.0.lock().unwrap().clone()
    }

    /// How many it heard.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    fn note(&self, delivery: Delivery) {
        let event: Value = serde_json::from_slice(&delivery.message.body).unwrap();
        let metadata = &event["data"]["metadata"];
        let (saga, sequence) = (metadata["sagaId"].as_str().unwrap(), &metadata["sequence"]);
        // So whoever sorts by sequence has the events of a saga in their order.
        assert_eq!(event["id"], format!("{saga}:{sequence}"));
        *self.0.lock().unwrap().entry(delivery.message.id.clone()).or_default() += 1;
        delivery.ack();
    }
}
