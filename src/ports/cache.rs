//! Remembering what can't change any more, so that it need not be read from the store again.

use bytes::Bytes;
use futures_util::future::BoxFuture;

/// The longest value that is remembered: an order of 500 lines fits, and a saga with its order.
pub const MAX_VALUE: usize = 128 * 1024;

/// Remembers values for a while, and forgets any of them at any time.
///
/// What it says is not to be trusted: others may write to it. Whoever reads checks each value, and
/// decides nothing by it.
pub trait Cache: Send + Sync {
    /// What is remembered under `key`; none where nothing is, or nobody can tell soon enough.
    fn get(&self, key: String) -> BoxFuture<'_, Option<Bytes>>;

    /// Remembers `value` under `key`. Never waits; what is empty or longer than [`MAX_VALUE`] is left
    /// out.
    fn put(&self, key: String, value: Bytes);
}
