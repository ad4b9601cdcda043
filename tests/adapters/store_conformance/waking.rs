//! Finding the sagas that somebody has to see to.

use std::collections::BTreeMap;

use skald::ports::ledger::Due;
use skald::saga::id::{SagaId, Timestamp};
use skald::saga::state::{Deadline, Phase, Saga, SagaStatus};
use uuid::Uuid;

use super::sample::{self, second};
use super::stage::Stage;

/// Before every moment and every saga.
const BEGINNING: (Timestamp, SagaId) = (Timestamp(0), SagaId(Uuid::nil()));

/// What is due in the first shard.
fn due(
    stage: &Stage,
    after: (Timestamp, SagaId),
    until: Timestamp,
    limit: u32,
) -> Vec<(Timestamp, SagaId)> {
    let found = stage.ledger.due(&BTreeMap::from([(0, after)]), until, limit).unwrap();
    assert!(found.iter().all(|due| due.shard == 0));
    found.into_iter().map(|due| (due.at, due.saga)).collect()
}

fn ids(sagas: &[Saga]) -> Vec<SagaId> {
    sagas.iter().map(|saga| saga.id).collect()
}

/// Waits for nothing but this moment.
fn waits_until(due: Option<Timestamp>) -> impl Fn(&mut Saga) {
    move |saga| {
        saga.state.steps.clear();
        saga.state.deadline = due.map_or(Deadline::Passed, Deadline::Ahead);
    }
}

pub fn unknown_sagas_are_left_out(stage: Stage) {
    let owner = stage.owner();
    let known = [owner.place(1), owner.place(3)];
    let asked = [3, 2, 1].map(sample::saga_id);
    let mut loaded = stage.ledger.load(0, &asked).unwrap();
    loaded.sort_by_key(|saga| saga.id);
    assert_eq!(loaded, known);
    assert!(stage.ledger.load(0, &[]).unwrap().is_empty());
    // A reply that somebody sent to the wrong queue must not wake a saga at the wrong owner.
    assert!(stage.ledger.load(1, &asked).unwrap().is_empty(), "they are of another shard");
}

pub fn unfinished_sagas_come_by_id_and_page_by_page(stage: Stage) {
    let owner = stage.owner();
    owner.place(6);
    owner.place(2);
    let rolling_back = owner.place(4);
    owner.go_on(&rolling_back, sample::refused);
    owner.complete(3);
    owner.write(sample::born(5, "another", "key"));
    stage.owner_of(1).place(1);

    let all = stage.ledger.unfinished(0, None, 100).unwrap();
    assert_eq!(ids(&all), [2, 4, 5, 6].map(sample::saga_id));
    let page = stage.ledger.unfinished(0, None, 2).unwrap();
    assert_eq!(page, all[..2]);
    let rest = stage.ledger.unfinished(0, Some(page[1].id), 100).unwrap();
    assert_eq!(rest, all[2..]);
}

pub fn a_saga_that_only_waits_for_an_operator_is_unfinished_and_never_due(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let stuck = owner.go_on(&saga, |saga| sample::changed(saga, waits_until(None)));
    assert_eq!(stage.ledger.unfinished(0, None, 10).unwrap(), std::slice::from_ref(&stuck));
    assert_eq!(due(&stage, BEGINNING, Timestamp(i64::MAX), 10), []);
    let (_, summary) = stage.queries.saga(stuck.id).unwrap().unwrap();
    assert_eq!(summary.due_at, None);
}

pub fn due_sagas_come_by_moment_and_then_by_id(stage: Stage) {
    let owner = stage.owner();
    for (n, due) in [(1, 30), (2, 20), (3, 30), (4, 10), (5, 31)] {
        let saga = owner.place(n);
        owner.go_on(&saga, |saga| sample::changed(saga, waits_until(Some(second(due)))));
    }
    stage.owner_of(1).place(6);
    let due = due(&stage, BEGINNING, second(30), 100);
    let expected =
        [(10, 4), (20, 2), (30, 1), (30, 3)].map(|(s, n)| (second(s), sample::saga_id(n)));
    assert_eq!(due, expected);
}

pub fn a_page_of_due_sagas_goes_on_where_the_last_one_ended(stage: Stage) {
    let owner = stage.owner();
    for n in 1..=7 {
        let saga = owner.place(n);
        let due = second(10 * n.div_ceil(4));
        owner.go_on(&saga, |saga| sample::changed(saga, waits_until(Some(due))));
    }
    let mut pages = Vec::new();
    let mut after = BEGINNING;
    for _ in 0..4 {
        let page = due(&stage, after, second(100), 3);
        after = page.last().copied().unwrap_or(after);
        pages.push(page.iter().map(|(_, id)| *id).collect::<Vec<SagaId>>());
    }
    let expected = [vec![1, 2, 3], vec![4, 5, 6], vec![7], vec![]]
        .map(|page| page.into_iter().map(sample::saga_id).collect::<Vec<_>>());
    assert_eq!(pages, expected);
}

pub fn several_shards_are_asked_at_once_each_from_where_it_stands(stage: Stage) {
    let waits = |shard, n, due| {
        let owner = stage.owner_of(shard);
        let saga = owner.place(n);
        owner.go_on(&saga, |saga| sample::changed(saga, waits_until(Some(second(due)))));
    };
    for (shard, n, due) in [(0, 1, 10), (0, 2, 20), (1, 3, 10), (1, 4, 20), (2, 5, 10), (3, 6, 40)]
    {
        waits(shard, n, due);
    }
    let after = [(0, BEGINNING), (1, (second(10), sample::saga_id(3))), (3, BEGINNING)];
    let found = stage.ledger.due(&BTreeMap::from(after), second(30), 1).unwrap();
    let due = |shard, at, n| Due { shard, at: second(at), saga: sample::saga_id(n) };
    assert_eq!(found, [due(0, 10, 1), due(1, 20, 4)]);
    assert_eq!(stage.ledger.due(&BTreeMap::new(), second(30), 1).unwrap(), []);
}

pub fn a_saga_is_due_when_its_newest_state_says(stage: Stage) {
    let owner = stage.owner();
    let placed = owner.place(1);
    let due_now = || due(&stage, BEGINNING, Timestamp(i64::MAX), 10);
    assert_eq!(due_now(), [(placed.state.next_due().unwrap(), placed.id)]);

    let reserved = owner.go_on(&placed, sample::succeeded);
    assert_ne!(reserved.state.next_due(), placed.state.next_due());
    assert_eq!(due_now(), [(reserved.state.next_due().unwrap(), placed.id)]);

    let sent = owner.go_on(&reserved, sample::succeeded);
    assert_eq!(
        (&sent.state.phase, sent.state.status()),
        (&Phase::Completed, SagaStatus::Completed)
    );
    assert_eq!(due_now(), []);
}
