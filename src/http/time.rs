//! Moments as clients see them.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use crate::saga::id::Timestamp;

/// The last moment that RFC 3339 can write; what is later is shown as this.
const END_OF_TIME: Timestamp = Timestamp(253_402_300_799_999_999);

/// A moment that prints and serialises as RFC 3339, UTC, with microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub Timestamp);

impl Moment {
    fn date_time(self) -> DateTime<Utc> {
        let micros = self.0.0.clamp(0, END_OF_TIME.0);
        DateTime::from_timestamp_micros(micros).unwrap_or_default()
    }

    /// For people: to the millisecond, in UTC.
    pub fn brief(self) -> impl fmt::Display {
        self.date_time().format("%Y-%m-%d %H:%M:%S%.3f UTC")
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.date_time().to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_with_microseconds_whatever_they_are() {
        let written = |micros| Moment(Timestamp(micros)).to_string();
        assert_eq!(written(1_700_000_000_000_001), "2023-11-14T22:13:20.000001Z");
        assert_eq!(written(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(written(i64::MAX), "9999-12-31T23:59:59.999999Z");
        assert_eq!(written(i64::MIN), "1970-01-01T00:00:00.000000Z");
    }
}
