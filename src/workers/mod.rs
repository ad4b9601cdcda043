//! The shipped workers, and the runtime that any worker in Rust can use.
//!
//! ```text
//!  queue ──deliveries──▶ runtime ──batch──▶ worker ──one transaction──▶ its store
//!                           │  ◀──answers──
//!                           ├──replies──▶ bus
//!                           └──acknowledges each command once its reply is safe
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `worker` | what a worker is |
//! | `records` | what a worker's memory says to a command: repeats, tombstones, claims (pure) |
//! | `bisect` | how one bad command is found in a batch |
//! | `runtime` | takes batches, publishes replies, settles deliveries |
//! | `inventory` | reserves and releases; how a batch is settled is pure |
//! | `notification` | mails; what a batch has to send is decided by a pure function |

pub mod bisect;
pub mod inventory;
pub mod notification;
pub mod records;
pub mod runtime;
pub mod worker;
