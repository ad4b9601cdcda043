//! PostgreSQL and RabbitMQ, those that `scripts/stack` started and the environment names.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, bail};

#[path = "../../tests/support/stack.rs"]
mod stack;

pub use stack::{Database, Vhost, redis};

/// A database and a virtual host that nobody has used. Both go with this.
pub struct Installation {
    pub database: Database,
    pub vhost: Vhost,
    /// The processes of the services, as `NAME=PID`.
    processes: Vec<String>,
}

impl Installation {
    /// Makes one.
    ///
    /// # Errors
    /// When there are no services.
    pub fn new() -> anyhow::Result<Self> {
        let Some(control) = std::env::var_os("SKALD_TEST_RABBITMQCTL") else {
            bail!(
                "this part needs PostgreSQL and RabbitMQ: run `make bench`, or put \
                 `scripts/with-stack --` before the command"
            );
        };
        // The script keeps a folder for each service beside each other, with the processes in it.
        let stack = Path::new(&control).ancestors().nth(2).context("no stack's folder")?;
        let processes = [("PostgreSQL", "postgres"), ("RabbitMQ", "rabbitmq")];
        let processes = processes.into_iter().filter_map(|(name, folder)| {
            let lines = fs::read_to_string(stack.join(folder).join("pids")).ok()?;
            // The one that serves is the last; one in a container has no number here.
            let id: u32 = lines.lines().last()?.split(' ').next()?.parse().ok()?;
            Some(format!("{name}={id}"))
        });
        let processes = processes.collect();
        Ok(Self { database: Database::create(), vhost: Vhost::create(), processes })
    }

    /// Has a demo run on this.
    pub fn add_to(&self, demo: &mut Command) {
        demo.env("SKALD_STORE_URL", self.database.url()).env("SKALD_BUS_URL", self.vhost.url());
        demo.args(self.processes.iter().map(|process| format!("--measure={process}")));
    }
}
