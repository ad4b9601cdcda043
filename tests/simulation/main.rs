//! The simulation and the model check, as much of them as a test run has time for.
//!
//! `make sim` runs a million seeds and tries the known mistakes, `make model` goes through millions of
//! worlds; docs/reliability.md says what that shows.
//!
//! | module | holds |
//! |---|---|
//! | `world` | the production machines in a world that fails in every way the real one may |
//! | `promises` | what must hold after each step, and in the end |
//! | `faults` | the kinds of faults, counted |
//! | `profile`, `chaos`, `run_seed`, `seeds` | the simulation: what a seed's world is like, what happens in it, one run, many |
//! | `model`, `fingerprint` | the exhaustive check |
//! | `equivalence` | that the simulated stores behave like the real ones |
//! | `run` | the program of `make sim` and `make model` |

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod chaos;
mod equivalence;
mod faults;
mod fingerprint;
#[path = "../core/invariants.rs"]
mod invariants;
mod model;
mod profile;
mod promises;
mod run_seed;
#[allow(dead_code)]
mod seeds;
mod world;

use model::{Budget, Model, check, unlike};
use run_seed::run;
use world::{Also, Setting};

/// How many seeds a test run takes: some seconds' worth without optimisation, and enough for every kind
/// of fault to occur.
const SEEDS: u64 = 2_000;

#[test]
fn whatever_happens_the_promises_are_kept_and_all_comes_to_an_end() {
    assert!(seeds::many(0, SEEDS), "the output tells the shortest story");
}

/// A checker that can't fail proves nothing.
#[cfg(feature = "seeded-bugs")]
#[test]
fn every_known_mistake_breaks_a_promise() {
    use skald::seeded::{Bug, switch};
    for &bug in Bug::ALL {
        switch(Some(bug));
        let found = (0..SEEDS).find(|seed| run(*seed).broken.is_some());
        assert!(found.is_some(), "{bug:?} is not found in {SEEDS} seeds: {}", bug.what());
    }
    switch(None);
}

#[test]
fn a_seed_runs_the_same_every_time() {
    for seed in 0..50 {
        let (once, again) = (run(seed), run(seed));
        assert_eq!((once.hash, once.steps), (again.hash, again.steps), "seed {seed}");
        assert_eq!(once.trace, again.trace);
    }
}

fn one_order(nodes: usize, budget: Budget) -> Model {
    let setting = Setting {
        nodes,
        workers: 1,
        stock: 1,
        orders: vec![(1, Also::Nothing, true)],
        command_deliveries: 20,
        new: false,
    };
    Model::new("1 order", setting, budget)
}

const NONE: Budget = Budget { crashes: 0, doubles: 0, losses: 0, wishes: 0, expiries: 0, waits: 0 };

#[test]
fn every_world_of_one_order_a_crash_and_a_loss_keeps_the_promises() {
    let found = check(&one_order(1, Budget { crashes: 1, losses: 1, ..NONE }), 1_000_000);
    assert!(found.broken.is_none(), "{found:?}");
    assert!(found.complete && found.states > 500, "{found:?}");
}

#[test]
fn steps_that_are_said_to_need_no_choice_keep_no_end_from_being_reached() {
    let takeover = Budget { crashes: 1, expiries: 1, ..NONE };
    for model in [one_order(2, takeover), one_order(1, Budget { doubles: 1, wishes: 1, ..NONE })] {
        let ends = check(&model, 1_000_000);
        let all = check(&Model { thorough: true, ..model.clone() }, 1_000_000);
        assert!(ends.states * 2 < all.states, "{ends:?} {all:?}");
        assert!(ends.complete && all.complete && ends.ends == all.ends, "{ends:?} {all:?}");
        let expires = model.budget.expiries > 0;
        assert!(ends.spent > 0 && (ends.taken_over > 0) == expires, "{ends:?}");
    }
}

#[test]
fn worlds_that_count_as_the_same_lead_on_to_the_same_worlds() {
    let takeover = Budget { crashes: 1, expiries: 1, ..NONE };
    let models = [
        one_order(2, Budget { wishes: 1, ..takeover }),
        one_order(1, Budget { losses: 1, doubles: 1, ..NONE }),
        one_order(2, Budget { losses: 1, waits: 1, ..takeover }),
    ];
    for model in models {
        let two = unlike(&model, 1_500);
        assert!(two.is_none(), "of {model:?} these two are not the same: {two:#?}");
    }
}
