//! The one door: inputs and dead letters.

use std::collections::BTreeSet;

use skald::ports::door::{Admitted, DeadLetter, InputId, InputOutcome, NewInput, Request};
use skald::ports::ledger::EntryOutcome;
use skald::saga::event::Setback;
use skald::saga::id::SagaId;

use super::sample::{self, cancellation};
use super::stage::Stage;

fn waiting(stage: &Stage, shard: u16) -> Vec<InputId> {
    stage.door.pending(shard, 100).unwrap().into_iter().map(|input| input.id).collect()
}

pub fn an_input_waits_for_the_owner_of_its_sagas_shard(stage: Stage) {
    let saga = stage.owner_of(1).place(1);
    let input = NewInput { if_version: Some(2), ..cancellation(1, saga.id, "key") };
    assert_eq!(stage.door.admit(&input), Ok(Admitted::Stored(input.id, 1)));
    assert_eq!(stage.door.outcome(input.id), Ok(None));
    assert!(waiting(&stage, 0).is_empty());
    let pending = stage.door.pending(1, 10).unwrap();
    let [found] = &pending[..] else { panic!("{pending:?}") };
    assert_eq!((found.id, found.saga), (input.id, saga.id));
    assert_eq!((&found.request, found.if_version), (&input.request, Some(2)));
}

pub fn inputs_wait_in_the_order_of_their_arrival(stage: Stage) {
    let owner = stage.owner();
    let sagas = [owner.place(1), owner.place(2)];
    for n in [2, 4, 1, 3] {
        let saga = sagas[(n % 2) as usize].id;
        stage.door.admit(&cancellation(n, saga, &format!("key {n}"))).unwrap();
    }
    assert_eq!(waiting(&stage, 0), [1, 2, 3, 4].map(sample::input_id));
    assert_eq!(stage.door.pending(0, 3).unwrap().len(), 3);
}

pub fn shards_with_inputs_that_wait_are_told_from_the_others(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let other = stage.owner_of(2).place(2);
    let all = [0, 1, 2, 3];
    assert_eq!(stage.door.waiting(&all), Ok(BTreeSet::new()));
    let input = cancellation(1, saga.id, "key");
    stage.door.admit(&input).unwrap();
    stage.door.admit(&cancellation(2, other.id, "key")).unwrap();
    assert_eq!(stage.door.waiting(&all), Ok(BTreeSet::from([0, 2])));
    assert_eq!(stage.door.waiting(&[1, 2]), Ok(BTreeSet::from([2])));
    let mut entry = sample::unmoved(&saga);
    entry.inputs = vec![(input.id, InputOutcome::Ignored)];
    owner.write(entry);
    assert_eq!(stage.door.waiting(&all), Ok(BTreeSet::from([2])));
}

pub fn a_repeat_is_recognised_by_its_clients_key(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let input = cancellation(1, saga.id, "key");
    stage.door.admit(&input).unwrap();
    let repeat = NewInput { id: sample::input_id(2), at: sample::second(9), ..input.clone() };
    assert_eq!(stage.door.admit(&repeat), Ok(Admitted::Repeated(input.id, 0, None)));

    let mut entry = sample::unmoved(&saga);
    entry.inputs = vec![(input.id, InputOutcome::Ignored)];
    owner.write(entry);
    let told = Admitted::Repeated(input.id, 0, Some(InputOutcome::Ignored));
    assert_eq!(stage.door.admit(&repeat), Ok(told));
    assert!(waiting(&stage, 0).is_empty());
}

pub fn a_key_stands_for_one_request_of_one_saga(stage: Stage) {
    let owner = stage.owner();
    let (saga, other) = (owner.place(1), owner.place(2));
    let input = cancellation(1, saga.id, "key");
    stage.door.admit(&input).unwrap();

    let second = NewInput { id: sample::input_id(2), ..input.clone() };
    let retry = Request::Retry { by: "ada".into(), note: "again".into() };
    let another = NewInput { request: retry, ..second.clone() };
    assert_eq!(stage.door.admit(&another), Ok(Admitted::KeyTaken));
    let elsewhen = NewInput { if_version: Some(2), ..second.clone() };
    assert_eq!(stage.door.admit(&elsewhen), Ok(Admitted::KeyTaken));
    let elsewhere = NewInput { saga: other.id, ..second.clone() };
    assert_eq!(stage.door.admit(&elsewhere), Ok(Admitted::Stored(second.id, 0)));
    assert_eq!(waiting(&stage, 0), [input.id, second.id]);
}

pub fn nothing_can_be_wanted_of_an_unknown_saga(stage: Stage) {
    let input = cancellation(1, sample::saga_id(1), "key");
    assert_eq!(stage.door.admit(&input), Ok(Admitted::NoSuchSaga));
    stage.owner().place(1);
    assert_eq!(stage.door.admit(&input), Ok(Admitted::Stored(input.id, 0)));
}

