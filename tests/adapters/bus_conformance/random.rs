//! Many publishers, and many consumers of whom none can be relied on.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use futures_util::FutureExt;
use skald::ports::bus::{
    Bus, DeadLetters, Deliveries, Delivery, Exchange, Lifetime, Outgoing, QueueSpec, Receipt,
    Settlement,
};
use tokio::sync::{mpsc, watch};

use super::Backend;
use super::stage::{Stage, in_time, message};

const PUBLISHERS: usize = 3;
const CONSUMERS: usize = 4;
const PREFETCH: usize = 16;

/// How many receipts a publisher leaves open.
const OPEN: usize = 64;

/// How long a publisher waits before it sends again what a full queue rejected.
const PAUSE: Duration = Duration::from_millis(1);

/// Publishes from several threads to a queue that is too short for all, which several consumers
/// work off: they acknowledge, drop, reject, sit on deliveries and leave. Then counts.
pub fn every_message_ends_acknowledged_or_dead(backend: &dyn Backend) {
    let each = backend.endurance() / PUBLISHERS;
    let mut stage = Stage::of(backend);
    stage.bus = backend.remembering_bus();
    let key = stage.name("key");
    let work = QueueSpec {
        max_length: 100,
        delivery_limit: 2,
        dead_letters: DeadLetters::Kept,
        lifetime: Lifetime::Lasting,
        bindings: vec![(Exchange::Commands, key.clone())],
        ..stage.queue("work")
    };
    let grave = QueueSpec {
        max_length: 1_000_000,
        bindings: vec![(Exchange::Dead, key.clone())],
        ..stage.queue("grave")
    };
    let seed = u64::from_str_radix(&stage.name("")[17..], 16).unwrap();
    println!("seed {seed}");
    let account = Account::of(each * PUBLISHERS);
    run(async {
        stage.declare(&work).await;
        stage.declare(&grave).await;
    });
    thread::scope(|scope| {
        for n in 0..PUBLISHERS {
            let (bus, key) = (&*stage.bus, key.as_str());
            let ids = n * each..(n + 1) * each;
            let account = &account;
            scope.spawn(move || run(publish_all(bus, key, ids, account)));
        }
        for n in 0..CONSUMERS as u64 {
            let (stage, work, account) = (&stage, &work, &account);
            scope.spawn(move || run(work_badly(stage, work, account, Dice(seed ^ n))));
        }
        scope.spawn(|| run(bury(&stage, &grave, &account)));
    });
    run(async {
        stage.expect_depth(&work, 0, 0).await;
        stage.expect_depth(&grave, 0, 0).await;
    });
    for end in ["acknowledged", "rejected", "delivery_limit"] {
        assert!(account.ended.lock().unwrap().values().any(|how| how == end), "none was {end}");
    }
}

/// How each message ended.
struct Account {
    expected: usize,
    ended: Mutex<BTreeMap<String, String>>,
    /// What happened to each, for whoever has to find out why.
    story: Mutex<BTreeMap<String, Vec<String>>>,
    complete: watch::Sender<bool>,
}

impl Account {
    fn of(expected: usize) -> Self {
        let complete = watch::channel(false).0;
        Self { expected, ended: Mutex::default(), story: Mutex::default(), complete }
    }

    /// Takes note of what happens to a message.
    fn note(&self, id: &str, what: impl Into<String>) {
        self.story.lock().unwrap().entry(id.to_owned()).or_default().push(what.into());
    }

    /// To be told before the delivery is settled.
    fn ends(&self, delivery: &Delivery, how: &str) {
        let id = &delivery.message.id;
        self.note(id, how);
        let mut ended = self.ended.lock().unwrap();
        let before = ended.insert(id.clone(), how.to_owned());
        assert_eq!(before, None, "{id} ended twice: {}", self.story.lock().unwrap()[id].join(", "));
        self.complete.send_replace(ended.len() == self.expected);
    }

