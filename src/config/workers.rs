//! The workers.

use std::net::SocketAddr;

use super::catalogue::Setting;
use super::settings::Settings;

/// A batch is one transaction; a larger one only holds its locks for longer.
const MAX_BATCH_SIZE: u64 = 10_000;
/// AMQP writes it in 16 bits.
const MAX_PREFETCH: u64 = 65_535;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 5] = [
    Setting::open(
        "workers.run",
        "all",
        r#"["inventory"]"#,
        "which workers `skald serve` runs itself: `all`, `none`, or some of `inventory` and `notification` as a list, or in plain text separated by commas",
    ),
    Setting::new(
        "workers.batch_size",
        "500",
        "how many commands a worker settles in one transaction at most, 1 to 10000",
    ),
    Setting::new(
        "workers.prefetch",
        "1000",
        "how many commands a worker holds unacknowledged at most, 1 to 65535; with twice the batch size the next batch is at hand when one is done",
    ),
    Setting::new(
        "workers.hint_locks",
        r#""off""#,
        "whether inventory workers keep out of each other's way, through Redis, where products are hot: `on` or `off`",
    ),
    Setting::open(
        "workers.listen",
        "none",
        r#""127.0.0.1:7071""#,
        "where `skald worker` answers `/livez`, `/readyz` and `/metrics`: address and port; port 0 takes any that is free",
    ),
];

/// The workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// Which workers run beside the orchestrator.
    pub run: Run,
    /// How many commands a worker settles in one transaction at most.
    pub batch_size: usize,
    /// How many commands a worker holds unacknowledged at most.
    pub prefetch: usize,
    /// Whether inventory workers keep out of each other's way where products are hot.
    pub hint_locks: bool,
    /// Where a process with workers alone answers what machines ask; none for nowhere.
    pub listen: Option<SocketAddr>,
}

/// A choice of workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The one that reserves goods.
    pub inventory: bool,
    /// The one that sends mails.
    pub notification: bool,
}

impl Run {
    /// Every worker.
    pub const ALL: Self = Self { inventory: true, notification: true };
    /// No worker.
    pub const NONE: Self = Self { inventory: false, notification: false };

    fn parse(text: &str) -> Option<Self> {
        match text {
            "all" => Some(Self::ALL),
            "none" => Some(Self::NONE),
            "inventory" => Some(Self { inventory: true, ..Self::NONE }),
            "notification" => Some(Self { notification: true, ..Self::NONE }),
            _ => None,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            inventory: self.inventory || other.inventory,
            notification: self.notification || other.notification,
        }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self { run: Run::ALL, batch_size: 500, prefetch: 1000, hint_locks: false, listen: None }
    }
}

impl Workers {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let default = Self::default();
        let run = settings.list(
            "workers.run",
            "all, none, or some of inventory and notification",
            Run::parse,
        );
        let run = run.map(|parts| parts.into_iter().fold(Run::NONE, Run::and));
        let batch_size = settings.whole_number("workers.batch_size", 1..=MAX_BATCH_SIZE);
        let prefetch = settings.whole_number("workers.prefetch", 1..=MAX_PREFETCH);
        let hint_locks = settings.text("workers.hint_locks", "on or off", |text| match text {
            "on" => Some(true),
            "off" => Some(false),
            _ => None,
        });
        let listen = settings.text(
            "workers.listen",
            "an IP address and a port such as 127.0.0.1:7071",
            |text| text.parse().ok(),
        );
        Self {
            run: run.unwrap_or(default.run),
            batch_size: batch_size.unwrap_or(default.batch_size),
            prefetch: prefetch.unwrap_or(default.prefetch),
            hint_locks: hint_locks.unwrap_or(default.hint_locks),
            listen,
        }
    }
}
