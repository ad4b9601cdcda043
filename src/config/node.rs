//! This process among others.

use std::time::Duration;

use super::catalogue::Setting;
use super::settings::Settings;

/// Three times as long as a stalled node can hold a lock in PostgreSQL, which bounds it from below: a
/// lease that is shorter could run out while its holder still blocks its successor.
const MIN_LEASE_MS: u64 = 15_000;
/// Longer than anybody would have sagas wait for a node that died.
const MAX_LEASE_MS: u64 = 600_000;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting::open(
        "node.name",
        "the host's name and the port",
        r#""north-1""#,
        "what people call it",
    ),
    Setting::open(
        "node.url",
        "`http://` and the address it listens on",
        r#""http://north-1.example.com:7070""#,
        "where people find its API",
    ),
    Setting::new(
        "node.lease_ms",
        "15000",
        "how long its shards stay its own if it does not renew its lease, and so how long its sagas wait if it dies, 15000 to 600000",
    ),
];

/// This process among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What people call it.
    pub name: Option<String>,
    /// Where people find its API.
    pub url: Option<String>,
    /// How long its shards stay its own if it does not renew its lease.
    pub lease: Duration,
}

impl Default for Node {
    fn default() -> Self {
        Self { name: None, url: None, lease: Duration::from_millis(MIN_LEASE_MS) }
    }
}

impl Node {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let short = |text: &str| {
            let fits = (1..=100).contains(&text.len()) && !text.chars().any(char::is_control);
            fits.then(|| text.to_owned())
        };
        let name = settings.text("node.name", "1 to 100 characters", short);
        let url = settings.text("node.url", "a URL of at most 100 characters", short);
        let lease = settings.whole_number("node.lease_ms", MIN_LEASE_MS..=MAX_LEASE_MS);
        let lease = lease.map_or(Self::default().lease, Duration::from_millis);
        Self { name, url, lease }
    }
}
