//! Rows and files that can't be read.

use std::fs;
use std::path::Path;

use skald::ports::StoreError;
use skald::ports::queries::{OrderFilter, SagaFilter};
use skald::saga::event::EVENT_FORMAT;
use skald::saga::state::STATE_FORMAT;
use skald::store::Stores;

use super::{execute, open};
use crate::store_conformance::sample;
use crate::store_conformance::stage::Owner;

/// A store with one saga and its order.
fn with_one_saga(folder: &Path) -> Stores {
    let stores = open(folder);
    let epoch = stores.ledger.claim(0).unwrap().epoch;
    let ledger = stores.ledger.clone();
    Owner { ledger, shard: 0, epoch, marks: Default::default() }.place(1);
    stores
}

#[track_caller]
fn assert_corrupt<T: std::fmt::Debug>(read: Result<T, StoreError>, place: &str) {
    match read {
        Err(StoreError::Corrupt { place: found, .. }) if found.contains(place) => {}
        other => panic!("{other:?}"),
    }
}

fn after(damage: &str) -> (tempfile::TempDir, Stores) {
    let root = tempfile::tempdir().unwrap();
    let stores = with_one_saga(root.path());
    execute(&root.path().join("orchestrator.db"), damage);
    (root, stores)
}

#[test]
fn a_state_of_a_newer_format_is_reported_with_its_saga() {
    let (_root, stores) = after(&format!("UPDATE sagas SET format = {}", STATE_FORMAT + 1));
    let id = sample::saga_id(1);
    assert_corrupt(stores.ledger.load(0, &[id]), &id.to_string());
    assert_corrupt(stores.ledger.unfinished(0, None, 10), &id.to_string());
    assert_corrupt(stores.ledger.history_after(0, 0, 10), &id.to_string());
    assert_corrupt(stores.queries.saga(id), &id.to_string());
    assert_eq!(stores.queries.sagas(&SagaFilter::default(), None, 10).unwrap().len(), 1);
}

#[test]
fn an_event_of_a_newer_format_is_reported_with_its_place() {
    let newer = EVENT_FORMAT + 1;
    let (_root, stores) = after(&format!("UPDATE history SET format = {newer} WHERE sequence = 2"));
    let id = sample::saga_id(1);
    let place = format!("event 2 of saga {id}");
    assert_corrupt(stores.queries.history(id, 0, 10), &place);
    assert_corrupt(stores.ledger.history_after(0, 0, 10), &place);
    assert!(stores.ledger.load(0, &[id]).is_ok());
}

#[test]
fn a_birth_of_a_newer_format_is_reported_with_its_saga() {
    let newer = EVENT_FORMAT + 1;
    let (_root, stores) = after(&format!("UPDATE history SET format = {newer} WHERE sequence = 1"));
    let id = sample::saga_id(1);
    assert_corrupt(stores.ledger.load(0, &[id]), &id.to_string());
}

#[test]
fn whatever_is_wrong_with_a_row_is_an_error_and_no_panic() {
    let id = sample::saga_id(1);
    for damage in [
        "UPDATE sagas SET state = '{'",
        "UPDATE sagas SET state = '{}'",
        "UPDATE history SET event = 'null'",
        "UPDATE history SET event = '\"sagaCompleted\"' WHERE sequence = 1",
    ] {
        let (_root, stores) = after(damage);
        assert_corrupt(stores.ledger.load(0, &[id]), "saga");
    }
    for damage in [
        "UPDATE sagas SET status = 'LOST'",
        "UPDATE sagas SET version = -1",
        "UPDATE sagas SET definition_version = -1",
        "UPDATE sagas SET id = x'ff'",
    ] {
        let (_root, stores) = after(damage);
        assert_corrupt(stores.queries.sagas(&SagaFilter::default(), None, 10), "");
    }
    for damage in [
        "UPDATE orders SET status = 'LOST'",
        "UPDATE orders SET currency = 'GROATS'",
        "UPDATE order_items SET quantity = -1",
        "UPDATE order_items SET quantity = 1 << 40",
    ] {
        let (_root, stores) = after(damage);
        assert_corrupt(stores.queries.orders(&OrderFilter::default(), None, 10), "order");
    }
    for damage in ["UPDATE saga_counts SET count = -1", "UPDATE saga_counts SET status = 'LOST'"] {
        let (_root, stores) = after(damage);
        assert_corrupt(stores.queries.counts(), "");
    }
}

#[test]
fn an_input_that_can_not_be_read_is_reported() {
    let (root, stores) = after("");
    let input = sample::cancellation(1, sample::saga_id(1), "key");
    stores.door.admit(&input).unwrap();
    let file = root.path().join("orchestrator.db");
    execute(&file, "UPDATE saga_inputs SET request = '{\"explode\":{}}'");
    assert_corrupt(stores.door.pending(0, 10), &input.id.to_string());
    assert_corrupt(stores.door.admit(&input), &input.id.to_string());
    execute(&file, "UPDATE saga_inputs SET outcome = '7'");
    assert_corrupt(stores.door.outcome(input.id), &input.id.to_string());
}

#[test]
fn a_scrambled_file_is_an_error_and_no_panic() {
    let root = tempfile::tempdir().unwrap();
    drop(with_one_saga(root.path()));
    let file = root.path().join("orchestrator.db");
    let mut bytes = fs::read(&file).unwrap();
    // The first page has the tables' definitions; all others are rows and indices.
    for byte in &mut bytes[4096..] {
        *byte = !*byte;
    }
    fs::write(&file, bytes).unwrap();
    let error = skald::store::sqlite::open(root.path(), 1).err().unwrap();
    assert!(error.to_string().contains("orchestrator.db"), "{error}");
}
