//! Coordination within one process.
//!
//! | file | holds |
//! |---|---|
//! | `locks` | locks that expire |
//! | `cache` | a bounded number of values, the least recently used of which go first |
//! | `pokes` | one channel that all listeners of the process hear |

mod cache;
mod locks;
mod pokes;

pub use cache::InProcessCache;
pub use locks::InProcessLocks;
pub use pokes::InProcessPokes;
pub(super) use pokes::NAMED;
