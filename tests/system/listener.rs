//! Somebody else's durable queue, bound to the events, while everything around it is killed.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use skald::bus::rabbitmq::{Address, Bundling, RabbitBus};
use skald::ports::bus::{Bus, DeadLetters, Delivery, Exchange, Lifetime, QueueSpec};
use skald::ports::source::Source;

use crate::accounts;
use crate::customer::{Log, finish, order_anywhere, stock_up};
use crate::dice::Dice;
use crate::installation::{Installation, WORKERS, together};
use crate::process::Process;
use crate::rabbitmq::Broker;
use crate::until::until;

/// What is killed, in turn. Whatever an orchestrator owned waits for its lease to run out, so
/// workers die more often.
const KILLS: [Victim; 22] = {
    use Victim::*;
    [
        Worker,
        Orchestrator,
        Worker,
        Worker,
        Broker,
        Worker,
        Worker, //
        Worker,
        Worker,
        Orchestrator,
        Worker,
        Broker,
        Worker,
        Worker, //
        Worker,
        Worker,
        Worker,
        Orchestrator,
        Broker,
        Worker,
        Worker,
        Orchestrator,
    ]
};
const CUSTOMERS: usize = 4;
const PRODUCTS: usize = 40;

#[derive(Clone, Copy, Debug)]
enum Victim {
    Orchestrator,
    Worker,
    Broker,
}

/// What a listener has heard: the ids of events, each acknowledged after it was noted.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<BTreeSet<String>>>);

impl Heard {
    /// Listens at `url` until the test is over.
    fn listen(&self, url: &str) {
        let (heard, address) = (self.clone(), Address::parse(url).unwrap());
        let (listening, listens) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let bus: Arc<dyn Bus> = Arc::new(
                    RabbitBus::connect(vec![address], "audit", Bundling::default()).await.unwrap(),
                );
                let queue = QueueSpec {
                    name: "audit".into(),
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
                    batch.drain(..).for_each(|delivery| heard.note(delivery));
                }
            });
        });
        listens.recv().unwrap();
    }

    fn note(&self, delivery: Delivery) {
        let event: Value = serde_json::from_slice(&delivery.message.body).unwrap();
        let metadata = &event["data"]["metadata"];
        let (saga, sequence) = (metadata["sagaId"].as_str().unwrap(), &metadata["sequence"]);
        // So whoever sorts by sequence has the events of a saga in their order.
        assert_eq!(event["id"], format!("{saga}:{sequence}"));
        self.0.lock().unwrap().insert(delivery.message.id.clone());
        delivery.ack();
    }
}

#[test]
fn every_event_reaches_a_foreign_queue_whatever_is_killed() {
    let mut broker = Broker::start();
    let installation = Installation::with_broker(broker.url());
    let mut orchestrators = together(2, |_| installation.orchestrator());
    let mut workers = together(4, |n| installation.worker(WORKERS[n % 2]));
    let heard = Heard::default();
    heard.listen(&broker.url());
    broker.write_down_names();
    let addresses = |nodes: &[Process]| nodes.iter().map(Process::address).collect::<Vec<_>>();
    let nodes = Mutex::new(addresses(&orchestrators));
    stock_up(orchestrators[0].address(), PRODUCTS);

    let log = Log::of_slow_customers(Duration::from_millis(25));
    let mut dice = Dice::new();
    thread::scope(|scope| {
        for first in 0..CUSTOMERS {
            let (nodes, log) = (&nodes, &log);
            scope.spawn(move || order_anywhere(nodes, first, log, PRODUCTS));
        }
        for (n, victim) in KILLS.into_iter().enumerate() {
            let enough = log.count.load(Ordering::SeqCst) + 5 + dice.below(60);
            until("orders are accepted", || log.count.load(Ordering::SeqCst) >= enough);
            // Anywhere between two commits, not only right after an answer.
            thread::sleep(Duration::from_micros(dice.below(20_000) as u64));
            match victim {
                Victim::Orchestrator => {
                    orchestrators.remove(0).kill();
                    orchestrators.push(installation.orchestrator());
                    *nodes.lock().unwrap() = addresses(&orchestrators);
                }
                Victim::Worker => {
                    workers.remove(0).kill();
                    // Of the two kinds in turn, as they were started.
                    let kind = WORKERS[n_killed(n) % 2];
                    workers.push(installation.worker(kind));
                }
                Victim::Broker => {
                    broker.kill();
                    broker.boot();
                }
            }
        }
        log.stop();
    });

    let last = orchestrators.last().unwrap().address();
    finish(last, &log, PRODUCTS);
    let stores = installation.stores();
    let accepted = log.accepted.lock().unwrap();
    println!("{} kills, {} orders", KILLS.len(), accepted.len());
    accounts::every_accepted_order_is_terminal(&stores, &accepted);
    accounts::the_stock_adds_up(&stores);
    accounts::one_notification_for_each_order(&stores, &installation.folder().join("mail"));
    let expected = accounts::events(&stores);
    until("every event is heard", || heard.0.lock().unwrap().len() >= expected.len());
    assert!(*heard.0.lock().unwrap() == expected, "events that never happened were heard");
}

/// How many workers were killed before the `n`th kill.
fn n_killed(n: usize) -> usize {
    KILLS[..n].iter().filter(|victim| matches!(victim, Victim::Worker)).count()
}
