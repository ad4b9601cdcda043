//! What a run came to.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::fault::Kind;

/// The figures of a run.
#[derive(Default)]
pub struct Report {
    pub faults: BTreeMap<Kind, usize>,
    pub left_out: Vec<(Kind, String)>,
    /// How long it took after each round's last fault until everything was over.
    pub settled: Vec<Duration>,
    pub orders: BTreeMap<String, usize>,
    /// Submissions whose answer never came and whose customer never asked again.
    pub in_doubt: usize,
    /// How many COMMITs were lost, or their answers.
    pub commits_lost: u32,
    /// How many confirmations of the broker nobody heard.
    pub confirms_lost: u32,
    /// Mails that were taken more than once.
    pub mails_twice: usize,
    /// By queue and reason.
    pub dead_letters: BTreeMap<String, usize>,
    pub violations: Vec<String>,
}

impl Report {
    pub fn kills(&self) -> usize {
        self.faults.iter().filter(|(kind, _)| kind.is_kill()).map(|(_, count)| count).sum()
    }

    /// The longest that anything took after the last fault.
    pub fn slowest(&self) -> Duration {
        self.settled.iter().max().copied().unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: usize = self.faults.values().sum();
        writeln!(
            f,
            "{all} faults, {} of them kills, in {} rounds",
            self.kills(),
            self.settled.len()
        )?;
        for (kind, count) in &self.faults {
            writeln!(f, "  {count:>4} {kind:?}")?;
        }
        for (kind, why) in &self.left_out {
            writeln!(f, "  LEFT OUT {kind:?}: {why}")?;
        }
        let orders: usize = self.orders.values().sum();
        writeln!(f, "{orders} orders: {:?}", self.orders)?;
        writeln!(f, "{} submissions whose answer never came", self.in_doubt)?;
        writeln!(f, "{} COMMITs and {} confirmations lost", self.commits_lost, self.confirms_lost)?;
        writeln!(
            f,
            "{} mails more than once, dead letters: {:?}",
            self.mails_twice, self.dead_letters
        )?;
        let seconds: Vec<_> =
            self.settled.iter().map(|it| format!("{:.0}", it.as_secs_f64())).collect();
        writeln!(
            f,
            "seconds until all was over after the last fault of a round: {}",
            seconds.join(" ")
        )?;
        let last = self.settled.last().copied().unwrap_or_default();
        writeln!(
            f,
            "at most {:.1} s, after the last one {:.1} s",
            self.slowest().as_secs_f64(),
            last.as_secs_f64()
        )?;
        writeln!(f, "{} violations", self.violations.len())?;
        for violation in self.violations.iter().take(100) {
            writeln!(f, "  {violation}")?;
        }
        Ok(())
    }
}
