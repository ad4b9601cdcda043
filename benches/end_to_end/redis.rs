//! What Redis gains, and what its absence costs.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::demo::{self, Load, Run};
use crate::report::{Figures, Pairs, ReadsThrough};
use crate::services::{self, Installation};

/// Where nobody listens: connections are refused.
const GONE: &str = "redis://127.0.0.1:1";

/// As asked for by whoever judges: a median of five.
const PAIRS: usize = 5;
/// Enough for seconds at full load.
const ORDERS: u32 = 8_000;

/// Pairs of a comparison of locks.
const LOCK_PAIRS: usize = 3;
/// Inventory workers that get into each other's way.
const WORKERS: u32 = 4;
/// Products that half of all lines ask for.
const HOT: u32 = 4;

/// Reads in each turn.
const READS: u32 = 10_000;

/// Runs orders on the stack.
fn run(
    folder: &Path,
    orders: u32,
    lines: u32,
    more: impl FnOnce(&mut Command),
) -> anyhow::Result<Run> {
    let installation = Installation::new()?;
    let load = Load { orders, lines, concurrency: 256, rate: None };
    demo::run_with(folder, load, Some(&installation), more)
}

fn pairs(
    what: String,
    orders: u32,
    names: [&'static str; 2],
    count: usize,
    mut run: impl FnMut(usize, usize) -> anyhow::Result<Run>,
) -> anyhow::Result<Pairs> {
    let mut found = Vec::new();
    for pair in 0..count {
        let mut run = |way| -> anyhow::Result<Figures> {
            eprintln!("{what}: {}, pair {} of {count}", names[way], pair + 1);
            let said = run(pair, way)?.said;
            Ok(Figures { sagas_per_second: said.sagas_per_second, p99_ms: said.p99_ms })
        };
        found.push([run(0)?, run(1)?]);
    }
    Ok(Pairs::of(what, orders, names, &found))
}

/// Redis there, and gone for the whole run.
pub fn gone(folder: &Path) -> anyhow::Result<Pairs> {
    std::fs::create_dir(folder)?;
    let urls = [services::redis(), GONE.to_owned()];
    let names = ["Redis there", "Redis gone"];
    pairs("Redis gone".to_owned(), ORDERS, names, PAIRS, |pair, way| {
        run(&folder.join(format!("{pair}-{way}")), ORDERS, 1, |demo| {
            demo.env("SKALD_REDIS_URL", &urls[way]).env("SKALD_WORKERS_HINT_LOCKS", "on");
        })
    })
}

/// Hint locks off and on, where many want the same products: a few lines an order, and many.
pub fn locks(folder: &Path) -> anyhow::Result<Vec<Pairs>> {
    std::fs::create_dir(folder)?;
    let measure = |lines: u32, orders: u32| {
        let what =
            format!("Hint locks, {WORKERS} inventory workers, {HOT} hot products, {lines} lines");
        pairs(what, orders, ["locks off", "locks on"], LOCK_PAIRS, |pair, way| {
            run(&folder.join(format!("{lines}-{pair}-{way}")), orders, lines, |demo| {
                demo.env("SKALD_REDIS_URL", services::redis())
                    .env("SKALD_WORKERS_HINT_LOCKS", ["off", "on"][way])
                    .args(["--hot", &HOT.to_string()])
                    .args(["--inventory-workers", &WORKERS.to_string()]);
            })
        })
    };
    Ok(vec![measure(1, ORDERS)?, measure(10, ORDERS / 2)?])
}

/// Reads from PostgreSQL, and through the cache in Redis or in the node.
pub fn reads(folder: &Path) -> anyhow::Result<Vec<ReadsThrough>> {
    std::fs::create_dir(folder)?;
    let measure = |cache, url: Option<String>| -> anyhow::Result<ReadsThrough> {
        eprintln!("reads: {cache}");
        let found =
            run(&folder.join(if url.is_some() { "redis" } else { "node" }), 2_000, 1, |demo| {
                demo.args(["--reads", &READS.to_string()]);
                if let Some(url) = &url {
                    demo.env("SKALD_REDIS_URL", url);
                }
            })?;
        Ok(ReadsThrough { cache, reads: found.said.reads.context("nothing was read")? })
    };
    Ok(vec![
        measure("PostgreSQL, and a cache in Redis", Some(services::redis()))?,
        measure("PostgreSQL, and a cache in the node", None)?,
    ])
}
