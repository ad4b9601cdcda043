//! What is told to monitoring systems.

use super::catalogue::Setting;
use super::settings::Settings;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting::new(
        "telemetry.metrics",
        "true",
        "whether `/metrics` answers, and anything is counted for it",
    ),
    Setting::open(
        "telemetry.otlp_url",
        "none",
        r#""http://127.0.0.1:4318""#,
        "where traces are sent, by OTLP over HTTP; `/v1/traces` is added. Without it there are none, and with `none` too. `OTEL_EXPORTER_OTLP_ENDPOINT` says the same",
    ),
    Setting::new(
        "telemetry.sample_ratio",
        "1.0",
        "which part of the traces that begin here is recorded, 0 to 1; of those that begin elsewhere the caller decides",
    ),
];

/// What is told to monitoring systems.
#[derive(Clone, Debug, PartialEq)]
pub struct Telemetry {
    /// Whether anything is counted.
    pub metrics: bool,
    /// Where traces are sent; none for nowhere.
    pub otlp_url: Option<String>,
    /// Which part of the traces that begin here is recorded.
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { metrics: true, otlp_url: None, sample_ratio: 1.0 }
    }
}

impl Telemetry {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let default = Self::default();
        let metrics = settings.switch("telemetry.metrics");
        let wanted = "a URL such as http://127.0.0.1:4318, or none";
        let otlp_url = settings.text("telemetry.otlp_url", wanted, |text| match text {
            "none" => Some(None),
            text => is_collector(text).then(|| Some(text.to_owned())),
        });
        let sample_ratio = settings.fraction("telemetry.sample_ratio");
        Self {
            metrics: metrics.unwrap_or(default.metrics),
            otlp_url: otlp_url.flatten(),
            sample_ratio: sample_ratio.unwrap_or(default.sample_ratio),
        }
    }
}

/// Whether it is a URL without an account, which belongs into OTEL_EXPORTER_OTLP_HEADERS.
fn is_collector(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().or(url.fragment()).is_none()
    })
}
