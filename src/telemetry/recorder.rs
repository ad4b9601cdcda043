//! The metrics of this process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use metrics_process::Collector;

use super::TelemetryError;
use super::catalogue::{CATALOGUE, Kind, Metric};

/// Upper ends of the buckets of everything that is measured in seconds: from a commit on a fast
/// disk to the half minute after which a command counts as unanswered.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// Upper ends of the buckets of a saga's life: from three commits to the day after which it calls for
/// attention.
const LIFETIMES: [f64; 14] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, 86_400.0];

/// Upper ends of the buckets of batches, up to the largest that the journal makes.
const SIZES: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];

/// What was measured since is put into buckets this often, so that it takes a bounded amount of
/// memory where nobody asks for the metrics.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

static METRICS: Mutex<Option<Metrics>> = Mutex::new(None);

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics {
    handle: PrometheusHandle,
    process: Arc<Collector>,
}

impl Metrics {
    /// Writes them in Prometheus' text format, those of the process itself as of now.
    pub fn render(&self) -> String {
        self.process.collect();
        self.handle.render()
    }
}

/// Collects the metrics of this process from now on. Whoever asks again gets the same.
///
/// # Errors
/// When something else collects them already.
pub fn metrics() -> Result<Metrics, TelemetryError> {
    let mut metrics = METRICS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(metrics) = &*metrics {
        return Ok(metrics.clone());
    }
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Metrics(error.to_string());
    let handle = install().map_err(|error| failed(&error))?;
    CATALOGUE.iter().for_each(announce);
    gauge!("skald_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let process = Arc::new(Collector::default());
    process.describe();
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
    Ok(metrics.insert(Metrics { handle, process }).clone())
}

fn install() -> Result<PrometheusHandle, BuildError> {
    let full = |name: &str| Matcher::Full(name.to_owned());
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(full("skald_saga_duration_seconds"), &LIFETIMES)?
        .set_buckets_for_metric(full("skald_journal_batch_transitions"), &SIZES)?
        .set_buckets_for_metric(full("skald_worker_batch_commands"), &SIZES)?
        .install_recorder()
}

/// Gives a metric its help text. A counter that alerts watch begins at 0: one that first shows with its
/// first event has risen by nothing for whoever asks how much it rose.
fn announce(metric: &Metric) {
    let Metric { name, help, zeros, .. } = *metric;
    match metric.kind {
        Kind::Counter => describe_counter!(name, help),
        Kind::Gauge => describe_gauge!(name, help),
        Kind::Histogram => describe_histogram!(name, help),
    }
    for labels in zeros {
        counter!(name, *labels).absolute(0);
    }
}
