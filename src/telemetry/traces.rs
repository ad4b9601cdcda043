//! Traces, sent by OTLP over HTTP.
//!
//! Spans wait in a bounded queue for a thread that sends them in batches. Where the collector is away,
//! they are lost, and nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::counter;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanExporter, SpanLinks,
    SpanProcessor,
};

use super::TelemetryError;
use super::otlp_client::OtlpClient;
use crate::config::Telemetry;
use crate::ports::spans::{self, Attribute, Span, SpanSink};
use crate::saga::id::Timestamp;

/// Spans that wait, those on their way included: some ten megabytes, and what a busy node records in a
/// second.
const WAITING: usize = 8_192;

/// Spans in one request: some hundred kilobytes.
const BATCH: usize = 512;

/// How long a span waits for others to go with.
const GATHER: Duration = Duration::from_secs(1);

/// How long the collector may take for a batch.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// How long the end of the process waits for the last spans to go out.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

/// The traces of this process.
pub struct Traces {
    processor: BatchSpanProcessor,
    /// Spans that were taken and are not settled.
    waiting: Arc<AtomicUsize>,
    scope: InstrumentationScope,
    sample_ratio: f64,
}

/// Sends the traces of this process from now on, in the name of `service` and its `instance`; none
/// where nobody is to get them.
///
/// # Errors
/// When the exporter can't be made.
pub fn traces(
    config: &Telemetry,
    service: &str,
    instance: &str,
) -> Result<Option<Arc<Traces>>, TelemetryError> {
    let Some(url) = &config.otlp_url else { return Ok(None) };
    let failed = |error: &dyn std::fmt::Display| TelemetryError::Traces(error.to_string());
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(OtlpClient::new(ANSWER_WITHIN))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", url.trim_end_matches('/')))
        .with_timeout(ANSWER_WITHIN)
        .build()
        .map_err(|error| failed(&error))?;
    let waiting = Arc::new(AtomicUsize::new(0));
    let exporter = Told {
        exporter,
        url: url.clone(),
        waiting: Arc::clone(&waiting),
        failing: AtomicBool::new(false),
    };
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(WAITING)
        .with_max_export_batch_size(BATCH)
        .with_scheduled_delay(GATHER)
        .build();
    let mut processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    processor.set_resource(&resource(service, instance));
    let scope = InstrumentationScope::builder("skald").with_version(env!("CARGO_PKG_VERSION"));
    let sample_ratio = config.sample_ratio;
    Ok(Some(Arc::new(Traces { processor, waiting, scope: scope.build(), sample_ratio })))
}

/// Who sends the spans. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` add to it.
fn resource(service: &str, instance: &str) -> Resource {
    let builder = Resource::builder().with_attributes([
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", instance.to_owned()),
    ]);
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(name) if !name.is_empty() => builder.build(),
        _ => builder.with_service_name(service.to_owned()).build(),
    }
}

impl Traces {
    /// Sends what waits, and nothing from then on. Blocks, three seconds at most.
    pub fn stop(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(FLUSH_WITHIN) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

impl SpanSink for Traces {
    fn record(&self, span: Span) {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return counter!("skald_spans_total", "outcome" => "lost").increment(1);
        }
        self.processor.on_end(data(span, &self.scope));
    }

    fn samples(&self, trace: u128) -> bool {
        is_sampled(trace, self.sample_ratio)
    }
}

/// Whether a trace is among those that are recorded, by its id alone: everybody who goes by the same
/// ratio decides the same, as OpenTelemetry's samplers do.
fn is_sampled(trace: u128, ratio: f64) -> bool {
    let low = (trace as u64) >> 1;
    ratio >= 1.0 || (low as f64) < ratio * (1_u64 << 63) as f64
}

fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let Span { context, parent, name, kind, from, to, attributes, error } = span;
    let (kind, remote) = match kind {
        spans::SpanKind::Internal => (SpanKind::Internal, false),
        spans::SpanKind::Server => (SpanKind::Server, true),
        spans::SpanKind::Producer => (SpanKind::Producer, false),
        spans::SpanKind::Consumer => (SpanKind::Consumer, true),
    };
    let mut attributes: Vec<KeyValue> =
        attributes.into_iter().map(|(name, value)| KeyValue::new(name, written(value))).collect();
    attributes.extend(error.map(|error| KeyValue::new("error.type", error)));
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(context.trace),
            SpanId::from(context.span),
            TraceFlags::SAMPLED,
            false,
            TraceState::default(),
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, SpanId::from),
        parent_span_is_remote: remote && parent.is_some(),
        span_kind: kind,
        name: name.into(),
        start_time: moment(from),
        end_time: moment(to.max(from)),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: error.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}

fn written(value: Attribute) -> Value {
    match value {
        Attribute::Text(text) => text.into(),
        Attribute::Number(number) => number.into(),
    }
}

fn moment(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at.0).unwrap_or_default())
}

/// An exporter whose failures are told, once each time they begin.
#[derive(Debug)]
struct Told {
    exporter: opentelemetry_otlp::SpanExporter,
    url: String,
    waiting: Arc<AtomicUsize>,
    failing: AtomicBool,
}

impl SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let sent = self.exporter.export(batch).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let outcome = if sent.is_ok() { "sent" } else { "lost" };
        counter!("skald_spans_total", "outcome" => outcome).increment(count as u64);
        match (&sent, self.failing.swap(sent.is_err(), Ordering::Relaxed)) {
            (Err(error), false) => {
                tracing::warn!(url = self.url, %error, "traces are not taken; spans are lost meanwhile");
            }
            (Ok(()), true) => tracing::info!(url = self.url, "traces are taken again"),
            _ => {}
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_decides_by_the_traces_id() {
        let low = |share: f64| (share * u64::MAX as f64) as u128;
        for (ratio, taken) in [(0.0, [false, false, false]), (0.5, [true, false, false])] {
            assert_eq!(
                [0.4, 0.6, 0.99].map(|share| is_sampled(low(share), ratio)),
                taken,
                "{ratio}"
            );
        }
        assert!(is_sampled(u128::MAX, 1.0));
        assert!(!is_sampled(1, 0.0));
    }
}
