//! Idempotency keys: what a repeat of a submission gets, and for how long.

use skald::orders::OrderStatus;
use skald::ports::ledger::EntryOutcome;

use super::sample::{self, answer, claimed, second};
use super::stage::Stage;

pub fn a_repeat_gets_the_first_answer_and_nothing_of_it_is_written(stage: Stage) {
    let owner = stage.owner();
    owner.write(claimed(1, "key"));
    let counts = stage.queries.counts().unwrap();

    let outcomes = owner.commit(vec![claimed(2, "key"), claimed(3, "other key")]).unwrap();

    assert_eq!(outcomes, [EntryOutcome::Replayed(answer(1)), EntryOutcome::Written(3)]);
    assert_eq!(stage.queries.stored_answer("key").unwrap(), Some(answer(1)));
    assert_eq!(stage.saga(sample::saga_id(2)), None);
    assert_eq!(stage.order(&sample::order(2)), None);
    assert!(stage.queries.history(sample::saga_id(2), 0, 10).unwrap().is_empty());
    let pending = |counts: &skald::ports::queries::Counts| {
        counts.orders.iter().find(|(status, _)| *status == OrderStatus::Pending).map(|(_, n)| *n)
    };
    assert_eq!(pending(&counts), Some(1));
    assert_eq!(pending(&stage.queries.counts().unwrap()), Some(2));
}

pub fn of_two_entries_under_one_key_the_second_is_a_repeat(stage: Stage) {
    let outcomes = stage.owner().commit(vec![claimed(1, "key"), claimed(2, "key")]).unwrap();
    assert_eq!(outcomes, [EntryOutcome::Written(1), EntryOutcome::Replayed(answer(1))]);
    assert_eq!(stage.saga(sample::saga_id(2)), None);
}

pub fn an_order_that_was_stored_before_conflicts_even_under_its_own_key(stage: Stage) {
    let owner = stage.owner();
    owner.write(claimed(1, "key"));
    for owner in [owner, stage.owner_of(1)] {
        assert_eq!(owner.commit(vec![claimed(1, "key")]), Ok(vec![EntryOutcome::Conflict]));
    }
}

pub fn the_oldest_keys_are_forgotten_first_and_no_more_than_asked(stage: Stage) {
    let owner = stage.owner();
    for n in [4, 1, 3, 2, 5] {
        owner.write(claimed(n, &format!("key {n}")));
    }
    let kept = || -> Vec<u64> {
        (1..=5)
            .filter(|n| stage.queries.stored_answer(&format!("key {n}")).unwrap().is_some())
            .collect()
    };
    assert_eq!(stage.ledger.forget_claims(second(1), 10), Ok(0));
    assert_eq!(stage.ledger.forget_claims(second(4), 2), Ok(2));
    assert_eq!(kept(), [3, 4, 5]);
    assert_eq!(stage.ledger.forget_claims(second(4), 2), Ok(1));
    assert_eq!(kept(), [4, 5]);
}

pub fn a_forgotten_key_can_be_used_again(stage: Stage) {
    let owner = stage.owner();
    owner.write(claimed(1, "key"));
    stage.ledger.forget_claims(second(2), 10).unwrap();
    owner.write(claimed(2, "key"));
    assert_eq!(stage.queries.stored_answer("key").unwrap(), Some(answer(2)));
}
