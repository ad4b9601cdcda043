//! The counters.

use skald::orders::OrderStatus;
use skald::ports::queries::Counts;
use skald::saga::state::SagaStatus;

use super::sample;
use super::stage::Stage;

/// The counters that are not zero.
fn counts(stage: &Stage) -> Counts {
    let mut counts = stage.queries.counts().unwrap();
    counts.sagas.retain(|(_, count)| *count > 0);
    counts.sagas.sort_by_key(|(status, _)| SagaStatus::ALL.iter().position(|each| each == status));
    counts.orders.retain(|(_, count)| *count > 0);
    counts
        .orders
        .sort_by_key(|(status, _)| OrderStatus::ALL.iter().position(|each| each == status));
    counts
}

fn expected<const S: usize, const O: usize>(
    sagas: [(SagaStatus, u64); S],
    orders: [(OrderStatus, u64); O],
    cancelled: &[(&str, u64)],
) -> Counts {
    let cancelled_by_reason =
        cancelled.iter().map(|(code, count)| ((*code).to_owned(), *count)).collect();
    Counts { sagas: sagas.into(), orders: orders.into(), cancelled_by_reason }
}

pub fn an_empty_store_counts_nothing(stage: Stage) {
    assert_eq!(counts(&stage), Counts::default());
}

pub fn counters_follow_every_commit(stage: Stage) {
    use OrderStatus::{Cancelled, Confirmed, Pending};
    use SagaStatus::{Completed, RollingBack, Running};
    let owner = stage.owner();
    let good = owner.place(1);
    let bad = owner.place(2);
    assert_eq!(counts(&stage), expected([(Running, 2)], [(Pending, 2)], &[]));

    let good = owner.go_on(&good, sample::succeeded);
    let bad = owner.go_on(&bad, sample::refused);
    let reason = [("INSUFFICIENT_STOCK", 1)];
    let both = [(Confirmed, 1), (Cancelled, 1)];
    assert_eq!(counts(&stage), expected([(Running, 1), (RollingBack, 1)], both, &reason));

    owner.commit(vec![sample::succeeded(&good), sample::succeeded(&bad)]).unwrap();
    let ended = [(Completed, 1), (SagaStatus::Cancelled, 1)];
    assert_eq!(counts(&stage), expected(ended, both, &reason));
}

pub fn sagas_of_all_definitions_count_together(stage: Stage) {
    let owner = stage.owner();
    owner.write(sample::born(1, "trip", "a"));
    owner.write(sample::born(2, "tour", "b"));
    assert_eq!(counts(&stage), expected([(SagaStatus::Running, 2)], [], &[]));
}

pub fn cancelled_orders_count_by_reason(stage: Stage) {
    let owner = stage.owner();
    for n in 1..=3 {
        let saga = owner.place(n);
        owner.go_on(&saga, sample::refused);
    }
    assert_eq!(counts(&stage).cancelled_by_reason, [("INSUFFICIENT_STOCK".to_owned(), 3)]);
}

pub fn what_is_not_written_does_not_count(stage: Stage) {
    let owner = stage.owner();
    owner.write(sample::claimed(1, "key"));
    let before = counts(&stage);
    owner.commit(vec![sample::claimed(2, "key"), sample::placed(1)]).unwrap();
    assert_eq!(counts(&stage), before);
}

pub fn events_of_all_sagas_count_together(stage: Stage) {
    assert_eq!(stage.queries.events().unwrap(), 0);
    let owner = stage.owner();
    let saga = owner.place(1);
    owner.place(2);
    let born = stage.queries.events().unwrap();
    let moved = owner.go_on(&saga, sample::succeeded);
    let rise = moved.state.version - saga.state.version;
    assert_eq!(stage.queries.events().unwrap(), born + rise);
}
