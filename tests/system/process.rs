//! A `skald` that the test owns.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;

use crate::until::until;

/// A running `skald`, which logs to a file. Killed, without any farewell, when it is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// The program in `folder`, with nothing of the test's environment.
    pub fn command(folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_skald"));
        command.args(arguments).current_dir(folder).env_clear().env("TMPDIR", folder);
        command.envs([("SKALD_LOG_FORMAT", "json"), ("SKALD_LOG_FILTER", "skald=info")]);
        command
    }

    /// Starts `command`, which logs to `log`, and waits until it is ready.
    pub fn start(command: Command, log: PathBuf) -> Self {
        Self::attempt(command, log).unwrap_or_else(|told| panic!("{told}"))
    }

    /// The same where something that it needs may be away.
    ///
    /// # Errors
    /// When it ends instead; with what it logged.
    pub fn attempt(mut command: Command, log: PathBuf) -> Result<Self, String> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let mut process = Self { child, log };
        let mut ended = None;
        until("the process is ready", || {
            ended = process.child.try_wait().unwrap();
            ended.is_some() || process.text().contains(r#""message":"ready""#)
        });
        match ended {
            None => Ok(process),
            Some(status) => Err(format!("{command:?}: {status}\n{}", process.text())),
        }
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// What the system calls it.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where its API listens.
    pub fn address(&self) -> SocketAddr {
        let ready = |line: &Value| line["message"] == "ready";
        let ready = self.log().into_iter().find(ready).unwrap();
        ready["dashboard"].as_str().unwrap().strip_prefix("http://").unwrap().parse().unwrap()
    }

    /// What it has logged, without a line that is not complete.
    pub fn log(&self) -> Vec<Value> {
        self.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The same as text.
    pub fn text(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Whether it has ended by itself, by whatever cause.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// SIGTERM, and waits until it has ended.
    pub fn stop(mut self) -> ExitStatus {
        self.signal("TERM");
        let mut status = None;
        until("the process has ended", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn end(&mut self) {
        // Either may fail only because it is over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
