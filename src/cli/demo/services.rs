//! A PostgreSQL and a RabbitMQ for the demo alone.

use std::path::PathBuf;
use std::process::Command;

use super::process::Process;
use crate::cli::failure::{Exit, Failure};

/// Starts services, and ends them however the program that it runs ends.
const SCRIPT: &str = "scripts/with-stack";

/// Tells where they are and waits for the end of its input. Ctrl-C is not for it: the demo stops
/// first.
const TELL_AND_WAIT: &str =
    r#"trap "" INT; echo "$SKALD_TEST_POSTGRES $SKALD_TEST_AMQP"; exec cat >/dev/null"#;

/// With these in the environment the script starts nothing and takes services that others use.
const OTHERS: [&str; 3] = ["SKALD_TEST_POSTGRES", "SKALD_TEST_AMQP", "SKALD_TEST_REDIS"];

/// New services without any data. They end when this process does.
pub struct Services {
    /// The database; holds its password.
    pub store: String,
    /// The broker; holds its password.
    pub bus: String,
    process: Process,
}

impl Services {
    /// Starts them, and waits until they are up. Blocks.
    ///
    /// # Errors
    /// When the script is not there, or does not get them to run.
    pub fn start() -> Result<Self, Failure> {
        let script = script()?;
        eprintln!("Starting PostgreSQL and RabbitMQ with {}", script.display());
        let mut command = Command::new(script);
        command.args(["postgres", "rabbitmq", "--", "sh", "-c", TELL_AND_WAIT]);
        OTHERS.into_iter().for_each(|name| {
            command.env_remove(name);
        });
        let mut process = Process::start("services", &mut command)?;
        let line = process.ready()?;
        let (store, bus) = line.split_once(' ').unwrap_or_default();
        Ok(Self { store: store.to_owned(), bus: bus.to_owned(), process })
    }

    /// Ends them, and deletes their data.
    pub async fn stop(self) {
        self.process.stop().await;
    }
}

/// The script in the sources that `cargo run` runs, or else in the current folder.
fn script() -> Result<PathBuf, Failure> {
    let sources = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let here = std::env::current_dir().ok();
    let found = sources.into_iter().chain(here).map(|folder| folder.join(SCRIPT));
    found.into_iter().find(|script| script.is_file()).ok_or_else(|| {
        let what = format!("there is no {SCRIPT} here that could start PostgreSQL and RabbitMQ");
        Failure::new(Exit::Usage, "NO_SERVICES", what).next(
            "run it from the folder of Skald's sources, or give SKALD_STORE_URL and SKALD_BUS_URL",
        )
    })
}
