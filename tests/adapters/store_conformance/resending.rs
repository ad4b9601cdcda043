//! The history as the outbox: what is read again after a crash.

use skald::ports::ledger::HistoryRow;

use super::stage::Stage;
use super::{SHARDS, sample};

fn places(rows: &[HistoryRow]) -> Vec<(u64, u64)> {
    rows.iter().map(|row| (row.seq, row.recorded.sequence)).collect()
}

pub fn the_history_comes_in_the_order_of_its_positions(stage: Stage) {
    let owner = stage.owner();
    let first = owner.place(2);
    owner.place(1);
    owner.go_on(&first, sample::succeeded);

    let all = stage.ledger.history_after(0, 0, 100).unwrap();
    assert_eq!(places(&all), [(1, 1), (2, 2), (3, 1), (4, 2), (5, 3), (6, 4), (7, 5)]);
    let page = stage.ledger.history_after(0, 2, 3).unwrap();
    assert_eq!(places(&page), [(3, 1), (4, 2), (5, 3)]);
    assert!(stage.ledger.history_after(0, 7, 10).unwrap().is_empty());
    let recorded: Vec<_> =
        all.into_iter().filter(|row| row.saga.id == first.id).map(|row| row.recorded).collect();
    assert_eq!(recorded, stage.queries.history(first.id, 0, 100).unwrap());
}

pub fn each_row_comes_with_its_saga_as_it_stands_now(stage: Stage) {
    let owner = stage.owner();
    let other = owner.place(1);
    let placed = owner.place(2);
    let now = owner.go_on(&placed, sample::refused);
    for row in stage.ledger.history_after(0, 0, 100).unwrap() {
        let expected = if row.seq <= 2 { &other } else { &now };
        assert_eq!(&row.saga, expected, "{}", row.seq);
    }
}

pub fn a_shard_sees_only_its_own_history(stage: Stage) {
    for shard in 0..SHARDS {
        stage.owner_of(shard).place(u64::from(shard) + 1);
    }
    for shard in 0..SHARDS {
        let rows = stage.ledger.history_after(shard, 0, 100).unwrap();
        assert_eq!(places(&rows), [(1, 1), (2, 2)]);
        assert!(rows.iter().all(|row| row.saga.id == sample::saga_id(u64::from(shard) + 1)));
    }
}
