//! Rows that no port reads back.

use skald::ports::door::{Admitted, DeadLetter, NewInput, Request};
use skald::saga::event::Setback;

use super::{lines, open};
use crate::store_conformance::sample::{self, cancellation};
use crate::store_conformance::stage::Owner;

#[test]
fn each_wish_of_somebody_is_one_line_in_the_audit_log() {
    let root = tempfile::tempdir().unwrap();
    let stores = open(root.path());
    let epoch = stores.ledger.claim(0).unwrap().epoch;
    let owner = Owner { ledger: stores.ledger.clone(), shard: 0, epoch, marks: Default::default() };
    let saga = owner.place(1);

    let cancel = cancellation(1, saga.id, "a");
    stores.door.admit(&cancel).unwrap();
    stores.door.admit(&NewInput { id: sample::input_id(9), ..cancel.clone() }).unwrap();
    let retry = Request::Retry { by: "eve".into(), note: "the stock was recounted".into() };
    let taken = NewInput { request: retry.clone(), ..cancellation(2, saga.id, "a") };
    assert_eq!(stores.door.admit(&taken), Ok(Admitted::KeyTaken));
    stores.door.admit(&NewInput { request: retry, ..cancellation(3, saga.id, "b") }).unwrap();
    let lost = Request::CommandLost { to: 2, setback: Setback::Unroutable };
    stores.door.admit(&NewInput { request: lost, ..cancellation(4, saga.id, "c") }).unwrap();
    stores.door.admit(&cancellation(5, sample::saga_id(7), "d")).unwrap();

    let audited = lines(
        &root.path().join("orchestrator.db"),
        "SELECT who || ' ' || action || ': ' || note || ' @' || ((at - 1767225600000000) / 1000000)
             || ' ' || lower(hex(saga)) || ' ' || lower(hex(input)) AS line
         FROM audit_log ORDER BY id",
    );
    let of = |n| format!("{} {}", saga.id.0.simple(), sample::input_id(n).simple());
    assert_eq!(
        audited,
        [
            format!("ada cancel: CANCELLED_BY_CUSTOMER @1 {}", of(1)),
            format!("eve retry: the stock was recounted @3 {}", of(3)),
        ]
    );
}

#[test]
fn a_dead_letter_is_kept_as_it_came() {
    let root = tempfile::tempdir().unwrap();
    let stores = open(root.path());
    let letter = DeadLetter {
        id: sample::input_id(1),
        message_id: "m".into(),
        queue: "q".into(),
        routing_key: "k".into(),
        reason: "rejected: no".into(),
        headers: r#"{"x":1}"#.into(),
        body: vec![0, 255, 16],
        saga: None,
        at: sample::second(0),
        notice: None,
    };
    let again = DeadLetter { id: sample::input_id(2), reason: "other".into(), ..letter.clone() };
    stores.door.bury(&[letter.clone(), again]).unwrap();
    let kept = lines(
        &root.path().join("orchestrator.db"),
        "SELECT lower(hex(id)) || concat_ws('|', '', message_id, queue, routing_key, reason,
             headers, hex(body), at) AS line FROM dead_letters",
    );
    let id = letter.id.simple();
    let at = letter.at.0;
    assert_eq!(kept, [format!(r#"{id}|m|q|k|rejected: no|{{"x":1}}|00FF10|{at}"#)]);
}
