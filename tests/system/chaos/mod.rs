//! Real processes and services under faults, while customers order.
//!
//! | file | holds |
//! |---|---|
//! | `fault` | what can go wrong, and in which order it does |
//! | `site` | the installation: services of the test's own, processes, and the network between them |
//! | `strike` | how each fault comes about and is over |
//! | `quiet` | what must be so when all is quiet again |
//! | `report` | what a run came to |
//! | `ear`, `mail_server` | who listens to the events, who takes the mails |
//!
//! A run is a number of rounds. In each some faults happen, several at a time; then customers stop,
//! everything has to come to its end, and all is checked (`crate::accounts`).

pub mod ear;
mod fault;
mod mail_server;
mod quiet;
mod report;
mod site;
mod strike;

use std::env;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fault::{Deck, Fault, Target};
use report::Report;
use site::Site;
use strike::Strike;
use uuid::Uuid;

pub use ear::Ear;

use crate::accounts::Books;
use crate::customer::{Fate, Log, stock_up};
use crate::dice::Dice;
use crate::many::under_load;
use crate::proxy::Proxy;

const PRODUCTS: usize = 40;
/// What each customer thinks between two orders; some fifty orders a second come of it.
const THINKS: Duration = Duration::from_millis(100);
/// How many faults at most there are at a time.
const AT_A_TIME: usize = 4;
/// How many faults a round has.
const IN_A_ROUND: usize = 10;

#[test]
fn nothing_is_lost_or_doubled_whatever_fails() {
    let mut run = Run::begin(seed());
    let faults = run.deck.one_of_each();
    run.round(faults);
    run.end();
}

#[test]
#[ignore = "takes as many minutes as it is told: see make chaos"]
fn nothing_is_lost_or_doubled_however_long_everything_fails() {
    let minutes = number("SKALD_CHAOS_MINUTES").unwrap_or(5);
    let (mut run, began) = (Run::begin(seed()), Instant::now());
    while began.elapsed() < Duration::from_secs(60 * minutes) && run.report.violations.is_empty() {
        let faults = (0..IN_A_ROUND).map(|_| run.deck.deal()).collect();
        run.round(faults);
    }
    run.end();
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().filter(|text| !text.is_empty()).map(|text| text.parse().unwrap())
}

fn seed() -> u64 {
    number("SKALD_CHAOS_SEED").unwrap_or_else(|| fastrand::u64(1..1_000_000))
}

/// A run under way.
struct Run {
    site: Site,
    deck: Deck,
    log: Arc<Log>,
    report: Report,
    /// What was checked in earlier rounds: sagas, and submissions.
    since: Option<Uuid>,
    checked: usize,
}

impl Run {
    fn begin(seed: u64) -> Self {
        let dice = Dice::of(seed);
        let site = Site::build();
        let left_out = site.left_out.clone();
        for (kind, why) in &left_out {
            println!("{kind:?} is left out: {why}");
        }
        let deck = Deck::new(dice, site.crew(), left_out.iter().map(|(kind, _)| *kind).collect());
        let node = site.nodes.lock().unwrap()[0];
        stock_up(node, PRODUCTS);
        let log = Log::of_slow_customers(THINKS);
        let report = Report { left_out, ..Report::default() };
        Self { site, deck, log, report, since: None, checked: 0 }
    }

    /// Has these faults happen while customers order, then everything come to rest, and checks it.
    fn round(&mut self, faults: Vec<Fault>) {
        let last_fault = self.faults(faults);
        self.site.look_after_the_dead();
        self.report.violations.append(&mut self.site.deaths.lock().unwrap());
        match quiet::until_all_is_over(&self.site, &self.log, PRODUCTS, last_fault) {
            Ok(took) => self.report.settled.push(took),
            Err(what) => return self.report.violations.push(format!("not over: {what}")),
        }
        println!("  over after {:?}", last_fault.elapsed());
        self.report.violations.extend(quiet::leftovers(&self.site));
        let books = self.check();
        self.since = books.sagas.keys().next_back().copied().or(self.since);
        self.checked = self.log.submissions().len();
    }

    /// Several at a time, each when what it hits is not hit already. Returns when the last one was over.
    fn faults(&mut self, faults: Vec<Fault>) -> Instant {
        let (site, deck, busy) = (&self.site, &mut self.deck, &Busy::default());
        under_load(&site.nodes, &self.log, PRODUCTS, || {
            thread::scope(|scope| {
                for fault in faults {
                    let turn = busy.take(fault.target);
                    *self.report.faults.entry(fault.kind).or_default() += 1;
                    scope.spawn(move || {
                        let began = Instant::now();
                        Strike { site, fault }.run();
                        println!("  {:?} of {:?}: {:?}", fault.kind, fault.target, began.elapsed());
                        drop(turn);
                    });
                    thread::sleep(deck.pause());
                }
            });
        });
        Instant::now()
    }

    fn check(&mut self) -> Books {
        let (books, found) = quiet::violations(&self.site, &self.log, self.since, self.checked);
        self.report.violations.extend(found);
        books
    }

    /// Checks everything once more, from the first order on, and tells what the run came to.
    fn end(mut self) {
        if !self.report.settled.is_empty() {
            (self.since, self.checked) = (None, 0);
            let books = self.check();
            for order in books.orders.values() {
                let reason = order.reason.as_deref().unwrap_or_default();
                let end = format!("{} {reason}", order.status).trim_end().to_owned();
                *self.report.orders.entry(end).or_default() += 1;
            }
            for letter in &books.letters {
                let why = format!("{}: {}", letter.queue, letter.reason);
                *self.report.dead_letters.entry(why).or_default() += 1;
            }
        }
        let mails = self.site.mail.lock().unwrap().mails();
        self.report.mails_twice = mails.values().filter(|times| **times > 1).count();
        let fates = self.log.submissions();
        self.report.in_doubt = fates.iter().filter(|it| it.fate == Fate::InDoubt).count();
        drop(fates);
        self.report.commits_lost = self.site.store_links.iter().map(Proxy::lost).sum();
        self.report.confirms_lost = self.site.broker_links.iter().map(Proxy::lost).sum();
        println!("{}", self.report);
        if !self.report.violations.is_empty() {
            println!("the logs are in {}", self.site.keep_logs());
        }
        assert!(self.report.violations.is_empty(), "{}", self.report);
        self.expect_that_it_meant_something();
    }

    /// A run in which nothing was at stake shows nothing.
    fn expect_that_it_meant_something(&self) {
        let orders: usize = self.report.orders.values().sum();
        assert!(orders > 100, "{orders} orders");
        assert!(self.report.commits_lost > 0, "every COMMIT was answered");
        assert!(self.report.confirms_lost > 0, "every confirmation was heard");
    }
}

/// What is being hit.
#[derive(Default)]
struct Busy {
    targets: Mutex<Vec<Target>>,
    changed: Condvar,
}

/// The right to hit something, given back when it is dropped.
struct Turn<'a>(&'a Busy, Target);

impl Busy {
    /// Waits until there may be one more, and until this one is free.
    fn take(&self, target: Target) -> Turn<'_> {
        let targets = self.targets.lock().unwrap();
        let is_busy =
            |targets: &mut Vec<Target>| targets.len() >= AT_A_TIME || targets.contains(&target);
        self.changed.wait_while(targets, is_busy).unwrap().push(target);
        Turn(self, target)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.targets.lock().unwrap().retain(|it| *it != self.1);
        self.0.changed.notify_all();
    }
}