    /// Waits for deliveries until every message has ended; 0 then.
    async fn next(&self, deliveries: &mut Deliveries, held: &mut Vec<Delivery>) -> usize {
        let mut complete = self.complete.subscribe();
        let waiting = async {
            tokio::select! {
                received = deliveries.recv_many(held, 2 * PREFETCH) => received,
                _ = complete.wait_for(|complete| *complete) => 0,
            }
        };
        in_time(waiting).await
    }
}

async fn publish_all(bus: &dyn Bus, key: &str, ids: Range<usize>, account: &Account) {
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    let mut to_send: Vec<usize> = ids.collect();
    let mut open = BTreeMap::new();
    let mut tag = 0;
    while !(to_send.is_empty() && open.is_empty()) {
        // Nobody makes room any more.
        assert!(!account.ended.is_poisoned(), "a consumer failed");
        while open.len() < OPEN
            && let Some(id) = to_send.pop()
        {
            tag += 1;
            open.insert(tag, id);
            let outgoing = Outgoing {
                exchange: Exchange::Commands,
                routing_key: key.to_owned(),
                message: message(&id.to_string()),
            };
            bus.publish(outgoing, Receipt::new(outlet.clone(), tag));
        }
        let (tag, settlement) = in_time(settlements.recv()).await.unwrap();
        let id = open.remove(&tag).expect("a receipt was settled twice");
        account.note(&id.to_string(), format!("published: {settlement:?}"));
        if settlement == Settlement::Rejected {
            to_send.push(id);
            tokio::time::sleep(PAUSE).await;
        } else {
            assert_eq!(settlement, Settlement::Confirmed);
        }
    }
    drop(outlet);
    assert_eq!(settlements.recv().await, None, "a receipt was settled twice");
}

/// Consumes until every message has ended, and leaves now and then in between.
async fn work_badly(stage: &Stage, work: &QueueSpec, account: &Account, mut dice: Dice) {
    while !*account.complete.borrow() {
        let mut deliveries = stage.consume(work, PREFETCH).await;
        let name = dice.throw(usize::MAX);
        let mut held = Vec::new();
        loop {
            let received = match held.is_empty() {
                true => account.next(&mut deliveries, &mut held).await,
                false => deliveries.recv_many(&mut held, PREFETCH).now_or_never().unwrap_or(0),
            };
            assert!(held.len() <= PREFETCH, "{} deliveries are out", held.len());
            if held.is_empty() || dice.shows_one_of(50) {
                break;
            }
            // What was not received now is kept for a while, unless that blocks the queue.
            let settled = if received == 0 { held.len() } else { dice.throw(held.len() + 1) };
            for delivery in held.drain(..settled) {
                let id = delivery.message.id.clone();
                account.note(&id, format!("delivery {} to {name}", delivery.redeliveries + 1));
                match dice.throw(100) {
                    0..70 => {
                        account.ends(&delivery, "acknowledged");
                        delivery.ack();
                    }
                    70..95 => {
                        account.note(&id, "dropped");
                        drop(delivery);
                    }
                    _ => {
                        account.note(&id, "rejected by its consumer");
                        delivery.reject("bad luck");
                    }
                }
            }
        }
    }
}

async fn bury(stage: &Stage, grave: &QueueSpec, account: &Account) {
    let mut deliveries = stage.consume(grave, PREFETCH).await;
    let mut letters = Vec::new();
    while account.next(&mut deliveries, &mut letters).await > 0 {
        for letter in letters.drain(..) {
            let death = letter.message.death.clone().unwrap();
            let (how, _) = death.reason.split_once(':').unwrap_or((&death.reason, ""));
            account.ends(&letter, how);
            letter.ack();
        }
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// A stream of numbers that a seed repeats (SplitMix64).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % sides as u64) as usize
    }

    fn shows_one_of(&mut self, sides: usize) -> bool {
        self.throw(sides) == 0
    }
}
