//! The long runs: `make sim SEEDS=…`, `make model`.

// The fixtures are those of the tests.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used,
    missing_docs
)]

mod chaos;
mod faults;
mod fingerprint;
#[path = "../core/invariants.rs"]
mod invariants;
mod model;
mod profile;
mod promises;
mod run_seed;
mod seeds;
mod world;

use std::process::ExitCode;

/// As in the shipped program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let numbers: Vec<u64> = arguments.filter_map(|number| number.parse().ok()).collect();
    let clean = match (command.as_str(), &numbers[..]) {
        ("seeds", [first, count]) => seeds::many(*first, *count),
        ("seed", [seed]) => seeds::one(*seed),
        ("bugs", [within]) => seeds::bugs(*within),
        ("model", [most]) => model::all::all(*most as usize),
        ("everything", [most]) => model::all::everything(*most as usize),
        ("model", [most, place]) => model::all::one(*most as usize, *place as usize),
        _ => {
            println!(
                "simulation seeds FIRST COUNT | seed SEED | bugs WITHIN | model MOST [PLACE] | everything MOST"
            );
            return ExitCode::FAILURE;
        }
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
