//! That the simulated stores behave like the real ones, so that what the simulation shows holds for
//! these, too: random scripts come to the same on the simulated store, SQLite and PostgreSQL.
//!
//! | file | holds |
//! |---|---|
//! | `stores` | the three stores |
//! | `simulated` | the simulated orchestrator's store behind the real ones' ports |
//! | `script`, `author` | what scripts are made of; who makes batches from them |
//! | `play`, `read` | a script carried out on all three; what is read of them |
//! | `errand`, `work` | the same for the workers' stores |
//! | `same` | answers compared |
//! | `tally` | what the scripts came to |

mod author;
mod errand;
mod play;
mod read;
// The conformance suite uses more of them.
mod same;
#[allow(dead_code)]
#[path = "../../adapters/store_conformance/sample.rs"]
mod sample;
mod script;
mod simulated;
#[path = "../../support/stack.rs"]
mod stack;
mod stores;
mod tally;
mod work;

use std::cell::RefCell;
use std::env;
use std::fmt::Debug;
use std::time::Instant;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use errand::Errand;
use play::Play;
use script::Step;
use stores::{Orchestrator, Server, Shop, Template};
use tally::Tally;
use work::Works;

/// How many scripts a test run has time for, and how many rounds of errands.
const SCRIPTS: u32 = 100;
const ERRANDS: u32 = 60;

/// A number from the environment.
fn number(variable: &str) -> Option<u32> {
    env::var(variable).ok().map(|text| text.parse().expect(variable))
}

/// Carries out as many scripts as there is time for in a test run, or as the environment says. Tells
/// whether these are enough for every kind of outcome to occur.
fn carry_out<S: Debug>(
    scripts: u32,
    script: impl Strategy<Value = S>,
    play: impl Fn(S) -> Result<(), TestCaseError>,
) -> bool {
    let cases = number("SKALD_EQUIVALENCE_SCRIPTS").unwrap_or(scripts);
    let seed = number("SKALD_EQUIVALENCE_SEED").unwrap_or(1);
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
    let began = Instant::now();
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    match TestRunner::new_with_rng(config, rng).run(&script, play) {
        Ok(()) => {
            let seconds = began.elapsed().as_secs_f32();
            println!("{cases} scripts of seed {seed} in {seconds:.1} s");
            cases >= scripts
        }
        Err(TestError::Fail(reason, script)) => {
            panic!("seed {seed}: the stores differ\nin {reason}\nafter {script:#?}")
        }
        Err(error) => panic!("seed {seed}: {error}"),
    }
}

#[test]
fn random_scripts_come_to_the_same_on_all_stores_of_the_orchestrators() {
    let (template, server, tally) = (Template::new(), Server::new(), Tally::default());
    let on_the_server = RefCell::new(Some(server.orchestrator()));
    let enough = carry_out(SCRIPTS, script::script(), |script: Vec<Step>| {
        server.wipe();
        let files = template.copy();
        let postgres = on_the_server.take().unwrap_or_else(|| server.orchestrator());
        let stores = vec![Orchestrator::simulated(), files.orchestrator(), postgres];
        let reopen = |store: Orchestrator| match store.name {
            "SQLite" => {
                drop(store);
                files.orchestrator()
            }
            "PostgreSQL" => {
                drop(store);
                server.orchestrator()
            }
            _ => store,
        };
        let mut play = Play::new(stores, &reopen, &tally);
        let played = play.of(&script);
        on_the_server.replace(play.stores.pop());
        played
    });
    tally.print();
    if enough {
        tally.must_have(&[
            "Written",
            "Settled",
            "Conflict",
            "Replayed",
            "Deposed",
            "Refused",
            "Stored",
            "Repeated",
            "Repeated with its outcome",
            "KeyTaken",
            "NoSuchSaga",
            "Told",
            "Nobody told",
            "Claimed",
            "Owned",
            "A full page: history",
            "A full page: unfinished",
            "A full page: due",
            "A full page: pending",
            "Restarted",
        ]);
    }
}

#[test]
fn random_errands_come_to_the_same_on_all_stores_of_the_workers() {
    let (template, server, tally) = (Template::new(), Server::new(), Tally::default());
    let on_the_server = RefCell::new(Some(server.shop()));
    let enough = carry_out(ERRANDS, errand::errands(), |errands: Vec<Errand>| {
        server.wipe();
        let files = template.copy();
        let postgres = on_the_server.take().unwrap_or_else(|| server.shop());
        let stores = vec![Shop::simulated(), files.shop(), postgres];
        let reopen = |shop: Shop| match shop.name {
            "SQLite" => {
                drop(shop);
                files.shop()
            }
            "PostgreSQL" => {
                drop(shop);
                server.shop()
            }
            _ => shop,
        };
        let works = Works::new(stores, &reopen, &tally);
        let worked = works.run(&errands);
        on_the_server.replace(works.shops().pop());
        worked
    });
    tally.print();
    if enough {
        tally.must_have(&[
            "inventory.reserved",
            "inventory.reservation_failed: INSUFFICIENT_STOCK",
            "inventory.reservation_failed: UNKNOWN_PRODUCT",
            "inventory.reservation_failed: ALREADY_RELEASED",
            "inventory.released",
            "notification.sent",
            "notification.retryable",
            "Set",
            "BelowReserved",
            "Changed",
            "Refused",
            "Restarted",
        ]);
    }
}
