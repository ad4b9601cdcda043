//! Sagas a second, and what one costs.

use std::path::Path;

use crate::demo;
use crate::report::{Spread, Throughput};

/// Some seconds of work: long enough that start and end don't show.
const ORDERS: u32 = 20_000;
/// Enough that every commit is shared by many.
const CONCURRENCY: u32 = 256;
/// The median of three is not moved by one disturbance.
const RUNS: usize = 3;

/// Runs the demo's load, generator included, some times over.
pub fn measure(folder: &Path) -> anyhow::Result<Throughput> {
    let mut runs = Vec::with_capacity(RUNS);
    for n in 1..=RUNS {
        eprintln!("throughput, run {n} of {RUNS}");
        runs.push(demo::run(&folder.join(n.to_string()), ORDERS, CONCURRENCY)?);
    }
    let spread = |figure: fn(&demo::Run) -> f64| Spread::of(runs.iter().map(figure).collect());
    Ok(Throughput {
        orders: ORDERS,
        concurrency: CONCURRENCY,
        runs: RUNS,
        sagas_per_second: spread(|run| run.said.sagas_per_second),
        transitions_per_commit: spread(|run| run.said.transitions_per_commit),
        cpu_ms_per_saga: spread(|run| run.cpu.as_secs_f64() * 1_000.0 / f64::from(ORDERS)),
    })
}
