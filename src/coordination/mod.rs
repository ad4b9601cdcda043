//! Coordination: hint locks, a cache, pokes. None of it is needed to be right; see
//! [`ports::locks`](crate::ports::locks), [`cache`](crate::ports::cache) and
//! [`pokes`](crate::ports::pokes) for what each may do wrong.
//!
//! | adapter | reaches |
//! |---|---|
//! | [`in_process`] | this process |
//! | [`redis`] | all processes of an installation, as long as Redis is there |
//!
//! One conformance suite (`tests/adapters/coordination_conformance`) holds both to the ports' words.

pub mod in_process;
pub mod redis;

use std::time::Duration;

/// For how long a value is remembered. It bounds how long a page may be wrong after the database was
/// restored to an earlier state, or somebody wrote nonsense into the cache.
const REMEMBERED: Duration = Duration::from_secs(600);

/// How long to remember a value that is put now: spread, so that what was put together is not read
/// from the store again together.
fn remembered_for() -> Duration {
    REMEMBERED.mul_f64(0.9 + 0.2 * fastrand::f64())
}
