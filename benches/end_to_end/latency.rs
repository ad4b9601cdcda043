//! One order at a time.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::demo::{self, Load};
use crate::report::{Latency, median};

/// Enough for a median and a rough 99th percentile.
const ORDERS: u32 = 300;
const ONE_BY_ONE: Load = Load { orders: ORDERS, lines: 1, concurrency: 1, rate: None };
/// Appends measured before the orders, and again after them: the machine may drift meanwhile.
const APPENDS: usize = 300;
/// Two pages of a database: what a small commit writes.
const APPENDED: [u8; 8_192] = [0x5A; 8_192];

/// Runs orders one after another, and measures an fsync in the same folder.
pub fn measure(folder: &Path) -> anyhow::Result<Latency> {
    eprintln!("latency");
    fs::create_dir(folder)?;
    let mut appends = append_and_sync(&folder.join("before"))?;
    let said = demo::run(&folder.join("data"), ONE_BY_ONE, None)?.said;
    appends.extend(append_and_sync(&folder.join("after"))?);
    let fsync_ms = median(appends);
    Ok(Latency {
        orders: ORDERS,
        p50_ms: said.p50_ms,
        p99_ms: said.p99_ms,
        fsync_ms,
        p50_fsyncs: said.p50_ms / fsync_ms,
    })
}

/// How long each append took until it was on the disk, in milliseconds.
fn append_and_sync(path: &Path) -> anyhow::Result<Vec<f64>> {
    let mut file = OpenOptions::new().create_new(true).append(true).open(path)?;
    let mut took = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let started = Instant::now();
        file.write_all(&APPENDED)?;
        file.sync_data()?;
        took.push(started.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(took)
}
