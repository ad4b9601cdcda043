//! The `skald` program: parses its arguments and runs the command.

use std::process::ExitCode;

use clap::Parser;
use skald::cli::Cli;

/// Many small allocations on several threads are what a server of JSON does all day.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    skald::failpoint::set_up();
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
