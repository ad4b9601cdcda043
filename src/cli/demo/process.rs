//! A process that the demo starts, and that does not outlive it.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::failed;
use crate::cli::failure::Failure;

/// Requests under way may take ten seconds, and services take a few to end.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// Processes take tens of milliseconds to stop.
const GLANCE: Duration = Duration::from_millis(5);

/// A process that prints one line on standard output once it is up, and stops when its standard
/// input ends. However this process ends, that ends, too.
pub struct Process {
    name: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start(name: &'static str, command: &mut Command) -> Result<Self, Failure> {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            started.map_err(|error| failed(format!("the {name} can't be started: {error}")))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => {
                Ok(Self { name, child, input, output: BufReader::new(output) })
            }
            _ => Err(failed(format!("the {name} has no pipes"))),
        }
    }

    /// Starts this very program again with other arguments. Ctrl-C does not reach it: it is stopped
    /// in its turn.
    ///
    /// # Errors
    /// When the program is gone.
    pub fn skald(
        name: &'static str,
        arguments: &[&str],
        more: &[OsString],
        variables: &[(&str, String)],
    ) -> Result<Self, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| failed(format!("this program can't be found again: {error}")))?;
        let mut command = Command::new(program);
        command.args(arguments).arg("--attended").args(more).process_group(0);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Self::start(name, &mut command)
    }

    /// Waits until it is up; returns what it says then.
    ///
    /// # Errors
    /// When it ended instead. It said why on standard error.
    pub fn ready(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(length) if length > 0 => Ok(line.trim_end().to_owned()),
            _ => Err(failed(format!("the {} did not start; it said why above", self.name))),
        }
    }

    /// Its name and its number.
    pub fn identity(&self) -> (&'static str, u32) {
        (self.name, self.child.id())
    }

    /// Fails where it has ended.
    ///
    /// # Errors
    /// When it has.
    pub fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(failed(format!("the {} ended: {status}", self.name))),
            Err(error) => Err(failed(format!("the {} can't be watched: {error}", self.name))),
        }
    }

    /// Has it stop in good order, and kills it if it does not.
    pub async fn stop(self) {
        let Self { name, mut child, input, output: _still_read } = self;
        drop(input);
        let since = Instant::now();
        while since.elapsed() < STOP_WITHIN {
            if !matches!(child.try_wait(), Ok(None)) {
                return;
            }
            sleep(GLANCE).await;
        }
        tracing::warn!("the {name} does not stop; killing it");
        // Either fails only because it has ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}
