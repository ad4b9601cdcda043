//! Who owns a shard, and how far its messages have got.

use skald::ports::StoreError;
use skald::ports::ledger::{Marks, ShardState};

use super::stage::{Owner, Stage};
use super::{SHARDS, sample};

pub fn a_new_shard_starts_at_the_beginning(stage: Stage) {
    let state = stage.ledger.claim(0).unwrap();
    assert_eq!(state, ShardState { epoch: 1, last_seq: 0, marks: Marks::default() });
}

pub fn claiming_raises_the_epoch_and_keeps_the_rest(stage: Stage) {
    let mut owner = stage.owner();
    owner.place(1);
    owner.marks = Marks { commands: 2, events: 1 };
    owner.commit(vec![]).unwrap();
    let claimed = stage.ledger.claim(0).unwrap();
    assert_eq!(claimed, ShardState { epoch: 2, last_seq: 2, marks: owner.marks });
}

pub fn a_shard_beyond_their_number_is_refused(stage: Stage) {
    assert!(stage.ledger.claim(SHARDS - 1).is_ok());
    assert!(matches!(stage.ledger.claim(SHARDS), Err(StoreError::Refused { .. })));
}

pub fn a_deposed_owner_writes_nothing(stage: Stage) {
    let old = stage.owner();
    let saga = old.place(1);
    let new = stage.owner();
    let deposed = StoreError::Deposed { shard: 0, mine: 1, found: 2 };

    let late = Owner { marks: Marks { commands: 2, events: 2 }, ..old };
    let entries = vec![sample::placed(2), sample::succeeded(&saga)];
    assert_eq!(late.commit(entries), Err(deposed.clone()));
    assert_eq!(late.commit(vec![]), Err(deposed));

    assert_eq!(stage.saga(sample::saga_id(2)), None);
    assert_eq!(stage.order(&sample::order(2)), None);
    assert_eq!(stage.saga(saga.id), Some(saga.clone()));
    let claimed = stage.ledger.claim(0).unwrap();
    assert_eq!(claimed, ShardState { epoch: 3, last_seq: 2, marks: Marks::default() });
    assert!(matches!(new.commit(vec![]), Err(StoreError::Deposed { mine: 2, found: 3, .. })));
}

pub fn a_shard_that_nobody_claimed_is_not_written_to(stage: Stage) {
    let impostor = Owner { shard: 1, ..stage.owner() };
    let without_epoch = Owner { shard: 1, epoch: 0, ..stage.owner() };
    for nobody in [impostor, without_epoch] {
        let outcome = nobody.commit(vec![sample::placed(1)]);
        assert!(matches!(outcome, Err(StoreError::Deposed { shard: 1, .. })), "{outcome:?}");
    }
    assert_eq!(stage.saga(sample::saga_id(1)), None);
}

pub fn marks_move_forward_and_never_back(stage: Stage) {
    let mut owner = stage.owner();
    owner.complete(1);
    let lag = |commands: u64, events: u64| (7 - commands, 7 - events);
    let stored = || {
        let lags = stage.queries.lags().unwrap();
        (lags[0].commands, lags[0].events)
    };
    for (commands, events, expected) in
        [(0, 0, lag(0, 0)), (4, 3, lag(4, 3)), (2, 5, lag(4, 5)), (7, 1, lag(7, 5))]
    {
        owner.marks = Marks { commands, events };
        owner.commit(vec![]).unwrap();
        assert_eq!(stored(), expected);
    }
}
