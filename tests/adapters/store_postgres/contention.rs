//! Two processes on one database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Barrier;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use skald::orders::ProductId;
use skald::ports::inventory::{InventoryChange, InventoryStore};
use skald::ports::leases::Node;
use skald::ports::ledger::EntryOutcome;
use skald::ports::work::RecordKey;
use skald::saga::id::Timestamp;
use uuid::Uuid;

use super::{open, owner_of};
use crate::postgres_server::{TestDatabase, connect};
use crate::proxy::{Fault, Proxy};
use crate::store_conformance::sample;
use crate::store_conformance::stocking::{done, key};

const THREADS: u64 = 8;
const PRODUCTS: [&str; 4] = ["a", "b", "c", "d"];

/// Connections over which a process writes.
const OWNERS: usize = 4;

/// Who waits for a lock.
const WAITING: &str = "SELECT pid::text AS line FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Reserves one of each of two products for some records, or releases what they hold.
fn work(inventory: &dyn InventoryStore, random: &mut fastrand::Rng) {
    let keys: BTreeSet<RecordKey> = (0..random.u64(1..6)).map(|_| key(random.u64(1..40))).collect();
    let wanted: Vec<ProductId> =
        random.choose_multiple(PRODUCTS, 2).into_iter().map(ProductId::from).collect();
    let release = random.u8(0..4) == 0;
    let settled = inventory.transact(&keys, &wanted.iter().cloned().collect(), &mut |view| {
        let mut change = InventoryChange::default();
        let mut add = |id: &ProductId, n| *change.reserved.entry(id.clone()).or_default() += n;
        for key in &keys {
            match (view.holdings.get(key), release) {
                (Some(held), true) => {
                    held.iter().for_each(|(id, quantity)| add(id, -quantity));
                    change.released.insert(key.clone());
                }
                (None, false) => {
                    let holding: BTreeMap<_, _> = wanted.iter().map(|id| (id.clone(), 1)).collect();
                    holding.keys().for_each(|id| add(id, 1));
                    change.held.insert(key.clone(), holding);
                }
                _ => continue,
            }
            change.records.insert(key.clone(), done(1));
        }
        change
    });
    assert_eq!(settled, Ok(()));
}

#[test]
fn stock_adds_up_and_nobody_waits_in_a_circle() {
    const EACH: u64 = 60;
    let database = TestDatabase::new();
    let processes = [open(&database.url()), open(&database.url())];
    for id in PRODUCTS {
        processes[0].inventory.set_on_hand(&id.into(), 1_000_000).unwrap();
    }
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let inventory = &processes[(thread % 2) as usize].inventory;
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                for _ in 0..EACH {
                    work(&**inventory, &mut random);
                }
            });
        }
    });
    let wrong = database.lines(
        "SELECT id AS line FROM skald_inventory.products AS p WHERE reserved IS DISTINCT FROM (
             SELECT coalesce(sum(quantity), 0) FROM skald_inventory.reservations
             WHERE product = p.id)",
    );
    assert_eq!(wrong, [] as [&str; 0]);
    let held = "SELECT sum(reserved)::text AS line FROM skald_inventory.products";
    assert_ne!(database.lines(held), ["0"]);
    drop(processes);
    assert_eq!(circles(&database), 0);
}

/// How often transactions waited for each other in a circle, once all who could have are gone.
fn circles(database: &TestDatabase) -> u32 {
    let others = "SELECT pid::text AS line FROM pg_stat_activity
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let end = Instant::now() + Duration::from_secs(20);
    while !database.lines(others).is_empty() {
        assert!(Instant::now() < end, "connections stay open");
    }
    let circles = "SELECT deadlocks::text AS line FROM pg_stat_database
                   WHERE datname = current_database()";
    database.lines(circles)[0].parse().unwrap()
}

#[test]
fn records_that_many_make_at_once_are_made_in_one_order() {
    const ROUNDS: u64 = 20;
    let database = TestDatabase::new();
    let processes = [open(&database.url()), open(&database.url())];
    let together = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (inventory, together) = (&processes[(thread % 2) as usize].inventory, &together);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let keys = (1..=30).map(|n| key(round * 100 + n)).collect();
                    together.wait();
                    inventory.transact(&keys, &[].into(), &mut |_| Default::default()).unwrap();
                }
            });
        }
    });
    drop(processes);
    assert_eq!(circles(&database), 0);
}

#[test]
fn a_lease_is_renewed_though_all_else_waits_for_the_database() {
    let database = TestDatabase::new();
    let process = open(&database.url());
    let mut stranger = connect(&database.url());
    let lock = "BEGIN; SELECT 1 FROM skald_orchestrator.shards FOR UPDATE";
    stranger.batch_execute(lock).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            // Comes to nothing where the lock is held for too long.
            scope.spawn(|| drop(process.ledger.claim(0)));
        }
        let end = Instant::now() + Duration::from_secs(20);
        while database.lines(WAITING).len() < OWNERS {
            assert!(Instant::now() < end, "they do not wait");
        }
        let node = Node {
            id: Uuid::nil(),
            name: String::new(),
            url: String::new(),
            started_at: Timestamp(0),
        };
        process.leases.renew(&node, Duration::from_secs(15)).unwrap();
        stranger.batch_execute("ROLLBACK").unwrap();
    });
}

