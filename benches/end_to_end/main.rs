//! What this machine makes of Skald, from submission to the end of a saga.
//!
//! | file | measures |
//! |---|---|
//! | `throughput` | sagas a second, and what one costs; their time at a fixed rate |
//! | `latency` | one order at a time, in milliseconds and in fsyncs |
//! | `memory` | a hundred thousand sagas awake at once |
//! | `redis` | what Redis gains, and what its absence costs |
//! | `limits` | what PostgreSQL, RabbitMQ and HTTP can do here |
//! | `peers` | the same orders on other systems, by another harness |
//! | `services` | PostgreSQL and RabbitMQ |
//! | `demo` | runs the release program as its own process |
//! | `report` | what is printed (pure) |
//!
//! `cargo bench --bench end_to_end` runs all of it; `-- memory` only that part, `-- --json` prints
//! one JSON object. `docs/benchmarks.md` tells how to read the figures.

// A benchmark that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod demo;
mod latency;
mod limits;
mod memory;
mod peers;
mod redis;
mod report;
mod services;
mod throughput;

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use report::{OnStack, Report, Side};

/// What a server of the real kind allocates with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Options {
    /// Prints one JSON object
    #[arg(long)]
    json: bool,
    /// Also measures other systems with the harness in this folder
    #[arg(long, value_name = "DIR")]
    peers: Option<PathBuf>,
    /// Only these parts
    parts: Vec<Part>,
    /// What cargo tells every benchmark
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Embedded, at full load and at half of it
    Throughput,
    /// The same on PostgreSQL and RabbitMQ
    Stack,
    /// What their parts can do
    Limits,
    Latency,
    Memory,
    /// Redis there and gone for the whole run
    RedisGone,
    /// Hint locks on hot products, on and off
    RedisLocks,
    /// Reads from the store, and through either cache
    RedisReads,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    // Beside the program, because temporary files may be in memory, where an fsync costs nothing.
    // All of it is deleted at the end: deleting many files makes it slow to create new ones.
    let folder =
        tempfile::Builder::new().prefix("bench-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let report = measure(&options, folder.path())?;
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("{report}");
    }
    match report.memory {
        Some(memory) => memory.check(),
        None => Ok(()),
    }
}

fn measure(options: &Options, folder: &Path) -> anyhow::Result<Report> {
    let wanted = |part| options.parts.is_empty() || options.parts.contains(&part);
    let mut report = Report::of_machine()?;
    if wanted(Part::Throughput) {
        let (throughput, paced) = throughput::measure(&folder.join("embedded"), Side::Embedded)?;
        (report.throughput, report.paced) = (Some(throughput), Some(paced));
    }
    if wanted(Part::Stack) {
        let (throughput, paced) = throughput::measure(&folder.join("stack"), Side::Stack)?;
        report.stack = Some(OnStack { throughput, paced });
    }
    if wanted(Part::Limits) {
        report.limits = Some(limits::measure()?);
    }
    if wanted(Part::Latency) {
        report.latency = Some(latency::measure(&folder.join("latency"))?);
    }
    if wanted(Part::Memory) {
        report.memory = Some(memory::measure(&folder.join("memory"))?);
    }
    if wanted(Part::RedisGone) {
        report.redis_gone = Some(redis::gone(&folder.join("redis-gone"))?);
    }
    if wanted(Part::RedisLocks) {
        report.redis_locks = Some(redis::locks(&folder.join("redis-locks"))?);
    }
    if wanted(Part::RedisReads) {
        report.redis_reads = Some(redis::reads(&folder.join("redis-reads"))?);
    }
    if let Some(peers) = &options.peers {
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("peers");
        report.peers = Some(peers::measure(peers, &work)?);
    }
    Ok(report)
}
