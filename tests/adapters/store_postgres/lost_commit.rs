//! A connection that breaks during COMMIT: was it written or not?

use std::time::{Duration, Instant};

use skald::ports::door::Admitted;
use skald::ports::inventory::InventoryChange;
use skald::ports::ledger::{EntryOutcome, Marks};

use super::{open, owner_of};
use crate::postgres_server::TestDatabase;
use crate::proxy::{Fault, Proxy};
use crate::store_conformance::sample;
use crate::store_conformance::stage::Owner;
use crate::store_conformance::stocking::{done, key};

/// What the first shard's history holds.
fn seqs(owner: &Owner) -> Vec<(u64, u64)> {
    let rows = owner.ledger.history_after(owner.shard, 0, 10_000).unwrap();
    rows.iter().map(|row| (row.seq, row.recorded.sequence)).collect()
}

#[test]
fn a_batch_is_written_once_whether_its_commit_or_the_answer_is_lost() {
    for fault in [Fault::AnswerLost, Fault::CommitLost] {
        let database = TestDatabase::new();
        let (proxy, url) = Proxy::before(&database.url());
        let stores = open(&url);
        let owner = owner_of(&stores.ledger, 0);
        let first = owner.place(1);
        proxy.plan([fault]);
        let outcomes = owner.commit(vec![sample::succeeded(&first), sample::claimed(2, "key")]);
        assert_eq!(outcomes, Ok(vec![EntryOutcome::Written(3), EntryOutcome::Written(6)]));
        assert_eq!(proxy.left(), 0, "{fault:?}");
        owner.place(3);
        let expected = [(1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 1), (7, 2), (8, 1), (9, 2)];
        assert_eq!(seqs(&owner), expected, "{fault:?}");
        let counts = stores.queries.counts().unwrap();
        assert_eq!(counts.sagas.iter().map(|(_, count)| count).sum::<u64>(), 3, "{counts:?}");
    }
}

#[test]
fn a_commit_that_arrives_late_is_waited_for() {
    let database = TestDatabase::new();
    let (proxy, url) = Proxy::before(&database.url());
    let stores = open(&url);
    let owner = owner_of(&stores.ledger, 0);
    proxy.plan([Fault::CommitLate]);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| owner.commit(vec![sample::placed(1)]));
        let waits = "SELECT 'x' AS line FROM pg_stat_activity
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let end = Instant::now() + Duration::from_secs(20);
        while database.lines(waits).is_empty() {
            assert!(Instant::now() < end && !commit.is_finished(), "nobody waits for the old one");
        }
        proxy.let_go();
        assert_eq!(commit.join().unwrap(), Ok(vec![EntryOutcome::Written(1)]));
    });
    assert_eq!(seqs(&owner), [(1, 1), (2, 2)]);
}

#[test]
fn commits_that_are_lost_again_and_again_change_nothing() {
    const ROUNDS: u64 = 60;
    let database = TestDatabase::new();
    let (proxy, url) = Proxy::before(&database.url());
    let stores = open(&url);
    let mut owner = owner_of(&stores.ledger, 0);
    let mut saga = owner.place(1);
    let mut random = fastrand::Rng::with_seed(7);
    for n in 2..=ROUNDS {
        let faults = [Fault::None, Fault::AnswerLost, Fault::CommitLost];
        proxy.plan((0..random.usize(0..3)).map(|_| faults[random.usize(0..3)]));
        owner.marks = Marks { commands: n, events: n - 1 };
        let entries = vec![sample::placed(n), sample::changed(&saga, |_| {})];
        saga = entries[1].saga.clone();
        let first = 2 + (n - 2) * 3 + 1;
        let expected = vec![EntryOutcome::Written(first), EntryOutcome::Written(first + 2)];
        assert_eq!(owner.commit(entries), Ok(expected), "{n}");
    }
    let history = seqs(&owner);
    assert_eq!(history.len() as u64, 2 + (ROUNDS - 1) * 3);
    assert!(history.iter().map(|(seq, _)| *seq).eq(1..=history.len() as u64));
    let state = stores.ledger.claim(0).unwrap();
    assert_eq!(state.marks, Marks { commands: ROUNDS, events: ROUNDS - 1 });
    assert!(proxy.answers() > ROUNDS as u32 + 20, "{}", proxy.answers());
}

#[test]
fn an_owner_that_is_deposed_meanwhile_is_told_so() {
    let database = TestDatabase::new();
    let (proxy, url) = Proxy::before(&database.url());
    let owner = owner_of(&open(&url).ledger, 0);
    let other = open(&database.url());
    proxy.plan([Fault::CommitLate]);
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| owner.commit(vec![sample::placed(1)]));
        let waiting = |n: usize| {
            let waits = "SELECT 'x' AS line FROM pg_stat_activity
                         WHERE datname = current_database() AND wait_event_type = 'Lock'";
            let end = Instant::now() + Duration::from_secs(20);
            while database.lines(waits).len() < n {
                assert!(Instant::now() < end, "{n} do not wait");
            }
        };
        waiting(1);
        let claim = scope.spawn(|| other.ledger.claim(0).unwrap());
        waiting(2);
        proxy.let_go();
        let state = claim.join().unwrap();
        assert_eq!((state.epoch, state.last_seq), (2, 2));
        let outcome = commit.join().unwrap();
        let told = matches!(outcome, Ok(_) | Err(skald::ports::StoreError::Deposed { .. }));
        assert!(told, "{outcome:?}");
    });
    assert!(matches!(
        owner.commit(vec![]),
        Err(skald::ports::StoreError::Deposed { mine: 1, found: 2, .. })
    ));
}

#[test]
fn a_workers_transaction_takes_effect_once() {
    for fault in [Fault::AnswerLost, Fault::CommitLost] {
        let database = TestDatabase::new();
        let (proxy, url) = Proxy::before(&database.url());
        let stores = open(&url);
        stores.inventory.set_on_hand(&"pen".into(), 9).unwrap();
        proxy.plan([fault]);
        stores
            .inventory
            .transact(&[key(1)].into(), &["pen".into()].into(), &mut |view| match view.records
                [&key(1)]
                .done
            {
                Some(_) => InventoryChange::default(),
                None => InventoryChange {
                    records: [(key(1), done(1))].into(),
                    reserved: [("pen".into(), 2)].into(),
                    held: [(key(1), [("pen".into(), 2)].into())].into(),
                    ..InventoryChange::default()
                },
            })
            .unwrap();
        assert_eq!(proxy.left(), 0);
        assert_eq!(stores.inventory.product(&"pen".into()).unwrap().unwrap().reserved, 2);
    }
}

#[test]
fn an_input_is_stored_once() {
    let database = TestDatabase::new();
    let (proxy, url) = Proxy::before(&database.url());
    let stores = open(&url);
    let saga = owner_of(&stores.ledger, 0).place(1);
    let input = sample::cancellation(1, saga.id, "key");
    proxy.plan([Fault::AnswerLost]);
    assert_eq!(stores.door.admit(&input), Ok(Admitted::Stored(input.id, 0)));
    assert_eq!(stores.door.pending(0, 10).unwrap().len(), 1);
    assert_eq!(database.lines("SELECT who AS line FROM skald_orchestrator.audit_log"), ["ada"]);
}
