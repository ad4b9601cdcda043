//! What processes coordinate by.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::catalogue::Setting;
use super::secret::Secret;
use super::settings::Settings;

/// Shorter, and a healthy Redis counts as away; longer, and its absence is felt.
const TIMEOUT_MS: RangeInclusive<u64> = 10..=1_000;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 2] = [
    Setting::open(
        "redis.url",
        "none",
        r#""redis://user:password@host:6379/0""#,
        "`redis://user:password@host:6379/0` or `rediss://…` (TLS); without it, and with `none`, each process has its own cache, and sees what others do a little later",
    ),
    Setting::new("redis.timeout_ms", "100", "how long an answer is waited for, 10 to 1000"),
];

/// What processes coordinate by. Nothing depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// Where it is; none where there is none.
    pub url: Option<Secret>,
    /// How long an answer is waited for.
    pub timeout: Duration,
}

impl Default for Redis {
    fn default() -> Self {
        Self { url: None, timeout: Duration::from_millis(100) }
    }
}

impl Redis {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let default = Self::default();
        let wanted = "a URL such as redis://user:password@host:6379/0 or rediss://…, or none";
        let url = settings.secret("redis.url", wanted, |text| match text {
            "none" => Some(None),
            text => server(text).map(Some),
        });
        let timeout = settings.whole_number("redis.timeout_ms", TIMEOUT_MS);
        Self { url: url.flatten(), timeout: timeout.map_or(default.timeout, Duration::from_millis) }
    }
}

fn server(text: &str) -> Option<Secret> {
    let known = ["redis://", "rediss://"].iter().any(|scheme| text.starts_with(scheme));
    known.then(|| Secret::new(text))
}
