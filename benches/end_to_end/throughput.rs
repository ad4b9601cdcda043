//! Many orders: at full load, and at half of it at a fixed rate.

use std::path::Path;

use crate::demo::{self, Load, Run};
use crate::report::{Paced, Side, Spread, Throughput};
use crate::services::Installation;

/// Orders of a run at full load: many seconds, or the start and the end show in the mean.
const ORDERS: u32 = 20_000;
/// As the demo's default.
const CONCURRENCY: u32 = 256;
/// Enough for a median, in two minutes.
const RUNS: usize = 3;

/// How long the open loop lasts, in seconds.
const SECONDS: u32 = 10;
/// Far more orders than are unfinished unless the system can't keep up.
const UNBOUNDED: u32 = 8_192;

/// Measures full load, and then half of it at a fixed rate: where a system is not busy its latency
/// says more.
pub fn measure(folder: &Path, side: Side) -> anyhow::Result<(Throughput, Paced)> {
    let run = |name: &str, load| -> anyhow::Result<Run> {
        let installation = match side {
            Side::Embedded => None,
            Side::Stack => Some(Installation::new()?),
        };
        demo::run(&folder.join(name), load, installation.as_ref())
    };
    std::fs::create_dir(folder)?;
    let full = Load { orders: ORDERS, lines: 1, concurrency: CONCURRENCY, rate: None };
    let runs: Vec<Run> = (1..=RUNS)
        .map(|n| {
            eprintln!("{side}: full load, run {n} of {RUNS}");
            run(&n.to_string(), full)
        })
        .collect::<Result<_, _>>()?;
    let throughput = Throughput::of(side, &runs);
    let rate = (throughput.sagas_per_second.median() / 2.0) as u32;
    eprintln!("{side}: {rate} orders a second");
    let paced = Load { orders: rate * SECONDS, lines: 1, concurrency: UNBOUNDED, rate: Some(rate) };
    let said = run("paced", paced)?.said;
    let paced = Paced {
        side,
        rate,
        orders: paced.orders,
        sagas_per_second: said.sagas_per_second,
        p50_ms: said.p50_ms,
        p95_ms: said.p95_ms,
        p99_ms: said.p99_ms,
        processes: said.processes,
    };
    Ok((throughput, paced))
}

impl Throughput {
    fn of(side: Side, runs: &[Run]) -> Self {
        let cpu = |run: &Run| match side {
            Side::Embedded => run.cpu.as_secs_f64() * 1_000.0 / f64::from(ORDERS),
            Side::Stack => run.said.processes.iter().map(|cost| cost.cpu_ms_per_saga).sum(),
        };
        let spread = |of: &dyn Fn(&Run) -> f64| Spread::of(runs.iter().map(of).collect());
        let names = runs.first().map(|run| &run.said.processes[..]).unwrap_or_default();
        let processes = (0..names.len()).map(|n| {
            let mut costs: Vec<_> = runs.iter().map(|run| &run.said.processes[n]).collect();
            costs.sort_unstable_by(|a, b| a.cpu_ms_per_saga.total_cmp(&b.cpu_ms_per_saga));
            costs[costs.len() / 2].clone()
        });
        Self {
            side,
            orders: ORDERS,
            concurrency: CONCURRENCY,
            runs: runs.len(),
            sagas_per_second: spread(&|run| run.said.sagas_per_second),
            transitions_per_commit: spread(&|run| run.said.transitions_per_commit),
            cpu_ms_per_saga: spread(&cpu),
            p50_ms: spread(&|run| run.said.p50_ms),
            p95_ms: spread(&|run| run.said.p95_ms),
            p99_ms: spread(&|run| run.said.p99_ms),
            processes: processes.collect(),
        }
    }
}
