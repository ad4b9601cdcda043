//! Processes that are told to stop, under load: they finish what is in hand and go.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::accounts::{self, Outside};
use crate::chaos::Ear;
use crate::customer::{Log, finish, stock_up};
use crate::dice::Dice;
use crate::installation::{Installation, together};
use crate::many::under_load;
use crate::process::Process;
use crate::rabbitmq::Broker;
use crate::smtp_sink::{Protection, Sink};
use crate::until::until;

const PRODUCTS: usize = 40;
const THINKS: Duration = Duration::from_millis(25);
/// Two of each; whoever stops is followed by another one.
const PROCESSES: [&str; 6] =
    ["serve", "inventory", "notification", "serve", "inventory", "notification"];

#[test]
fn processes_that_are_told_to_stop_lose_and_double_nothing() {
    stop_under_load(12);
}

#[test]
#[ignore = "takes a quarter of an hour: see make drain"]
fn processes_that_are_told_to_stop_again_and_again_lose_and_double_nothing() {
    let times = std::env::var("SKALD_DRAIN_TIMES").ok().filter(|text| !text.is_empty());
    let took = stop_under_load(times.map_or(200, |times| times.parse().unwrap()));
    assert!(took < Duration::from_secs(25), "a process took {took:?} to stop");
}

/// Stops one process after the other, so many times. Returns the longest that one took.
///
/// The broker forgets as much as it can of what a process acknowledges last; that comes again to another.
fn stop_under_load(times: usize) -> Duration {
    let sink = Sink::start(Protection::None);
    let broker = Broker::with_soft_limit(1);
    let installation = Installation::with_broker(broker.url());
    let start = |kind: &str| match kind {
        "serve" => installation.orchestrator(),
        worker => {
            let mut command = installation.command(&["worker", worker]);
            command.env("SKALD_MAIL_URL", sink.url()).env("SKALD_MAIL_FROM", "orders@example.org");
            installation.start(command, worker)
        }
    };
    let ear = Ear::listening(installation.bus());
    let mut processes = together(PROCESSES.len(), |n| start(PROCESSES[n]));
    let addresses = |processes: &[Process]| {
        let nodes = processes.iter().zip(PROCESSES).filter(|(_, kind)| *kind == "serve");
        nodes.map(|(node, _)| node.address()).collect::<Vec<_>>()
    };
    let nodes = Mutex::new(addresses(&processes));
    stock_up(processes[0].address(), PRODUCTS);
    let log = Log::of_slow_customers(THINKS);
    let (mut dice, mut took) = (Dice::new(), Vec::new());
    under_load(&nodes, &log, PRODUCTS, || {
        for _ in 0..times {
            let enough = log.count.load(Ordering::SeqCst) + 5 + dice.below(60);
            until("orders are accepted", || log.count.load(Ordering::SeqCst) >= enough);
            let n = dice.below(processes.len());
            let next = start(PROCESSES[n]);
            let old = std::mem::replace(&mut processes[n], next);
            *nodes.lock().unwrap() = addresses(&processes);
            let began = Instant::now();
            let status = old.stop();
            assert!(status.success(), "{}: {status}", PROCESSES[n]);
            took.push((began.elapsed(), PROCESSES[n]));
        }
    });
    finish(processes[0].address(), &log, PRODUCTS);
    let expected = accounts::expected(&accounts::Books::read(&installation.source(), None));
    until("every event is heard", || ear.count() >= expected.len());
    let (mails, heard) = (sink.mails(), ear.heard());
    let twice = |all: &BTreeMap<String, usize>| all.values().filter(|times| **times > 1).count();
    let (mails_twice, events_twice) = (twice(&mails), twice(&heard));
    took.sort_unstable();
    let (slowest, kind) = took.last().copied().unwrap();
    println!(
        "{times} stops, the slowest {slowest:?} ({kind}), half within {:?}",
        took[times / 2].0
    );
    println!("{mails_twice} mails and {events_twice} events came twice");
    let outside = Outside { log: &log, first: 0, mails, heard: Some(heard) };
    accounts::everything_adds_up(&installation.source(), &outside);
    assert_eq!(mails_twice, 0, "whoever stops in good order sends no mail that it does not record");
    slowest
}
