//! Figures of many orders.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{Spread, megabytes};
use crate::demo::Cost;

/// What runs the orders.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// One process, with SQLite.
    Embedded,
    /// Processes of their own on PostgreSQL and RabbitMQ.
    Stack,
}

impl Display for Side {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Embedded => "embedded",
            Self::Stack => "on PostgreSQL and RabbitMQ",
        })
    }
}

/// A new order as soon as another has ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Throughput {
    #[serde(skip)]
    pub side: Side,
    pub orders: u32,
    pub concurrency: u32,
    pub runs: usize,
    pub sagas_per_second: Spread,
    pub transitions_per_commit: Spread,
    /// Embedded of the whole process, its start and the accounts included; on the stack of all
    /// processes while the load ran.
    pub cpu_ms_per_saga: Spread,
    pub p50_ms: Spread,
    pub p95_ms: Spread,
    pub p99_ms: Spread,
    /// Of each process the run with its median of processor time.
    pub processes: Vec<Cost>,
}

/// Orders at a fixed rate, each one's time counted from when it was due.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Paced {
    #[serde(skip)]
    pub side: Side,
    /// Orders a second.
    pub rate: u32,
    pub orders: u32,
    /// Sagas that ended a second. Below the rate the system did not keep up.
    pub sagas_per_second: f64,
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub processes: Vec<Cost>,
}

/// Both, on the real parts.
#[derive(Serialize)]
pub struct OnStack {
    pub throughput: Throughput,
    pub paced: Paced,
}

impl Display for Throughput {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { side, orders, concurrency, runs, .. } = self;
        writeln!(
            f,
            "Throughput, {side}: {orders} orders of one line, {concurrency} at a time, {runs} runs"
        )?;
        write!(f, "{:26}{:>10}{:>10}{:>10}", "", "min", "median", "max")?;
        let mut row = |name, Spread { min, median, max }: &Spread, decimals| {
            write!(f, "\n  {name:24}{min:10.decimals$}{median:10.decimals$}{max:10.decimals$}")
        };
        row("sagas/s", &self.sagas_per_second, 0)?;
        row("transitions per commit", &self.transitions_per_commit, 1)?;
        row("CPU ms per saga", &self.cpu_ms_per_saga, 3)?;
        row("p50, ms", &self.p50_ms, 1)?;
        row("p95, ms", &self.p95_ms, 1)?;
        row("p99, ms", &self.p99_ms, 1)?;
        write_costs(f, &self.processes)
    }
}

impl Display for Paced {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { side, rate, orders, sagas_per_second, .. } = self;
        writeln!(f, "At a fixed rate, {side}: {rate} orders a second, {orders} of them")?;
        write!(
            f,
            "  ended                   {sagas_per_second:.0} a second\n  \
             p50 / p95 / p99         {:.1} / {:.1} / {:.1} ms since they were due",
            self.p50_ms, self.p95_ms, self.p99_ms
        )?;
        write_costs(f, &self.processes)
    }
}

impl Display for OnStack {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.throughput, self.paced)
    }
}

fn write_costs(f: &mut Formatter<'_>, costs: &[Cost]) -> fmt::Result {
    costs.iter().try_for_each(|Cost { process, cpu_ms_per_saga, memory_bytes }| {
        let memory = megabytes(*memory_bytes);
        write!(f, "\n  {process:24}{cpu_ms_per_saga:.3} ms of CPU per saga, {memory:.0} MB")
    })
}