#[test]
fn a_transaction_is_told_which_products_it_had_to_wait_for() {
    let database = TestDatabase::new();
    let processes = [open(&database.url()), open(&database.url())];
    for id in PRODUCTS {
        processes[0].inventory.set_on_hand(&id.into(), 1_000).unwrap();
    }
    let reserve_one = |inventory: &dyn InventoryStore, n, wanted: &[&str], during: &dyn Fn()| {
        let mut contended = BTreeSet::new();
        let wanted: BTreeSet<ProductId> = wanted.iter().map(|id| ProductId::from(*id)).collect();
        let settled = inventory.transact(&[key(n)].into(), &wanted, &mut |view| {
            contended = view.contended.clone();
            during();
            InventoryChange {
                records: [(key(n), done(1))].into(),
                held: [(key(n), wanted.iter().map(|id| (id.clone(), 1)).collect())].into(),
                reserved: wanted.iter().map(|id| (id.clone(), 1)).collect(),
                ..InventoryChange::default()
            }
        });
        settled.unwrap();
        contended
    };
    for round in 0..3 {
        let [one, other] = &processes;
        std::thread::scope(|scope| {
            let mut waits = None;
            let began = std::cell::RefCell::new(&mut waits);
            let first = reserve_one(&*one.inventory, 100 + round, &["b", "c"], &|| {
                **began.borrow_mut() = Some(scope.spawn(|| {
                    reserve_one(&*other.inventory, 200 + round, &["a", "b", "c", "d"], &|| {})
                }));
                let end = Instant::now() + Duration::from_secs(20);
                while database.lines(WAITING).is_empty() {
                    assert!(Instant::now() < end, "nobody waits");
                }
            });
            assert_eq!(first, BTreeSet::new(), "nobody was in its way");
            let second = waits.unwrap().join().unwrap();
            assert_eq!(second, ["b".into(), "c".into()].into());
        });
        // What others changed before is nothing to wait for.
        let later = reserve_one(&*one.inventory, 300 + round, &PRODUCTS, &|| {});
        assert_eq!(later, BTreeSet::new());
    }
}

#[test]
fn what_a_transaction_saw_of_a_product_still_holds_when_it_writes() {
    const STOCK: i64 = 50;
    let database = TestDatabase::new();
    let processes = [open(&database.url()), open(&database.url())];
    let pen = ProductId::from("pen");
    processes[0].inventory.set_on_hand(&pen, STOCK).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (inventory, pen) = (&processes[(thread % 2) as usize].inventory, &pen);
            scope.spawn(move || {
                for n in 0..STOCK as u64 {
                    let key = key(thread * 100 + n);
                    let took = inventory.transact(
                        &[key.clone()].into(),
                        &[pen.clone()].into(),
                        &mut |view| match &view.products[pen] {
                            product if product.reserved == product.on_hand => Default::default(),
                            _ => InventoryChange {
                                reserved: [(pen.clone(), 1)].into(),
                                held: [(key.clone(), [(pen.clone(), 1)].into())].into(),
                                ..InventoryChange::default()
                            },
                        },
                    );
                    assert_eq!(took, Ok(()));
                }
            });
        }
    });
    assert_eq!(processes[0].inventory.product(&pen).unwrap().unwrap().reserved, STOCK);
}

#[test]
fn of_two_nodes_that_take_the_same_keys_each_key_goes_to_one() {
    const KEYS: u64 = 40;
    let database = TestDatabase::new();
    let processes = [open(&database.url()), open(&database.url())];
    let outcomes: Vec<Vec<EntryOutcome>> = std::thread::scope(|scope| {
        let threads: Vec<_> = processes
            .iter()
            .enumerate()
            .map(|(node, stores)| {
                scope.spawn(move || {
                    let owner = owner_of(&stores.ledger, node as u16);
                    let mut outcomes = Vec::new();
                    for batch in 0..KEYS / 10 {
                        let mut keys: Vec<u64> = (1..=10).map(|n| batch * 10 + n).collect();
                        fastrand::Rng::with_seed(node as u64).shuffle(&mut keys);
                        let entries = keys
                            .iter()
                            .map(|n| sample::claimed(node as u64 * 1000 + n, &format!("key {n}")));
                        let settled = owner.commit(entries.collect()).unwrap();
                        outcomes.extend(keys.into_iter().zip(settled));
                    }
                    outcomes.sort_by_key(|(n, _)| *n);
                    outcomes.into_iter().map(|(_, outcome)| outcome).collect()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for (n, pair) in (1..).zip(outcomes[0].iter().zip(&outcomes[1])) {
        let replay = |node: u64| EntryOutcome::Replayed(sample::answer(node * 1000 + n));
        let fits = match pair {
            (EntryOutcome::Written(_), other) => *other == replay(0),
            (other, EntryOutcome::Written(_)) => *other == replay(1),
            _ => false,
        };
        assert!(fits, "{n}: {pair:?}");
    }
}

/// As when a process is suspended while it sends: no time-out of the server's ends its session.
#[test]
fn a_client_that_falls_silent_in_a_transaction_holds_others_up_for_seconds_only() {
    let database = TestDatabase::new();
    let (proxy, url) = Proxy::before(&database.url());
    let (silent, other) = (open(&url), open(&database.url()));
    let owner = owner_of(&silent.ledger, 0);
    proxy.plan([Fault::Silence]);
    owner.place(1);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| owner.commit(vec![sample::placed(2)]));
        let reads = "SELECT state AS line FROM pg_stat_activity WHERE wait_event = 'ClientRead'
                     AND datname = current_database() AND xact_start IS NOT NULL";
        let end = Instant::now() + Duration::from_secs(60);
        while database.lines(reads) != ["active"] {
            assert!(Instant::now() < end && !commit.is_finished(), "nobody is silent");
        }
        let claimed = loop {
            match other.ledger.claim(0) {
                Ok(claimed) => break claimed,
                Err(error) => {
                    let error = error.to_string();
                    assert!(Instant::now() < end && error.contains("lock timeout"), "{error}");
                }
            }
        };
        assert_eq!(claimed.last_seq, 2, "what was not committed is not there");
        proxy.let_go();
        assert!(commit.join().unwrap().is_err());
    });
}
