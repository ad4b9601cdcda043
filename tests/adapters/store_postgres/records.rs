//! Rows that no port reads back, and rows that can't be read.

use skald::ports::StoreError;
use skald::ports::door::{DeadLetter, NewInput, Request};
use skald::ports::queries::SagaFilter;
use skald::saga::event::EVENT_FORMAT;
use skald::saga::id::Timestamp;
use skald::saga::state::{Deadline, STATE_FORMAT};

use super::{open, owner_of};
use crate::postgres_server::TestDatabase;
use crate::store_conformance::sample::{self, cancellation};

#[test]
fn each_wish_of_somebody_is_one_line_in_the_audit_log() {
    let database = TestDatabase::new();
    let stores = open(&database.url());
    let saga = owner_of(&stores.ledger, 0).place(1);
    let cancel = cancellation(1, saga.id, "a");
    stores.door.admit(&cancel).unwrap();
    stores.door.admit(&NewInput { id: sample::input_id(9), ..cancel }).unwrap();
    let retry = Request::Retry { by: "eve".into(), note: "the stock was recounted".into() };
    stores.door.admit(&NewInput { request: retry, ..cancellation(3, saga.id, "b") }).unwrap();
    let audited = database.lines(
        "SELECT concat_ws(' ', who, action, note, extract(epoch FROM at)::bigint - 1767225600,
             saga, input) AS line
         FROM skald_orchestrator.audit_log ORDER BY id",
    );
    let of = |n| format!("{} {}", saga.id, sample::input_id(n));
    assert_eq!(
        audited,
        [
            format!("ada cancel CANCELLED_BY_CUSTOMER 1 {}", of(1)),
            format!("eve retry the stock was recounted 3 {}", of(3)),
        ]
    );
}

#[test]
fn a_dead_letter_is_kept_even_if_its_texts_can_not_be() {
    let database = TestDatabase::new();
    let stores = open(&database.url());
    let letter = DeadLetter {
        id: sample::input_id(1),
        message_id: "m\0".into(),
        queue: "q".into(),
        routing_key: "\0k".into(),
        reason: "rejected: no".into(),
        headers: r#"{"x": "\u0000"}"#.into(),
        body: vec![0, 255, 16],
        saga: None,
        at: sample::second(0),
        notice: None,
    };
    let again = DeadLetter { id: sample::input_id(2), reason: "other".into(), ..letter.clone() };
    stores.door.bury(&[letter, again]).unwrap();
    let kept = database.lines(
        "SELECT concat_ws('|', message_id, queue, routing_key, reason, headers, body) AS line
         FROM skald_orchestrator.dead_letters",
    );
    assert_eq!(kept, ["m\u{fffd}|q|\u{fffd}k|rejected: no|{\"x\": \"\\u0000\"}|\\x00ff10"]);
}

#[test]
fn a_text_that_can_not_be_stored_refuses_its_entry() {
    let database = TestDatabase::new();
    let owner = owner_of(&open(&database.url()).ledger, 0);
    let long: String = (0..4_000).map(|_| fastrand::alphanumeric()).collect();
    for key in ["\0", &long] {
        let outcome = owner.commit(vec![sample::born(1, "trip", key)]);
        assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");
    }
    assert_eq!(owner.write(sample::placed(1)), 1);
}

#[test]
fn the_last_moment_is_read_back_as_it_was() {
    let database = TestDatabase::new();
    let stores = open(&database.url());
    let owner = owner_of(&stores.ledger, 0);
    let saga = owner.place(1);
    let never = Timestamp(i64::MAX);
    owner.go_on(&saga, |saga| {
        sample::changed(saga, |saga| {
            saga.state.steps.clear();
            saga.state.deadline = Deadline::Ahead(never);
        })
    });
    let (_, summary) = stores.queries.saga(saga.id).unwrap().unwrap();
    assert_eq!(summary.due_at, Some(never));
}

#[track_caller]
fn assert_corrupt<T: std::fmt::Debug>(read: Result<T, StoreError>, place: &str) {
    match read {
        Err(StoreError::Corrupt { place: found, .. }) if found.contains(place) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_can_not_be_read_is_reported_with_its_place() {
    let id = sample::saga_id(1);
    let (state, event) = (STATE_FORMAT + 1, EVENT_FORMAT + 1);
    for damage in [
        format!("UPDATE skald_orchestrator.sagas SET format = {state}"),
        format!("UPDATE skald_orchestrator.history SET format = {event} WHERE sequence = 1"),
        "UPDATE skald_orchestrator.sagas SET state = '{}'".to_owned(),
        "UPDATE skald_orchestrator.history SET event = 'null'".to_owned(),
    ] {
        let database = TestDatabase::new();
        let stores = open(&database.url());
        owner_of(&stores.ledger, 0).place(1);
        database.execute(&damage);
        assert_corrupt(stores.ledger.load(0, &[id]), &id.to_string());
        assert_corrupt(stores.ledger.unfinished(0, None, 10), &id.to_string());
        assert_corrupt(stores.ledger.history_after(0, 0, 10), &id.to_string());
        assert_eq!(stores.queries.sagas(&SagaFilter::default(), None, 10).unwrap().len(), 1);
    }
}

#[test]
fn a_node_whose_clock_is_ahead_forgets_no_key_that_others_still_promise() {
    let database = TestDatabase::new();
    let stores = open(&database.url());
    owner_of(&stores.ledger, 0).write(sample::claimed(1, "key"));
    let taken = |at: &str| {
        database
            .execute(&format!("UPDATE skald_orchestrator.idempotency_keys SET taken_at = {at}"));
    };
    let next_year = sample::second(365 * 24 * 3_600);
    taken("now() - interval '23 hours'");
    assert_eq!(stores.ledger.forget_claims(next_year, 10), Ok(0));
    taken("now() - interval '25 hours'");
    assert_eq!(stores.ledger.forget_claims(next_year, 10), Ok(1));
}
