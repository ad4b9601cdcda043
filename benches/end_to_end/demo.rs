//! `skald demo` as a process of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::services::Installation;

/// Ticks a second of the times in `/proc`. The kernel counts otherwise inside, but tells programs
/// hundredths.
const TICKS_A_SECOND: u32 = 100;

/// Orders, all of them with so many lines.
#[derive(Clone, Copy)]
pub struct Load {
    pub orders: u32,
    pub lines: u32,
    /// How many may be unfinished at a time.
    pub concurrency: u32,
    /// Orders a second; none where one is sent when another has ended.
    pub rate: Option<u32>,
}

/// What a run said, and what it cost.
pub struct Run {
    /// What it said.
    pub said: Said,
    /// Processor time of the whole process and those it started, start and accounts included.
    pub cpu: Duration,
}

/// What the demo prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    pub sagas_per_second: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub transitions_per_commit: f64,
    pub processes: Vec<Cost>,
    #[serde(default)]
    pub reads: Option<Reads>,
}

/// How fast settled orders are read.
#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reads {
    pub store_per_second: f64,
    pub store_p50_ms: f64,
    pub cache_per_second: f64,
    pub cache_p50_ms: f64,
}

/// What a process cost while the load ran.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    pub process: String,
    pub cpu_ms_per_saga: f64,
    #[serde(default)]
    pub memory_bytes: u64,
}

/// Runs orders in the folder `data`, which must not be there yet: within one process, or in many on
/// the services of `installation`.
///
/// # Errors
/// When the demo fails, be it because the stock does not add up.
pub fn run(data: &Path, load: Load, installation: Option<&Installation>) -> anyhow::Result<Run> {
    run_with(data, load, installation, |_| {})
}

/// The same with more arguments or variables.
///
/// # Errors
/// As for [`run`].
pub fn run_with(
    data: &Path,
    load: Load,
    installation: Option<&Installation>,
    more: impl FnOnce(&mut Command),
) -> anyhow::Result<Run> {
    ensure!(!data.exists(), "{} was used before", data.display());
    let before = cpu_of_children()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_skald"));
    command
        .args(["demo", "-o", "json"])
        .args([
            "--orders",
            &load.orders.to_string(),
            "--lines",
            &load.lines.to_string(),
            "--concurrency",
            &load.concurrency.to_string(),
        ])
        .args(load.rate.map(|rate| format!("--rate={rate}")))
        .arg("--data-dir")
        .arg(data)
        .stdin(Stdio::null());
    if let Some(installation) = installation {
        installation.add_to(command.arg("--stack"));
    }
    more(&mut command);
    let output = command.output().context("skald can't be started")?;
    let cpu = cpu_of_children()? - before;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(Run { said: serde_json::from_slice(&output.stdout)?, cpu })
}

/// Processor time of all children that have ended.
fn cpu_of_children() -> anyhow::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, after_name) = stat.rsplit_once(')').context("/proc/self/stat has no name")?;
    // proc(5): `cutime` and `cstime` are the fields 16 and 17; the name is the second.
    let ticks = after_name.split_whitespace().skip(13).take(2).map(str::parse::<u32>);
    let ticks: u32 = ticks.sum::<Result<u32, _>>()?;
    Ok(Duration::from_secs(1) * ticks / TICKS_A_SECOND)
}
