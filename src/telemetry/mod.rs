//! Logs and metrics.

mod json_lines;

use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{EnvFilter, Layer, fmt, prelude::*, registry};

use crate::config::{Log, LogFormat};
use json_lines::JsonLines;

/// Why there are no logs or no metrics.
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

/// Upper ends of the buckets of everything that is measured in seconds: from a commit on a fast
/// disk to the half minute after which a command counts as unanswered.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// What was measured since is put into buckets this often, so that it takes a bounded amount of
/// memory where nobody asks for the metrics.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static METRICS: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Collects the metrics of this process from now on. The handle renders them in Prometheus' text
/// format; whoever asks again gets the same.
///
/// # Errors
/// When something else collects them already.
pub fn metrics() -> Result<PrometheusHandle, TelemetryError> {
    let mut metrics = METRICS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*metrics {
        return Ok(handle.clone());
    }
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Metrics(error.to_string());
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| failed(&error))?;
    let upkeep = handle.clone();
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(UPKEEP_EVERY);
                upkeep.run_upkeep();
            }
        })
        .map_err(|error| failed(&error))?;
    Ok(metrics.insert(handle).clone())
}
