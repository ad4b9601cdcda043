//! `skald demo` as a process of its own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

/// Ticks a second of the times in `/proc`. The kernel counts otherwise inside, but tells programs
/// hundredths.
const TICKS_A_SECOND: u32 = 100;

/// What a run said, and what it cost.
pub struct Run {
    /// What it said.
    pub said: Said,
    /// Processor time of the whole process, start and accounts included.
    pub cpu: Duration,
}

/// What the demo prints.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    pub sagas_per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub transitions_per_commit: f64,
}

/// Runs one-line orders in the folder `data`, which must not be there yet.
///
/// # Errors
/// When the demo fails, be it because the stock does not add up.
pub fn run(data: &Path, orders: u32, concurrency: u32) -> anyhow::Result<Run> {
    ensure!(!data.exists(), "{} was used before", data.display());
    let before = cpu_of_children()?;
    let output = Command::new(env!("CARGO_BIN_EXE_skald"))
        .args(["demo", "--lines", "1", "-o", "json"])
        .args(["--orders", &orders.to_string(), "--concurrency", &concurrency.to_string()])
        .arg("--data-dir")
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .context("skald can't be started")?;
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
