//! Many seeds.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::faults::{Fault, Faults};
use crate::run_seed::{Run, report, run};

/// From so many seeds on, every kind of fault must have occurred.
const ENOUGH: u64 = 2_000;

/// Seeds whose reports are printed.
const REPORTS: usize = 3;

/// What came of many seeds.
#[derive(Default)]
struct Sum {
    seeds: u64,
    steps: u64,
    shortest: u64,
    faults: Faults,
    violations: u64,
    ends: BTreeMap<String, u64>,
    hash: u64,
    reports: Vec<String>,
}

impl Sum {
    fn add(&mut self, seed: u64, run: &Run) {
        self.seeds += 1;
        self.steps += run.steps;
        self.shortest = if self.seeds == 1 { run.steps } else { self.shortest.min(run.steps) };
        self.faults.add(&run.faults);
        self.hash ^= run.hash;
        run.ends.iter().for_each(|end| *self.ends.entry(end.clone()).or_default() += 1);
        if run.broken.is_some() {
            self.violations += 1;
            if self.reports.len() < REPORTS {
                self.reports.push(report(seed, run));
            }
        }
    }

    fn join(&mut self, other: Self) {
        self.shortest =
            if self.seeds == 0 { other.shortest } else { self.shortest.min(other.shortest) };
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.faults.add(&other.faults);
        self.violations += other.violations;
        self.hash ^= other.hash;
        self.reports.extend(other.reports);
        for (end, count) in other.ends {
            *self.ends.entry(end).or_default() += count;
        }
    }

    fn missing(&self) -> Vec<&'static str> {
        let never = Fault::ALL.iter().filter(|fault| self.faults.of(**fault) == 0);
        never.map(|fault| fault.name()).collect()
    }
}

/// Runs `count` seeds from `first` on; tells whether all kept their promises, and none was spared
/// anything.
pub fn many(first: u64, count: u64) -> bool {
    let began = Instant::now();
    let threads = std::env::var("SIM_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let (next, sum) = (AtomicU64::new(first), Mutex::new(Sum::default()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut mine = Sum::default();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        break;
                    }
                    mine.add(seed, &run(seed));
                }
                sum.lock().unwrap().join(mine);
            });
        }
    });
    let sum = sum.into_inner().unwrap();
    sum.reports.iter().take(REPORTS).for_each(|report| println!("{report}"));
    let missing = if count >= ENOUGH { sum.missing() } else { Vec::new() };
    if !missing.is_empty() {
        println!("never happened: {}", missing.join(", "));
    }
    let ends = sum.ends.iter().map(|(why, count)| match why.as_str() {
        "" => format!("{count} confirmed"),
        why => format!("{count} cancelled for {why}"),
    });
    println!("orders: {}", ends.collect::<Vec<_>>().join(", "));
    let seconds = began.elapsed().as_secs_f64();
    let faults: Vec<String> = Fault::ALL
        .iter()
        .map(|fault| format!("{} {}", fault.name(), sum.faults.of(*fault)))
        .collect();
    println!(
        "{} seeds, {} steps (at least {} a seed), {:.0} steps/s on {threads} core(s), trace hash {:016x}, {} faults ({}), {} violations",
        sum.seeds,
        sum.steps,
        sum.shortest,
        sum.steps as f64 / seconds,
        sum.hash,
        sum.faults.sum(),
        faults.join(", "),
        sum.violations
    );
    sum.violations == 0 && missing.is_empty()
}

/// Runs one seed twice, and tells its story.
pub fn one(seed: u64) -> bool {
    let (once, again) = (run(seed), run(seed));
    println!("seed {seed}: {} steps, trace hash {:016x}", once.steps, once.hash);
    if once.hash != again.hash {
        println!("the same seed ran differently the second time: {:016x}", again.hash);
    }
    match &once.broken {
        Some(_) => println!("{}", report(seed, &once)),
        None => println!("it keeps its promises"),
    }
    once.broken.is_none() && once.hash == again.hash
}

/// Switches each known mistake on in turn, and tells whether each was found within so many seeds.
#[cfg(feature = "seeded-bugs")]
pub fn bugs(within: u64) -> bool {
    use crate::run_seed::shorten;
    use skald::seeded::{Bug, switch};
    let mut all = true;
    let only = std::env::var("SIM_BUG").ok();
    let wanted = |bug: &&Bug| only.as_ref().is_none_or(|only| *only == format!("{bug:?}"));
    for &bug in Bug::ALL.iter().filter(wanted) {
        switch(Some(bug));
        let found = (0..within).map(|seed| (seed, run(seed))).find(|(_, run)| run.broken.is_some());
        match &found {
            Some((seed, run)) => {
                let (story, broken) = shorten(&run.profile, &run.trace);
                println!("{bug:?}: found at seed {seed}, {} steps: {broken}", story.len());
            }
            None => println!("{bug:?}: NOT FOUND in {within} seeds. {}", bug.what()),
        }
        all &= found.is_some();
    }
    switch(None);
    println!(
        "{} known mistakes, {}",
        Bug::ALL.len(),
        if all { "all found" } else { "some not found" }
    );
    all
}
