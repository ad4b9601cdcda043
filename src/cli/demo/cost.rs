//! What processes cost while the load runs: processor time and memory, from `/proc`.
//!
//! Where there is no `/proc`, nothing is known, and the report leaves it out.

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

use super::report::rounded;

/// Ticks a second of the times in `/proc`. The kernel counts otherwise inside, but tells programs
/// hundredths.
const TICKS_A_SECOND: f64 = 100.0;

/// What one process cost, with all that descend from it unless they are measured by themselves.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cost {
    /// What it is.
    pub process: String,
    /// Processor time for each order, in milliseconds.
    pub cpu_ms_per_saga: f64,
    /// Memory at the end, in bytes; what processes share counts once. None where it must not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
}

/// A process to measure: its name for people, and its number.
pub type Measured = (String, u32);

/// Reads `NAME=PID`.
///
/// # Errors
/// When it is nothing like that.
pub fn parse(text: &str) -> Result<Measured, String> {
    let wanted = || "must be NAME=PID".to_owned();
    let (name, id) = text.split_once('=').ok_or_else(wanted)?;
    Ok((name.to_owned(), id.parse().map_err(|_| wanted())?))
}

/// Processor time of processes, from one moment to another.
pub struct Meter {
    processes: Vec<Measured>,
    before: Vec<u64>,
}

impl Meter {
    /// Starts to measure.
    pub fn start(processes: Vec<Measured>) -> Self {
        let before = Table::read().ticks(&processes);
        Self { processes, before }
    }

    /// What each process cost since then, for each of so many orders.
    pub fn read(self, orders: u64) -> Vec<Cost> {
        let table = Table::read();
        let after = table.ticks(&self.processes);
        let measured = self.processes.iter().zip(self.before.iter().zip(after));
        let known = measured.filter(|((_, id), _)| table.0.contains_key(id));
        known
            .map(|((name, id), (before, after))| {
                let millis = after.saturating_sub(*before) as f64 * 1_000.0 / TICKS_A_SECOND;
                Cost {
                    process: name.clone(),
                    cpu_ms_per_saga: rounded(millis / orders.max(1) as f64, 1_000.0),
                    memory_bytes: table.tree(*id, &self.processes).map(memory).sum(),
                }
            })
            .collect()
    }
}

/// The processes of this machine, by number.
struct Table(HashMap<u32, Entry>);

struct Entry {
    parent: u32,
    /// Its time, and that of its children who have ended.
    ticks: u64,
}

impl Table {
    fn read() -> Self {
        let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok());
        let entries = ids.filter_map(|id| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
            Some((id, Entry::parse(&stat, id == std::process::id())?))
        });
        Self(entries.collect())
    }

    fn ticks(&self, processes: &[Measured]) -> Vec<u64> {
        let of_tree = |id| {
            let members = self.tree(id, processes).filter_map(|id| self.0.get(&id));
            members.map(|entry| entry.ticks).sum()
        };
        processes.iter().map(|(_, id)| of_tree(*id)).collect()
    }

    /// A process and those that descend from it, but for those measured by themselves.
    fn tree(&self, root: u32, apart: &[Measured]) -> impl Iterator<Item = u32> {
        self.0.keys().copied().filter(move |id| {
            let mut at = *id;
            while at != root {
                let above = self.0.get(&at).map(|entry| entry.parent);
                match above {
                    Some(above) if above != 0 && !apart.iter().any(|(_, id)| *id == at) => {
                        at = above
                    }
                    _ => return false,
                }
            }
            true
        })
    }
}

impl Entry {
    /// Reads a line of `stat`. This process itself starts and ends others before the load, which are
    /// not of its own time.
    fn parse(stat: &str, is_this: bool) -> Option<Self> {
        // proc(5): the second field, a name in parentheses, may hold anything; `ppid` is the fourth,
        // and `utime`, `stime`, `cutime`, `cstime` are those from the 14th on.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let times = fields.get(11..if is_this { 13 } else { 15 })?;
        let ticks = times.iter().map(|ticks| ticks.parse::<u64>().ok()).sum::<Option<u64>>()?;
        Some(Self { parent: fields.get(1)?.parse().ok()?, ticks })
    }
}

/// A process's share of memory.
fn memory(id: u32) -> Option<u64> {
    let smaps = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
    let share = smaps.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kilobytes: u64 = share.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let stat = "7 (a) b (c) S 3 7 7 0 -1 4194560 9 0 0 0 100 20 3 4 20 0 1 0 5 6";
        let entry = Entry::parse(stat, false).unwrap();
        assert_eq!((entry.parent, entry.ticks), (3, 127));
        assert_eq!(Entry::parse(stat, true).unwrap().ticks, 120);
        assert!(Entry::parse("7 (cut S 3", false).is_none());
    }

    #[test]
    fn a_tree_counts_all_but_what_is_measured_apart() {
        let process = |id, parent| (id, Entry { parent, ticks: 1_u64 << id });
        let table = Table([process(1, 0), process(2, 1), process(3, 2), process(4, 1)].into());
        let named = |ids: &[u32]| ids.iter().map(|id| (String::new(), *id)).collect::<Vec<_>>();
        assert_eq!(table.ticks(&named(&[1])), [0b11110]);
        assert_eq!(table.ticks(&named(&[1, 2])), [0b10010, 0b1100]);
        assert_eq!(table.ticks(&named(&[9])), [0]);
    }

    #[test]
    fn this_process_costs_time_and_memory() {
        let meter = Meter::start(vec![("this".to_owned(), std::process::id())]);
        let [cost] = &meter.read(1)[..] else { panic!("one process, one cost") };
        assert!(cost.memory_bytes.unwrap() > 100_000, "{cost:?}");
    }

    #[test]
    fn what_to_measure_is_a_name_and_a_number() {
        assert_eq!(parse("postgres=12"), Ok(("postgres".to_owned(), 12)));
        for wrong in ["", "12", "a=", "a=b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
