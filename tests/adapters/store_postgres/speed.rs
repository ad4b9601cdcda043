//! How fast batches are written. Run with `--ignored --nocapture`, in release mode.

use std::time::Instant;

use super::{open, owner_of};
use crate::postgres_server::TestDatabase;
use crate::store_conformance::sample;
use crate::store_conformance::stage::Owner;
use skald::ports::ledger::Entry;

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
                owner.commit(entries).unwrap();
                began.elapsed().as_secs_f64() * 1e3
            })
            .collect(),
    )
}

#[test]
#[ignore = "a measurement"]
fn how_long_a_batch_takes() {
    let database = TestDatabase::new();
    let owner = owner_of(&open(&database.url()).ledger, 0);
    let mut next = 1;
    for (size, rounds) in [(1, 300), (10, 100), (100, 60), (500, 20)] {
        let orders: Vec<u64> = (next..next + size * rounds).collect();
        next += size * rounds;
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
