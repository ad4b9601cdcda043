//! Sagas in memory.

use std::time::Duration;

use super::catalogue::Setting;
use super::settings::Settings;

/// Below this, a saga would fall asleep while its command is under way.
const SHORTEST_SLEEP_MS: u64 = 100;
/// A day: a saga that is not heard of for so long only takes memory.
const LONGEST_SLEEP_MS: u64 = 24 * 60 * 60 * 1000;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 1] = [Setting::new(
    "actors.sleep_after_ms",
    "60000",
    "how long a saga stays in memory after it was last heard of, in milliseconds, 100 to 86400000",
)];

/// Sagas in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actors {
    /// How long a saga stays in memory after it was last heard of.
    pub sleep_after: Duration,
}

impl Default for Actors {
    fn default() -> Self {
        Self { sleep_after: Duration::from_secs(60) }
    }
}

impl Actors {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let bounds = SHORTEST_SLEEP_MS..=LONGEST_SLEEP_MS;
        let sleep_after = settings.whole_number("actors.sleep_after_ms", bounds);
        Self { sleep_after: sleep_after.map_or(Self::default().sleep_after, Duration::from_millis) }
    }
}
