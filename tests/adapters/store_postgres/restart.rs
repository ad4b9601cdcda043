//! A server that goes away and comes back.

use std::time::{Duration, Instant};

use skald::ports::StoreError;

use super::{open, owner_of};
use crate::postgres_server::{PrivateServer, TestDatabase};
use crate::store_conformance::sample;

#[test]
fn a_server_that_crashes_is_unavailable_and_then_goes_on_where_it_was() {
    let mut server = PrivateServer::start();
    let database = TestDatabase::on(&server.url("postgres"));
    let stores = open(&database.url());
    let owner = owner_of(&stores.ledger, 0);
    let saga = owner.place(1);
    server.stop();

    let began = Instant::now();
    let outcome = owner.commit(vec![sample::succeeded(&saga)]);
    assert!(matches!(outcome, Err(StoreError::Unavailable { .. })), "{outcome:?}");
    let told = stores.queries.ping().unwrap_err().to_string();
    assert!(told.starts_with("the orchestrator store is not available: "), "{told}");
    assert!(!told.contains(crate::postgres_server::PASSWORD), "{told}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());

    server.go_on();
    let end = Instant::now() + Duration::from_secs(30);
    while let Err(error) = owner.commit(vec![sample::succeeded(&saga)]) {
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
        assert!(Instant::now() < end, "{error}");
    }
    assert_eq!(stores.ledger.claim(0).unwrap().last_seq, 5);
    stores.queries.ping().unwrap();
    stores.inventory.ping().unwrap();
    drop(database);
}

#[test]
fn connections_that_the_server_ended_are_replaced_without_an_error() {
    let database = TestDatabase::new();
    let stores = open(&database.url());
    let owner = owner_of(&stores.ledger, 0);
    owner.place(1);
    stores.queries.ping().unwrap();
    database.lines(
        "SELECT pg_terminate_backend(pid)::text AS line FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert_eq!(owner.write(sample::placed(2)), 3);
    stores.queries.ping().unwrap();
    stores.inventory.set_on_hand(&"pen".into(), 1).unwrap();
}