pub fn a_settled_input_waits_no_more_and_tells_its_outcome(stage: Stage) {
    let owner = stage.owner();
    let outcomes = [
        InputOutcome::Applied { version: 5 },
        InputOutcome::Ignored,
        InputOutcome::Rejected { detail: "too late".into() },
        InputOutcome::VersionMismatch { found: 2 },
    ];
    for (n, outcome) in (1..).zip(outcomes) {
        let saga = owner.place(n);
        let input = cancellation(n, saga.id, "key");
        stage.door.admit(&input).unwrap();
        let mut entry = sample::succeeded(&saga);
        entry.inputs = vec![(input.id, outcome.clone())];
        owner.write(entry);
        assert_eq!(stage.door.outcome(input.id), Ok(Some(outcome)));
        assert!(waiting(&stage, 0).is_empty());
    }
    assert_eq!(stage.door.outcome(sample::input_id(9)), Ok(None));
}

pub fn inputs_are_settled_without_a_word_of_history(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let input = cancellation(1, saga.id, "key");
    stage.door.admit(&input).unwrap();
    let counts = stage.queries.counts().unwrap();
    let mut entry = sample::unmoved(&saga);
    entry.inputs = vec![(input.id, InputOutcome::Ignored)];
    owner.write(entry);
    assert_eq!(stage.door.outcome(input.id), Ok(Some(InputOutcome::Ignored)));
    assert_eq!(stage.saga(saga.id), Some(saga));
    assert_eq!(stage.queries.counts().unwrap(), counts);
    assert_eq!(stage.ledger.history_after(0, 2, 10).unwrap().len(), 0);
}

pub fn a_conflicting_entry_leaves_its_inputs_waiting(stage: Stage) {
    let owner = stage.owner();
    let stale = owner.place(1);
    owner.go_on(&stale, sample::succeeded);
    let input = cancellation(1, stale.id, "key");
    stage.door.admit(&input).unwrap();
    let mut entry = sample::unmoved(&stale);
    entry.inputs = vec![(input.id, InputOutcome::Ignored)];
    assert_eq!(owner.commit(vec![entry]), Ok(vec![EntryOutcome::Conflict]));
    assert_eq!(waiting(&stage, 0), [input.id]);
}

pub fn the_first_outcome_stands(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let input = cancellation(1, saga.id, "key");
    stage.door.admit(&input).unwrap();
    for outcome in [InputOutcome::Ignored, InputOutcome::VersionMismatch { found: 2 }] {
        let mut entry = sample::unmoved(&saga);
        entry.inputs = vec![(input.id, outcome)];
        owner.write(entry);
    }
    assert_eq!(stage.door.outcome(input.id), Ok(Some(InputOutcome::Ignored)));
}

fn letter(n: u64, message_id: &str, queue: &str, saga: SagaId) -> DeadLetter {
    let notice = NewInput {
        client_key: format!("dead:{n}"),
        request: Request::CommandLost { to: 2, setback: Setback::DeadLettered },
        ..cancellation(n, saga, "")
    };
    DeadLetter {
        id: sample::input_id(100 + n),
        message_id: message_id.into(),
        queue: queue.into(),
        routing_key: "inventory.reserve".into(),
        reason: "rejected: not JSON".into(),
        headers: "{}".into(),
        body: b"\0\xff{".to_vec(),
        saga: Some(saga),
        at: sample::second(n),
        notice: Some(notice),
    }
}

pub fn a_dead_letter_leaves_its_notice_once(stage: Stage) {
    let saga = stage.owner().place(1);
    let concerned = stage.door.bury(&[letter(1, "a:2", "inventory.commands", saga.id)]);
    assert_eq!(concerned, Ok([0].into()));
    let [notice] = &stage.door.pending(0, 10).unwrap()[..] else { panic!() };
    let lost = Request::CommandLost { to: 2, setback: Setback::DeadLettered };
    assert_eq!((notice.saga, &notice.request), (saga.id, &lost));

    let again = letter(2, "a:2", "inventory.commands", saga.id);
    let other_queue = letter(3, "a:2", "notification.commands", saga.id);
    let silent = DeadLetter { notice: None, ..letter(4, "a:3", "inventory.commands", saga.id) };
    stage.door.bury(&[again, other_queue, silent]).unwrap();
    assert_eq!(waiting(&stage, 0), [1, 3].map(sample::input_id));
}

pub fn a_notice_for_an_unknown_saga_is_left_out(stage: Stage) {
    let saga = stage.owner().place(1);
    let letters = [
        letter(1, "b:2", "inventory.commands", sample::saga_id(2)),
        letter(2, "a:2", "inventory.commands", saga.id),
    ];
    assert_eq!(stage.door.bury(&letters), Ok([0].into()));
    assert_eq!(waiting(&stage, 0), [sample::input_id(2)]);
}
