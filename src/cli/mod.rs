//! The command line.
//!
//! A result goes to standard output, alone; logs, progress and errors go to standard error. The
//! exit code is 0 for success, 1 for failure, 2 for wrong arguments or configuration, 3 where there
//! is no such thing, and 5 where it can't be done as things stand.

mod attended;
mod client;
mod config;
mod dead_letters;
mod demo;
mod doctor;
mod failure;
mod health;
mod migrate;
mod output;
mod pages;
mod saga;
mod serve;
mod settings;
mod worker;

use clap::{Parser, Subcommand};

pub use failure::{Exit, Failure};

/// A durable saga orchestrator: an accepted order is never lost, never half done, never stuck in
/// silence.
#[derive(Debug, Parser)]
#[command(name = "skald", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the orchestrator with its workers, API and dashboard until it is told to stop
    Serve(serve::Serve),
    /// Run one worker in a process of its own, with PostgreSQL and RabbitMQ
    Worker(worker::Worker),
    /// Ask a process whether it can do its work
    Health(health::Health),
    /// Look at everything that an installation stands on, and say how to repair what is not well
    Doctor(doctor::Doctor),
    /// Check the configuration, or show where each setting comes from
    #[command(subcommand)]
    Config(config::Command),
    /// Make the stores, or bring them up to date
    Migrate(migrate::Migrate),
    /// Look at sagas, and try again what is stuck
    #[command(subcommand)]
    Saga(saga::Command),
    /// Look at messages that could not be processed, send them again or let them be
    #[command(subcommand)]
    DeadLetters(dead_letters::Command),
    /// Run orders through a Skald of its own, and check that everything adds up
    Demo(demo::Demo),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// When it failed; the failure knows the exit code.
    pub fn run(self) -> Result<(), Failure> {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Worker(worker) => worker.run(),
            Command::Health(health) => health.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Config(config) => config.run(),
            Command::Migrate(migrate) => migrate.run(),
            Command::Saga(saga) => saga.run(),
            Command::DeadLetters(letters) => letters.run(),
            Command::Demo(demo) => demo.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Cli::command().debug_assert();
    }
}
