//! Logs, metrics and traces.

pub mod catalogue;
mod json_lines;
mod otlp_client;
mod recorder;
mod traces;

use std::io::{self, IsTerminal};

use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Layer, fmt, prelude::*, registry};

use crate::config::{Log, LogFormat};
use json_lines::JsonLines;
pub use recorder::{Metrics, metrics};
pub use traces::{Traces, traces};

/// Why there are no logs, metrics or traces.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter can't be understood.
    #[error("the log filter can't be understood: {0}")]
    Filter(#[from] ParseError),
    /// This process has a log already.
    #[error("the log can't be set up: {0}")]
    Log(#[from] TryInitError),
    /// This process counts for somebody else already.
    #[error("the metrics can't be set up: {0}")]
    Metrics(String),
    /// Traces can't be sent.
    #[error("traces can't be sent: {0}; check telemetry.otlp_url")]
    Traces(String),
}

/// The AMQP library logs messages that reached no queue with all they hold. Whoever published them
/// is told, too.
const NO_PAYLOADS: &str = "lapin::returned_messages=off";

/// Starts the log of this process, on standard error.
///
/// Text has colours only on a terminal, and not where `NO_COLOR` is set. In JSON each line is one
/// object, in which the fields of the spans around an event, such as `sagaId` and `traceId`, stand
/// beside its own.
///
/// # Errors
/// When the filter is wrong, or the process has a log already.
pub fn log(log: &Log) -> Result<(), TelemetryError> {
    let filter = EnvFilter::try_new(&log.filter)?.add_directive(NO_PAYLOADS.parse()?);
    let layer = match log.format {
        LogFormat::Text => fmt::layer().with_writer(io::stderr).with_ansi(wants_colour()).boxed(),
        LogFormat::Json => fmt::layer()
            .with_writer(io::stderr)
            .fmt_fields(JsonFields::new())
            .event_format(JsonLines)
            .boxed(),
    };
    Ok(registry().with(layer.with_filter(filter)).try_init()?)
}

fn wants_colour() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !refused
}
