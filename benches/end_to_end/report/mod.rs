//! What is printed.
//!
//! | file | holds |
//! |---|---|
//! | `load` | figures of many orders |
//! | `redis` | what Redis gains and costs |
//! | `surroundings` | limits of the parts, and peers |

mod load;
mod redis;
mod surroundings;

use std::fmt::{self, Display, Formatter};
use std::fs;
use std::num::NonZero;
use std::thread::available_parallelism;

use anyhow::ensure;
use serde::Serialize;

pub use load::{OnStack, Paced, Side, Throughput};
pub use redis::{Figures, Pairs, ReadsThrough};
pub use surroundings::{Limits, Peers};

/// What a hundred thousand waiting sagas may take, the program and its store's caches included.
const MAX_RESIDENT_BYTES: u64 = 500_000_000;

/// Everything that was measured. Its JSON is for programs that compare runs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub cpu: String,
    pub cores: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throughput: Option<Throughput>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paced: Option<Paced>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<OnStack>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peers: Option<Peers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_gone: Option<Pairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_locks: Option<Vec<Pairs>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redis_reads: Option<Vec<ReadsThrough>>,
}

/// One order at a time.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Latency {
    pub orders: u32,
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// The median of an append of 8 kB and its fdatasync.
    pub fsync_ms: f64,
    pub p50_fsyncs: f64,
}

/// Sagas awake at once.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    pub sagas: u64,
    pub resident_bytes: u64,
    /// The same before the first saga.
    pub empty_bytes: u64,
    pub bytes_per_saga: u64,
}

/// How far runs lie apart.
#[derive(Serialize)]
pub struct Spread {
    min: f64,
    median: f64,
    max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_unstable_by(f64::total_cmp);
        let (min, max) = (figures[0], figures[figures.len() - 1]);
        Self { min, median: median(figures), max }
    }

    /// The one in the middle.
    pub fn median(&self) -> f64 {
        self.median
    }
}

/// The median of at least one figure.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}

impl Report {
    /// A report on this machine, with nothing measured yet.
    pub fn of_machine() -> anyhow::Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Ok(Self {
            cpu: model.map_or("processors", |(_, model)| model).to_owned(),
            cores: available_parallelism().map_or(1, NonZero::get),
            throughput: None,
            paced: None,
            stack: None,
            limits: None,
            peers: None,
            latency: None,
            memory: None,
            redis_gone: None,
            redis_locks: None,
            redis_reads: None,
        })
    }
}

impl Memory {
    /// Fails where it was too much.
    pub fn check(&self) -> anyhow::Result<()> {
        let (found, most) = (megabytes(self.resident_bytes), megabytes(MAX_RESIDENT_BYTES));
        ensure!(
            self.resident_bytes < MAX_RESIDENT_BYTES,
            "{found:.0} MB are more than {most:.0} MB"
        );
        Ok(())
    }
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} × {}", self.cores, self.cpu)?;
        let parts: [Option<&dyn Display>; 7] = [
            self.throughput.as_ref().map(|part| part as _),
            self.paced.as_ref().map(|part| part as _),
            self.stack.as_ref().map(|part| part as _),
            self.limits.as_ref().map(|part| part as _),
            self.peers.as_ref().map(|part| part as _),
            self.latency.as_ref().map(|part| part as _),
            self.memory.as_ref().map(|part| part as _),
        ];
        parts.into_iter().flatten().try_for_each(|part| write!(f, "\n\n{part}"))?;
        let pairs = self.redis_gone.iter().chain(self.redis_locks.iter().flatten());
        pairs.into_iter().try_for_each(|part| write!(f, "\n\n{part}"))?;
        self.redis_reads.iter().flatten().try_for_each(|part| write!(f, "\n\n{part}"))
    }
}

impl Display for Latency {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "Latency: {} orders of one line, one after another", self.orders)?;
        writeln!(
            f,
            "  from submission to end  {:.2} ms, {:.0} fsyncs",
            self.p50_ms, self.p50_fsyncs
        )?;
        writeln!(f, "  99 of 100 within        {:.2} ms", self.p99_ms)?;
        write!(f, "  one fsync               {:.3} ms (8 kB appended)", self.fsync_ms)
    }
}

impl Display for Memory {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "Memory: {} sagas awake, each waiting for its worker", self.sagas)?;
        let [all, empty, most] =
            [self.resident_bytes, self.empty_bytes, MAX_RESIDENT_BYTES].map(megabytes);
        writeln!(f, "  resident                {all:.0} MB, less than {most:.0} are allowed")?;
        writeln!(f, "  before the first saga   {empty:.0} MB")?;
        write!(f, "  a saga                  {} bytes", self.bytes_per_saga)
    }
}
