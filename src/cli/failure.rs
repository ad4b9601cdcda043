//! How a command fails: what happened, a code for programs, and what to do next.

use std::fmt;
use std::process::ExitCode;

use crate::config::ConfigError;
use crate::store::OpenError;
use crate::telemetry::TelemetryError;

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    exit: Exit,
    code: String,
    what: String,
    next: Option<String>,
}

/// What the calling program is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 1: it was tried and failed.
    Failed,
    /// 2: the arguments or the configuration are wrong; nothing was tried.
    Usage,
    /// 3: there is no such thing.
    NotFound,
    /// 5: it can't be done as things stand.
    Conflict,
}

impl Failure {
    /// A failure whose `code` names it for programs.
    pub fn new(exit: Exit, code: impl Into<String>, what: impl Into<String>) -> Self {
        Self { exit, code: code.into(), what: what.into(), next: None }
    }

    /// Adds what to do next.
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// What the calling program is told.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// The exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self.exit {
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Conflict => 5,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.what)?;
        match &self.next {
            Some(next) => write!(f, "\nnext: {next}"),
            None => Ok(()),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Usage, "BAD_CONFIGURATION", error.to_string())
    }
}

impl From<TelemetryError> for Failure {
    fn from(error: TelemetryError) -> Self {
        Self::new(Exit::Failed, "NO_TELEMETRY", error.to_string())
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(Exit::Failed, "STORE_NOT_OPENED", error.to_string())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let what = format!("{error:#}");
        let is = |kind| {
            error.chain().any(|cause| {
                cause.downcast_ref::<std::io::Error>().is_some_and(|cause| cause.kind() == kind)
            })
        };
        if is(std::io::ErrorKind::AddrInUse) {
            return Self::new(Exit::Failed, "ADDRESS_IN_USE", what)
                .next("stop what listens there, or choose another address with --listen");
        }
        Self::new(Exit::Failed, "START_FAILED", what)
    }
}
