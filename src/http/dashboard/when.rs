//! Moments and numbers for people.

use crate::http::time::Moment;
use crate::saga::id::Timestamp;

/// A moment as a page shows it.
pub struct When {
    /// For programs.
    pub iso: String,
    /// The whole truth.
    pub exact: String,
    /// How far from now.
    pub relative: String,
}

impl When {
    /// Shows `at` as seen from `now`.
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        let relative = match at.0.saturating_sub(now.0) {
            ahead if ahead >= 1_000_000 => format!("in {}", span(at.millis_since(now))),
            past if past <= -1_000_000 => format!("{} ago", span(now.millis_since(at))),
            _ => "now".to_owned(),
        };
        let at = Moment(at);
        Self { iso: at.to_string(), exact: at.brief().to_string(), relative }
    }
}

impl When {
    /// Shows a moment at which something is due.
    pub fn due(at: Timestamp, now: Timestamp) -> Self {
        let relative = match at.0.saturating_sub(now.0) {
            ahead if ahead >= 1_000_000 => format!("due in {}", span(at.millis_since(now))),
            past if past <= -1_000_000 => format!("overdue {}", span(now.millis_since(at))),
            _ => "due now".to_owned(),
        };
        Self { relative, ..Self::of(at, now) }
    }
}

/// A length of time in its largest unit, rounded down.
pub fn span(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A number with narrow spaces between its thousands.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 2);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_from_now() {
        let now = Timestamp(1_000_000_000_000_000);
        let relative =
            |seconds: i64| When::of(Timestamp(now.0 + seconds * 1_000_000), now).relative;
        assert_eq!(relative(0), "now");
        assert_eq!(relative(-1), "1 s ago");
        assert_eq!(relative(-59), "59 s ago");
        assert_eq!(relative(61), "in 1 min");
        assert_eq!(relative(-7_200), "2 h ago");
        assert_eq!(relative(-172_800), "2 days ago");
        let due = |seconds: i64| When::due(Timestamp(now.0 + seconds * 1_000_000), now).relative;
        assert_eq!([-90, 0, 5].map(due), ["overdue 1 min", "due now", "due in 5 s"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
    }
}
