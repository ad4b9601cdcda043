//! A process that is killed while it writes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use skald::orders::OrderStatus;
use skald::ports::StoreError;
use skald::ports::inventory::InventoryChange;
use skald::ports::notification::{Notification, NotificationChange};
use skald::saga::id::SagaId;
use skald::saga::state::SagaStatus;
use skald::store::Stores;

use super::open;
use crate::store_conformance::sample;
use crate::store_conformance::stage::Owner;
use crate::store_conformance::stocking::{done, key};

/// How often the process is killed.
const ROUNDS: u64 = 5;

/// After how many acknowledged orders, one more each round so that it dies at other places.
const BEFORE_THE_KILL: u64 = 40;

/// Tells the test binary to be the victim, and in which folder.
const VICTIM: &str = "SKALD_TEST_STORE_VICTIM";

const NAME: &str = "store_sqlite::crash::what_was_acknowledged_is_there_after_a_kill";

#[test]
fn what_was_acknowledged_is_there_after_a_kill() {
    if let Ok(folder) = std::env::var(VICTIM) {
        return be_the_victim(Path::new(&folder));
    }
    let root = tempfile::tempdir().unwrap();
    open(root.path()).inventory.set_on_hand(&"pen".into(), 1_000_000).unwrap();
    for round in 1..=ROUNDS {
        let acknowledged = kill_after(root.path(), BEFORE_THE_KILL + round);
        let stored = check(&open(root.path()));
        assert!(stored >= acknowledged, "{acknowledged} acknowledged, {stored} stored");
    }
}

/// Starts the victim and kills it once it has acknowledged so many orders more; tells the last.
fn kill_after(folder: &Path, orders: u64) -> u64 {
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(VICTIM, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(victim.stdout.take().unwrap());
    let acknowledged = output
        .lines()
        .filter_map(|line| line.unwrap().strip_prefix("acknowledged ")?.parse().ok())
        .take(orders as usize)
        .last();
    victim.kill().unwrap();
    victim.wait().unwrap();
    acknowledged.unwrap()
}

/// Takes order after order through all three stores, and tells of each that was.
fn be_the_victim(folder: &Path) {
    let stores = open(folder);
    let first = check(&stores) + 1;
    let epoch = stores.ledger.claim(0).unwrap().epoch;
    let owner = Owner { ledger: stores.ledger.clone(), shard: 0, epoch, marks: Default::default() };
    for n in first.. {
        let placed = owner.place(n);
        reserve(&stores, n).unwrap();
        let reserved = owner.go_on(&placed, sample::succeeded);
        notify(&stores, n).unwrap();
        owner.go_on(&reserved, sample::succeeded);
        println!("\nacknowledged {n}");
    }
}

fn reserve(stores: &Stores, n: u64) -> Result<(), StoreError> {
    stores.inventory.transact(&[key(n)].into(), &["pen".into()].into(), &mut |view| match view
        .records[&key(n)]
        .done
    {
        Some(_) => InventoryChange::default(),
        None => InventoryChange {
            records: [(key(n), done(1))].into(),
            reserved: [("pen".into(), 1)].into(),
            held: [(key(n), [("pen".into(), 1)].into())].into(),
            ..InventoryChange::default()
        },
    })
}

fn notify(stores: &Stores, n: u64) -> Result<(), StoreError> {
    stores.notification.transact(&[key(n)].into(), &mut |_| NotificationChange {
        records: [(key(n), done(1))].into(),
        notifications: vec![Notification {
            key: n.to_string(),
            order_id: sample::order_id(n).to_string(),
            template: "ORDER_CONFIRMED".into(),
            recipient: None,
            outcome: "NO_ADDRESS".into(),
            at: sample::second(n),
        }],
    })
}

/// Checks that what is stored is whole, and finishes the order that the kill may have interrupted.
/// Tells how many orders there are.
fn check(stores: &Stores) -> u64 {
    let epoch = stores.ledger.claim(0).unwrap().epoch;
    let owner = Owner { ledger: stores.ledger.clone(), shard: 0, epoch, marks: Default::default() };
    let unfinished = stores.ledger.unfinished(0, None, 10).unwrap();
    assert!(unfinished.len() <= 1, "{unfinished:?}");
    for mut saga in unfinished {
        let n = number(saga.id);
        reserve(stores, n).unwrap();
        notify(stores, n).unwrap();
        while saga.state.status() == SagaStatus::Running {
            saga = owner.go_on(&saga, sample::succeeded);
        }
    }
    let newest = stores.queries.orders(&Default::default(), None, 1).unwrap();
    let Some(newest) = newest.first() else { return 0 };
    let total = number(newest.saga);
    let counts = stores.queries.counts().unwrap();
    assert!(counts.sagas.contains(&(SagaStatus::Completed, total)), "{counts:?}");
    assert!(counts.orders.contains(&(OrderStatus::Confirmed, total)), "{counts:?}");
    let last_seq = stores.ledger.claim(0).unwrap().last_seq;
    assert_eq!(last_seq, 7 * total);
    assert_eq!(stores.ledger.history_after(0, last_seq - 7, 10).unwrap().len(), 7);
    let pens = stores.inventory.product(&"pen".into()).unwrap().unwrap();
    assert_eq!(pens.reserved, total as i64);
    assert_eq!(stores.notification.counts().unwrap(), [("NO_ADDRESS".to_owned(), total)]);
    total
}

/// Which sample saga this is.
fn number(id: SagaId) -> u64 {
    (1..).find(|n| sample::saga_id(*n) == id).unwrap()
}
