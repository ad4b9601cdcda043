//! A cluster of three brokers under load, whose nodes are killed, hang, or are too few.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::accounts::{self, Books, Outside};
use crate::chaos::ear::Ear;
use crate::customer::{Connection, Log, finish, order_anywhere, stock_up};
use crate::installation::{Installation, WORKERS, together};
use crate::pauses::Pauses;
use crate::process::Process;
use crate::rabbitmq::{Cluster, Replicated};
use crate::until::{PATIENCE, until};

const CUSTOMERS: usize = 4;
const PRODUCTS: usize = 40;
/// Orders between two faults, so that there is load at each.
const SOME: usize = 60;

#[test]
#[ignore = "boots seven brokers: make cluster"]
fn a_cluster_of_brokers_loses_nothing_whichever_node_is_killed() {
    let mut cluster = Cluster::start();
    // The queues are declared while a node is down, and have a replica there all the same.
    let [.., last] = cluster.names();
    cluster.node(&last).kill();
    let shop = Shop::open(&cluster);
    cluster.node(&last).boot();
    until_whole(&cluster);
    shop.under_load(|| {
        let mut alive = cluster.names().to_vec();
        while !alive.is_empty() {
            shop.accepts_orders();
            let victim = victim(&cluster, &alive);
            alive.retain(|name| *name != victim);
            cluster.node(&victim).kill();
            shop.goes_on();
            cluster.node(&victim).boot();
            until_whole(&cluster);
        }
        shop.accepts_orders();
    });
    shop.everything_adds_up();
}

#[test]
#[ignore = "boots five brokers: make cluster"]
fn orders_are_accepted_while_a_node_hangs_or_two_are_gone_and_go_on_later() {
    let mut cluster = Cluster::start();
    let shop = Shop::open(&cluster);
    until_whole(&cluster);
    shop.under_load(|| {
        shop.accepts_orders();
        let leader = leader(&cluster);
        cluster.node(&leader).suspend(true);
        shop.goes_on();
        cluster.node(&leader).suspend(false);
        until_whole(&cluster);
        shop.goes_on();
    });
    shop.under_load(|| {
        let [first, second, _] = cluster.names();
        cluster.node(&first).kill();
        cluster.node(&second).kill();
        shop.accepts_orders();
        cluster.node(&first).boot();
        cluster.node(&second).boot();
        until_whole(&cluster);
        shop.goes_on();
    });
    shop.everything_adds_up();
}

/// An installation on a cluster, with customers and a listener.
struct Shop {
    installation: Installation,
    orchestrators: Vec<Process>,
    _workers: Vec<Process>,
    heard: Ear,
    log: Arc<Log>,
}

impl Shop {
    fn open(cluster: &Cluster) -> Self {
        let installation = Installation::with_broker(cluster.urls());
        let orchestrators = together(2, |_| installation.orchestrator());
        let workers = together(4, |n| installation.worker(WORKERS[n % 2]));
        let heard = Ear::listening(&cluster.urls());
        stock_up(orchestrators[0].address(), PRODUCTS);
        let log = Log::of_slow_customers(Duration::from_millis(25));
        Self { installation, orchestrators, _workers: workers, heard, log }
    }

    /// Has customers order while `during` runs.
    fn under_load(&self, during: impl FnOnce()) {
        let Self { orchestrators, heard, log, .. } = self;
        let nodes = Mutex::new(orchestrators.iter().map(Process::address).collect::<Vec<_>>());
        log.go_on();
        let (submits, events) = thread::scope(|scope| {
            for first in 0..CUSTOMERS {
                let nodes = &nodes;
                scope.spawn(move || order_anywhere(nodes, first, log, PRODUCTS));
            }
            // Also if something goes wrong, or the customers would order for ever.
            let _stop = log.stopping();
            let submits = Pauses::watch(scope, || log.count.load(Ordering::SeqCst));
            let events = Pauses::watch(scope, || heard.count());
            during();
            (submits.longest(), events.longest())
        });
        println!("without an order {submits:?} at most, without an event {events:?}");
        assert!(submits < PATIENCE);
    }

    /// Waits until more orders are accepted.
    fn accepts_orders(&self) {
        let count = || self.log.count.load(Ordering::SeqCst);
        let enough = count() + SOME;
        until("orders are accepted", || count() >= enough);
    }

    /// Waits until an order that is accepted from now on has come to its end, which takes the brokers.
    fn goes_on(&self) {
        self.accepts_orders();
        let last = self.log.count.load(Ordering::SeqCst) - 1;
        let order = self.log.nth_accepted(last).unwrap();
        let mut connection = Connection::open(self.orchestrators[0].address()).unwrap();
        let path = format!("/v1/orders/{order}");
        until("an order ends", || connection.get(&path)["status"] != "PENDING");
    }

    fn everything_adds_up(self) {
        finish(self.orchestrators[0].address(), &self.log, PRODUCTS);
        let source = self.installation.source();
        let expected = accounts::expected(&Books::read(&source, None));
        until("every event is heard", || {
            let heard = self.heard.heard();
            expected.iter().all(|event| heard.contains_key(event))
        });
        let mails = accounts::in_folder(&self.installation.mail());
        let heard = Some(self.heard.heard());
        let outside = Outside { log: &self.log, first: 0, mails, heard };
        accounts::everything_adds_up(&source, &outside);
    }
}

/// Which of these nodes is killed next: first the one that leads the busiest queue, and then those
/// that have the most connections.
fn victim(cluster: &Cluster, alive: &[String]) -> String {
    if alive.len() == cluster.names().len() {
        return leader(cluster);
    }
    let connected = cluster.connected().unwrap();
    let count = |name: &String| connected.iter().filter(|node| *node == name).count();
    let victim = alive.iter().max_by_key(|name| count(name)).unwrap();
    assert!(count(victim) > 0, "no connection is on {alive:?}, but on {connected:?}");
    victim.clone()
}

/// The node that leads the busiest queue.
fn leader(cluster: &Cluster) -> String {
    let commands = |queue: &Replicated| queue.name == "inventory.commands";
    cluster.queues().unwrap().into_iter().find(commands).unwrap().leader
}

/// Waits until every queue has a replica on every node, and each of them runs.
fn until_whole(cluster: &Cluster) {
    let whole = |queue: &Replicated| queue.members.len() == 3 && queue.online.len() == 3;
    until("every queue has three replicas", || {
        cluster.queues().is_some_and(|queues| queues.iter().all(whole))
    });
}
