//! How fast batches are written. Run with `--ignored --nocapture`, in release mode.

use std::time::Instant;

use skald::ports::ledger::{Entry, EntryOutcome};

use super::{open, owner_of};
use crate::postgres_server::TestDatabase;
use crate::store_conformance::sample;
use crate::store_conformance::stage::Owner;

/// The middle of `times`, in milliseconds.
fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn time(owner: &Owner, batches: impl Iterator<Item = Vec<Entry>>) -> f64 {
    median(
        batches
            .map(|entries| {
                let began = Instant::now();
                let outcomes = owner.commit(entries).unwrap();
                let took = began.elapsed().as_secs_f64() * 1e3;
                let is_written = |outcome| matches!(outcome, &EntryOutcome::Written(_));
                assert!(outcomes.iter().all(is_written));
                took
            })
            .collect(),
    )
}

#[test]
#[ignore = "a measurement"]
fn how_long_a_batch_takes() {
    // There are 4,095 different samples.
    for (size, rounds) in [(1, 1_000), (10, 400), (100, 40), (500, 8)] {
        let database = TestDatabase::new();
        let owner = owner_of(&open(&database.url()).ledger, 0);
        let orders: Vec<u64> = (1..=size * rounds).collect();
        let batches = || orders.chunks(size as usize);
        let births = batches().map(|batch| batch.iter().map(|n| sample::placed(*n)).collect());
        let births: Vec<Vec<Entry>> = births.collect();
        let reserved = |batch: &Vec<Entry>| -> Vec<Entry> {
            batch.iter().map(|entry| sample::succeeded(&entry.saga)).collect()
        };
        let middle: Vec<Vec<Entry>> = births.iter().map(reserved).collect();
        let ends: Vec<Vec<Entry>> = middle.iter().map(reserved).collect();
        let times = [births, middle, ends].map(|batches| time(&owner, batches.into_iter()));
        let each = times.iter().sum::<f64>() / size as f64;
        println!(
            "batches of {size}: accepted {:.2} ms, confirmed {:.2} ms, completed {:.2} ms; \
             {:.0} orders/s",
            times[0],
            times[1],
            times[2],
            1e3 / each
        );
    }
}
