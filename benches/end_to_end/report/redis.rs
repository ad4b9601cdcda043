//! What Redis gains, and what its absence costs.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;

use super::{Spread, median};
use crate::demo::Reads;

/// The same orders in two ways, in turns.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Pairs {
    pub what: String,
    pub orders: u32,
    pub pairs: usize,
    pub names: [&'static str; 2],
    pub sagas_per_second: [Spread; 2],
    pub p99_ms: [Spread; 2],
    /// The median of the ratios within the pairs: the second way's rate by the first one's.
    pub ratio: f64,
}

/// One run of a pair.
#[derive(Clone, Copy)]
pub struct Figures {
    pub sagas_per_second: f64,
    pub p99_ms: f64,
}

impl Pairs {
    /// Of at least one pair.
    pub fn of(what: String, orders: u32, names: [&'static str; 2], runs: &[[Figures; 2]]) -> Self {
        let spread = |n: usize, of: fn(&Figures) -> f64| {
            Spread::of(runs.iter().map(|pair| of(&pair[n])).collect())
        };
        let rates = |n| spread(n, |run| run.sagas_per_second);
        let times = |n| spread(n, |run| run.p99_ms);
        let ratios = runs.iter().map(|[one, other]| other.sagas_per_second / one.sagas_per_second);
        Self {
            what,
            orders,
            pairs: runs.len(),
            names,
            sagas_per_second: [rates(0), rates(1)],
            p99_ms: [times(0), times(1)],
            ratio: median(ratios.collect()),
        }
    }
}

impl Display for Pairs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {} pairs of {} orders, in turns", self.what, self.pairs, self.orders)?;
        for (n, name) in self.names.iter().enumerate() {
            let Spread { min, median, max } = &self.sagas_per_second[n];
            let p99 = self.p99_ms[n].median();
            writeln!(
                f,
                "  {name:<22}  {min:.0} / {median:.0} / {max:.0} sagas/s, p99 {p99:.0} ms"
            )?;
        }
        write!(f, "  the second by the first {:.3} (median of the pairs)", self.ratio)
    }
}

/// Reads of settled orders, with one kind of cache.
#[derive(Serialize)]
pub struct ReadsThrough {
    pub cache: &'static str,
    #[serde(flatten)]
    pub reads: Reads,
}

impl Display for ReadsThrough {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { cache, reads } = self;
        writeln!(f, "Reads of settled orders: {cache}")?;
        writeln!(
            f,
            "  from the store          {:.0} a second, p50 {:.2} ms",
            reads.store_per_second, reads.store_p50_ms
        )?;
        write!(
            f,
            "  through the cache       {:.0} a second, p50 {:.2} ms",
            reads.cache_per_second, reads.cache_p50_ms
        )
    }
}
