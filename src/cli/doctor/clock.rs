//! Clocks: this machine's against the databases' and the other nodes'.

use std::time::Duration;

use super::finding::Finding;

/// A clock that differs more shows in the times of histories, and moves deadlines.
const SHOWS: Duration = Duration::from_secs(1);

/// A clock that differs more has steps time out, or not, for no other reason.
const HARMS: Duration = Duration::from_secs(10);

/// A database's clock, which is `ahead` of this machine's by so many microseconds, more or less.
pub fn database(store: &str, ahead: i64, give_or_take: Duration) -> Finding {
    judged(format!("{store} clock"), "this machine's", ahead, give_or_take)
}

/// Another node's clock, as its answers are dated.
pub fn node(name: &str, ahead: i64, give_or_take: Duration) -> Finding {
    judged(format!("clock of {name}"), "this machine's", ahead, give_or_take)
}

fn judged(check: String, other: &str, ahead: i64, give_or_take: Duration) -> Finding {
    let differs = Duration::from_micros(ahead.unsigned_abs()).saturating_sub(give_or_take);
    let way = if ahead < 0 { "behind" } else { "ahead of" };
    let told = format!(
        "{:.3} s {way} {other}, give or take {:.3} s",
        ahead.unsigned_abs() as f64 / 1e6,
        give_or_take.as_secs_f64()
    );
    let fix = "have both machines follow a time server (chrony, systemd-timesyncd)";
    match differs {
        differs if differs > HARMS => Finding::fail(check, told, fix),
        differs if differs > SHOWS => Finding::warn(check, told, fix),
        _ => Finding::ok(check, told),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Verdict;

    #[test]
    fn a_clock_is_blamed_for_no_more_than_is_known_for_certain() {
        let verdict =
            |ahead, give_or_take| database("x", ahead, Duration::from_millis(give_or_take)).verdict;
        assert_eq!(verdict(-900_000, 0), Verdict::Ok);
        assert_eq!(verdict(1_400_000, 500), Verdict::Ok);
        assert_eq!(verdict(-1_600_000, 500), Verdict::Warn);
        assert_eq!(verdict(11_000_000, 500), Verdict::Fail);
    }
}
