//! Another program that holds a file's lock.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use skald::ports::StoreError;

use super::{connect, open};
use crate::store_conformance::sample;
use crate::store_conformance::stage::Owner;

#[test]
fn a_lock_that_another_program_keeps_makes_writing_unavailable_for_a_bounded_time() {
    let root = tempfile::tempdir().unwrap();
    let stores = open(root.path());
    let epoch = stores.ledger.claim(0).unwrap().epoch;
    let owner =
        || Owner { ledger: stores.ledger.clone(), shard: 0, epoch, marks: Default::default() };
    let mut other = connect(&root.path().join("orchestrator.db"));
    other.batch_execute("BEGIN IMMEDIATE").unwrap();

    // One waits for the lock, the other one for its turn, which it gives up sooner.
    let waited = std::thread::scope(|scope| {
        let waits = [1, 2].map(|n| {
            let owner = owner();
            scope.spawn(move || {
                let began = Instant::now();
                let outcome = owner.commit(vec![sample::placed(n)]);
                assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
                began.elapsed()
            })
        });
        assert_eq!(stores.queries.saga(sample::saga_id(1)).unwrap(), None);
        waits.map(|wait| wait.join().unwrap())
    });
    let [shorter, longer] = [waited.iter().min().unwrap(), waited.iter().max().unwrap()];
    assert!(*shorter < Duration::from_millis(4_500), "{waited:?}");
    assert!(*longer < Duration::from_secs(9), "{waited:?}");

    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(owner().write(sample::placed(1)), 1);
}
