//! One thing at a time, for people.

use skald::ports::ledger::Marks;
use skald::ports::queries::ShardLag;
use skald::saga::state::SagaStatus;

use super::stage::Stage;
use super::{sample, stage};

pub fn all_stores_answer(stage: Stage) {
    stage.queries.ping().unwrap();
    stage.inventory.ping().unwrap();
    stage.notification.ping().unwrap();
}

pub fn an_order_is_read_with_its_lines_in_the_customers_order(stage: Stage) {
    let owner = stage.owner();
    let orders = [1, 2].map(sample::order);
    assert_ne!(orders[0].email.is_some(), orders[1].email.is_some());
    for order in &orders {
        owner.write(sample::placed_order(order.clone(), None));
    }
    for order in orders {
        assert_eq!(stage.queries.order(order.id).unwrap(), Some(order));
    }
}

pub fn a_saga_is_read_with_the_moments_of_its_birth_and_newest_event(stage: Stage) {
    let owner = stage.owner();
    let mut entry = sample::placed(1);
    entry.events[1].at = sample::second(2);
    let placed = entry.saga.clone();
    owner.write(entry);
    let (_, summary) = stage.queries.saga(placed.id).unwrap().unwrap();
    assert_eq!(summary.created_at, sample::second(1));
    assert_eq!(summary.updated_at, sample::second(2));

    let reserved = owner.go_on(&placed, sample::succeeded);
    let (saga, summary) = stage.queries.saga(placed.id).unwrap().unwrap();
    let history = stage.queries.history(placed.id, 0, 10).unwrap();
    assert_eq!(saga, reserved);
    assert_eq!((summary.id, summary.version), (saga.id, saga.state.version));
    assert_eq!((&summary.definition, &summary.key), (&saga.birth.definition, &saga.birth.key));
    assert_eq!((summary.status, summary.due_at), (SagaStatus::Running, saga.state.next_due()));
    assert_eq!(summary.created_at, history[0].at);
    assert_eq!(Some(summary.updated_at), history.last().map(|recorded| recorded.at));
    assert_ne!(summary.created_at, summary.updated_at);
}

pub fn a_history_is_read_in_order_and_page_by_page(stage: Stage) {
    let owner = stage.owner();
    owner.place(1);
    let saga = owner.complete(2);
    let sequences = |after, limit| -> Vec<u64> {
        let page = stage.queries.history(saga.id, after, limit).unwrap();
        page.iter().map(|recorded| recorded.sequence).collect()
    };
    assert_eq!(sequences(0, 100), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(sequences(2, 3), [3, 4, 5]);
    assert_eq!(sequences(7, 3), [] as [u64; 0]);
}

pub fn lags_tell_what_is_not_confirmed(stage: Stage) {
    assert_eq!(stage.queries.lags().unwrap(), []);
    let confirmed = stage::Owner { marks: Marks { commands: 6, events: 2 }, ..stage.owner_of(2) };
    confirmed.complete(1);
    stage.owner_of(0).place(2);
    let expected = [
        ShardLag { shard: 0, commands: 2, events: 2 },
        ShardLag { shard: 2, commands: 1, events: 5 },
    ];
    assert_eq!(stage.queries.lags().unwrap(), expected);
}

pub fn versions_are_those_of_the_sagas_that_exist(stage: Stage) {
    let owner = stage.owner();
    let [first, second] = [owner.place(1), owner.complete(2)];
    let asked = [sample::saga_id(3), second.id, first.id];
    let found = stage.queries.versions(&asked).unwrap();
    let expected = [(first.id, first.state.version), (second.id, second.state.version)];
    assert_eq!(found, expected.into());
    assert_eq!(stage.queries.versions(&[]).unwrap(), [].into());
}

pub fn what_is_not_there_is_none(stage: Stage) {
    assert_eq!(stage.queries.order(sample::order_id(1)).unwrap(), None);
    assert_eq!(stage.queries.saga(sample::saga_id(1)).unwrap(), None);
    assert_eq!(stage.queries.history(sample::saga_id(1), 0, 10).unwrap(), []);
    assert_eq!(stage.queries.history(sample::saga_id(1), u64::MAX, 10).unwrap(), []);
    assert_eq!(stage.queries.stored_answer("key").unwrap(), None);
}
