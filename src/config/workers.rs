//! The workers in this process.

use super::settings::Settings;

/// A batch is one transaction; a larger one only holds its locks for longer.
const MAX_BATCH_SIZE: u64 = 10_000;
/// AMQP writes it in 16 bits.
const MAX_PREFETCH: u64 = 65_535;

/// The workers in this process.
///
/// | setting | default | what |
/// |---|---|---|
/// | `workers.batch_size` | 500 | how many commands a worker settles in one transaction at most, 1 to 10000 |
/// | `workers.prefetch` | 1000 | how many commands a worker holds unacknowledged at most, 1 to 65535; with twice the batch size the next batch is at hand when one is done |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workers {
    /// How many commands a worker settles in one transaction at most.
    pub batch_size: usize,
    /// How many commands a worker holds unacknowledged at most.
    pub prefetch: usize,
}

impl Default for Workers {
    fn default() -> Self {
        Self { batch_size: 500, prefetch: 1000 }
    }
}

impl Workers {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let default = Self::default();
        let batch_size = settings.whole_number("workers.batch_size", 1..=MAX_BATCH_SIZE);
        let prefetch = settings.whole_number("workers.prefetch", 1..=MAX_PREFETCH);
        Self {
            batch_size: batch_size.unwrap_or(default.batch_size),
            prefetch: prefetch.unwrap_or(default.prefetch),
        }
    }
}
