//! What the demo prints at its end.

use std::collections::BTreeMap;
use std::time::Duration;

use comfy_table::CellAlignment;
use serde::Serialize;

use super::cost::Cost;
use super::reads::Reads;
use crate::cli::output::{plain_table, printable, render};

/// What the demo found. Its JSON is an interface.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// How many orders were sent and accepted.
    pub orders: u64,
    /// How many of them are CONFIRMED.
    pub confirmed: u64,
    /// How many of them are CANCELLED.
    pub cancelled: u64,
    /// The same by the code of the reason.
    pub cancelled_by_reason: BTreeMap<String, u64>,
    /// Orders that ended, over the time from the first submission to the last end.
    pub sagas_per_second: f64,
    /// Median time from submission to end, in milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 orders ended within this time, in milliseconds.
    pub p95_ms: f64,
    /// 99 of 100 orders ended within this time, in milliseconds.
    pub p99_ms: f64,
    /// Mails that were sent.
    pub mails: u64,
    /// Whether onHand = available + reserved for every product, and reserved is the sum over
    /// confirmed orders.
    pub stock_adds_up: bool,
    /// How many transitions of sagas shared a commit, on average.
    pub transitions_per_commit: f64,
    /// How fast settled orders are read, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
    /// What each process cost while the load ran; empty where that can't be known.
    pub processes: Vec<Cost>,
}

/// The smallest of `sorted` numbers that is not below `percent` of them; 0 where there are none.
pub fn percentile(sorted: &[u64], percent: usize) -> u64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Microseconds as milliseconds.
pub fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// How many a second, to the tenth.
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    rounded(count as f64 / elapsed.as_secs_f64().max(1e-6), 10.0)
}

/// A number to so many parts of one.
pub fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

impl Report {
    /// The report for people; `products` is how many the stock check looked at.
    pub fn to_text(&self, products: usize) -> String {
        let mut lines = plain_table();
        let mut add = |name: String, value: String| {
            lines.add_row([name, value]);
        };
        add("orders".to_owned(), grouped(self.orders));
        add("  confirmed".to_owned(), grouped(self.confirmed));
        add("  cancelled".to_owned(), grouped(self.cancelled));
        for (reason, count) in &self.cancelled_by_reason {
            add(format!("    {}", printable(reason)), grouped(*count));
        }
        add("sagas/s".to_owned(), grouped(self.sagas_per_second.round() as u64));
        add("p50 from submit to end, ms".to_owned(), format!("{:.1}", self.p50_ms));
        add("p95 from submit to end, ms".to_owned(), format!("{:.1}", self.p95_ms));
        add("p99 from submit to end, ms".to_owned(), format!("{:.1}", self.p99_ms));
        add("mails".to_owned(), grouped(self.mails));
        add("transitions per commit".to_owned(), format!("{:.1}", self.transitions_per_commit));
        if let Some(reads) = &self.reads {
            let Reads { store_per_second, store_p50_ms, cache_per_second, cache_p50_ms } = reads;
            for (what, rate, p50) in [
                ("from the store", store_per_second, store_p50_ms),
                ("through the cache", cache_per_second, cache_p50_ms),
            ] {
                add(format!("reads/s {what}"), grouped(rate.round() as u64));
                add(format!("p50 of reads {what}, ms"), format!("{p50:.2}"));
            }
        }
        for Cost { process, cpu_ms_per_saga, .. } in &self.processes {
            add(format!("CPU ms per saga, {process}"), format!("{cpu_ms_per_saga:.3}"));
        }
        if let Some(values) = lines.column_mut(1) {
            values.set_cell_alignment(CellAlignment::Right);
        }
        let stock = if self.stock_adds_up {
            format!(
                "The stock adds up: for each of {} products onHand = available + reserved,\n\
                 and reserved = the sum over confirmed orders.",
                grouped(products as u64)
            )
        } else {
            "The stock does NOT add up.".to_owned()
        };
        format!("{}\n\n{stock}", render(&lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numbers_that_were_measured() {
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!((percentile(&hundred, 50), percentile(&hundred, 99)), (50, 99));
        assert_eq!((percentile(&[7], 50), percentile(&[7], 99)), (7, 7));
        assert_eq!((percentile(&[1, 9], 50), percentile(&[1, 9], 99)), (1, 9));
        assert_eq!(percentile(&[], 99), 0);
    }

    #[test]
    fn rates_and_numbers_are_readable() {
        assert!((per_second(1_000, Duration::from_millis(300)) - 3_333.3).abs() < 1e-9);
        assert!(per_second(0, Duration::ZERO).abs() < 1e-9);
        assert!((millis(1_234) - 1.234).abs() < 1e-9);
        let groups = [0, 999, 1_000, 20_000, 1_234_567].map(grouped);
        assert_eq!(groups, ["0", "999", "1,000", "20,000", "1,234,567"]);
    }

    fn report() -> Report {
        Report {
            orders: 1_000,
            confirmed: 940,
            cancelled: 60,
            cancelled_by_reason: [("INSUFFICIENT_STOCK".to_owned(), 60)].into(),
            sagas_per_second: 5_123.4,
            p50_ms: 9.25,
            p95_ms: 15.0,
            p99_ms: 20.04,
            mails: 1_000,
            stock_adds_up: true,
            transitions_per_commit: 30.0,
            reads: None,
            processes: vec![Cost {
                process: "skald".to_owned(),
                cpu_ms_per_saga: 0.25,
                memory_bytes: Some(1),
            }],
        }
    }

    #[test]
    fn the_json_has_the_members_that_programs_rely_on() {
        let json = serde_json::to_string(&report()).unwrap();
        assert_eq!(
            json,
            "{\"orders\":1000,\"confirmed\":940,\"cancelled\":60,\
             \"cancelledByReason\":{\"INSUFFICIENT_STOCK\":60},\"sagasPerSecond\":5123.4,\
             \"p50Ms\":9.25,\"p95Ms\":15.0,\"p99Ms\":20.04,\"mails\":1000,\"stockAddsUp\":true,\
             \"transitionsPerCommit\":30.0,\"processes\":[{\"process\":\"skald\",\
             \"cpuMsPerSaga\":0.25,\"memoryBytes\":1}]}"
        );
    }

    #[test]
    fn the_text_says_whether_the_stock_adds_up() {
        let text = report().to_text(1_000);
        assert!(text.starts_with("orders "), "{text}");
        let lines: Vec<Vec<&str>> =
            text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["INSUFFICIENT_STOCK", "60"]), "{text}");
        assert!(lines.contains(&"CPU ms per saga, skald 0.250".split(' ').collect()), "{text}");
        assert!(text.contains("The stock adds up: for each of 1,000 products"), "{text}");
        let wrong = Report { stock_adds_up: false, ..report() };
        assert!(wrong.to_text(1_000).contains("The stock does NOT add up."));
    }
}
