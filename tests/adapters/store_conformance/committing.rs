//! What a batch writes, and what it does not.

use skald::orders::OrderStatus;
use skald::ports::StoreError;
use skald::ports::door::InputOutcome;
use skald::ports::ledger::{EntryOutcome, OrderChange};
use skald::ports::queries::Counts;

use super::stage::Stage;
use super::{SHARDS, sample};

pub fn what_is_committed_is_read_back_as_it_was(stage: Stage) {
    let owner = stage.owner();
    let placed = sample::placed(1);
    let reserved = sample::succeeded(&placed.saga);
    let order = sample::order(1);

    owner.write(placed.clone());
    assert_eq!(stage.saga(placed.saga.id), Some(placed.saga.clone()));
    assert_eq!(stage.order(&order), Some(order.clone()));

    owner.write(reserved.clone());
    assert_eq!(stage.saga(placed.saga.id), Some(reserved.saga.clone()));
    let history = stage.queries.history(placed.saga.id, 0, 100).unwrap();
    assert_eq!(history, [placed.events, reserved.events.clone()].concat());
    let confirmed = stage.order(&order).unwrap();
    assert_eq!(confirmed.status, OrderStatus::Confirmed);
    assert_eq!(confirmed.updated_at, reserved.events[0].at);
    assert_eq!(confirmed.items, order.items);
}

pub fn outcomes_are_in_the_order_of_the_entries(stage: Stage) {
    let owner = stage.owner();
    let first = owner.place(1);
    let outcomes = owner
        .commit(vec![
            sample::placed(3),
            sample::placed(1),
            sample::succeeded(&first),
            sample::placed(2),
        ])
        .unwrap();
    use EntryOutcome::{Conflict, Written};
    assert_eq!(outcomes, [Written(3), Conflict, Written(5), Written(8)]);
}

pub fn positions_follow_each_other_without_gaps(stage: Stage) {
    let owner = stage.owner();
    let stale = owner.place(1);
    let moved = owner.go_on(&stale, sample::succeeded);
    owner
        .commit(vec![sample::succeeded(&stale), sample::placed(2), sample::unmoved(&moved)])
        .unwrap();
    let refused = vec![sample::placed(3), sample::placed_order(sample::order(2), None)];
    let mut twin = refused;
    twin[1].saga.id = sample::saga_id(9);
    assert!(owner.commit(twin).is_err());
    owner.place(4);

    let seqs: Vec<u64> =
        stage.ledger.history_after(0, 0, 100).unwrap().iter().map(|row| row.seq).collect();
    assert_eq!(seqs, (1..=9).collect::<Vec<u64>>());
    assert_eq!(stage.ledger.claim(0).unwrap().last_seq, 9);
}

pub fn shards_count_their_positions_apart(stage: Stage) {
    let (first, last) = (stage.owner_of(0), stage.owner_of(SHARDS - 1));
    assert_eq!(first.write(sample::placed(1)), 1);
    assert_eq!(last.write(sample::placed(2)), 1);
    assert_eq!(first.write(sample::placed(3)), 3);
    assert_eq!(last.write(sample::placed(4)), 3);
}

pub fn a_saga_that_moved_on_conflicts_and_nothing_of_its_entry_is_written(stage: Stage) {
    let owner = stage.owner();
    let stale = owner.place(1);
    let now = owner.go_on(&stale, sample::refused);
    let history = stage.queries.history(stale.id, 0, 100).unwrap();
    let counts = stage.queries.counts().unwrap();
    let input = sample::cancellation(1, stale.id, "key");
    stage.door.admit(&input).unwrap();

    let mut late = sample::succeeded(&stale);
    late.inputs = vec![(input.id, InputOutcome::Ignored)];
    assert!(matches!(late.order, Some(OrderChange::Settled { .. })));
    assert_eq!(owner.commit(vec![late]), Ok(vec![EntryOutcome::Conflict]));

    assert_eq!(stage.saga(stale.id), Some(now));
    assert_eq!(stage.queries.history(stale.id, 0, 100).unwrap(), history);
    assert_eq!(stage.order(&sample::order(1)).unwrap().status, OrderStatus::Cancelled);
    assert_eq!(stage.queries.counts().unwrap(), counts);
    assert_eq!(stage.door.outcome(input.id).unwrap(), None);
}

pub fn a_saga_that_was_never_born_conflicts(stage: Stage) {
    let unborn = sample::placed(1).saga;
    let entries = vec![sample::succeeded(&unborn), sample::unmoved(&sample::placed(2).saga)];
    let outcomes = stage.owner().commit(entries).unwrap();
    assert_eq!(outcomes, [EntryOutcome::Conflict, EntryOutcome::Conflict]);
    assert_eq!(stage.queries.counts().unwrap(), Counts::default());
}

pub fn a_birth_of_a_known_saga_conflicts(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let mut twin = sample::placed_order(sample::order(2), None);
    twin.saga.id = saga.id;
    assert_eq!(owner.commit(vec![twin]), Ok(vec![EntryOutcome::Conflict]));
    assert_eq!(stage.order(&sample::order(2)), None);
    assert_eq!(stage.saga(saga.id), Some(saga));
}

pub fn a_saga_of_another_shard_conflicts(stage: Stage) {
    let saga = stage.owner_of(1).place(1);
    let stranger = stage.owner_of(2);
    for entry in [sample::succeeded(&saga), sample::unmoved(&saga)] {
        assert_eq!(stranger.commit(vec![entry]), Ok(vec![EntryOutcome::Conflict]));
    }
    assert_eq!(stage.saga(saga.id), Some(saga));
}

pub fn a_row_that_can_not_be_written_refuses_the_whole_batch(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let counts = stage.queries.counts().unwrap();
    let mut twin = sample::placed(1);
    twin.saga.id = sample::saga_id(2);

    let outcome = owner.commit(vec![sample::placed(3), sample::succeeded(&saga), twin]);
    assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");

    assert_eq!(stage.saga(saga.id), Some(saga));
    assert_eq!(stage.saga(sample::saga_id(2)), None);
    assert_eq!(stage.saga(sample::saga_id(3)), None);
    assert_eq!(stage.queries.counts().unwrap(), counts);
    assert_eq!(owner.write(sample::placed(3)), 3);
}

pub fn only_a_pending_order_is_settled(stage: Stage) {
    let owner = stage.owner();
    let saga = owner.place(1);
    let confirmed = owner.go_on(&saga, sample::succeeded);
    let mut again = sample::succeeded(&confirmed);
    again.order = sample::refused(&saga).order;
    assert!(matches!(owner.commit(vec![again]), Err(StoreError::Refused { .. })));
    assert_eq!(stage.order(&sample::order(1)).unwrap().status, OrderStatus::Confirmed);
    assert_eq!(stage.saga(saga.id), Some(confirmed));
}

pub fn a_commit_outlives_a_restart(stage: Stage) {
    let owner = stage.owner();
    let placed = owner.place(1);
    let completed = owner.complete(2);
    let counts = stage.queries.counts().unwrap();

    let stage = stage.reopened();
    assert_eq!(stage.saga(placed.id), Some(placed));
    assert_eq!(stage.saga(completed.id), Some(completed));
    assert_eq!(stage.order(&sample::order(1)), Some(sample::order(1)));
    assert_eq!(stage.queries.counts().unwrap(), counts);
    assert_eq!(stage.ledger.claim(0).unwrap().last_seq, 9);
}
