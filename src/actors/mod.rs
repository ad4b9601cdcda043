//! The orchestrator's actors: thin shells around the core and the journal's machines.
//!
//! ```text
//!  API ──Submit, Knock──▶ Registry ──Tell──▶ SagaActor (one for each live saga)
//!  replies ──Answers─────▶    ▲                 │ Commit
//!  dead letters, Deadlines ───┘                 ▼
//!                                            Journal ──▶ store, one transaction at a time
//!                                               │ Committed
//!  bus ◀──commands, events── Publisher ◀────────┘
//! ```
//!
//! | actor | how many | mailbox | bounded by |
//! |---|---|---|---|
//! | `SagaActor` | one for each saga in memory | `Tell` | 16; more wait at the registry's sender |
//! | `Node` | one | `Deposed`, `Leave`, timers | – |
//! | `Registry` | one a shard | `Submit`, `Knock`, `Answers`, `Tick`, … | 4,096; submissions get 503, replies wait |
//! | `Journal` | one a shard | `Commit` | one entry a saga, and the batcher's limit |
//! | `Publisher` | one a shard | `Committed`, receipts | one message a transaction; the feeds' windows |
//! | `Deadlines` | one, on a thread of its own | `Watch`, timers | – |
//!
//! All but the last share one thread, so what they share needs no locks (`house`). A saga's actor
//! is a cache: it may end at any moment, and the registry makes another one from the store. The
//! others are what everything rests on: when one of them panics, the process ends (`panic`).
//!
//! Beside them run tasks: the consumer of each shard's replies (`replies`), and for each node the one
//! that stores dead letters (`dead_letters`) and the one that sends requeued ones (`requeue`).
//!
//! While a saga's actor waits for a commit it takes no other message (`Context::wait`), so its
//! inputs are applied in order. Nothing here calls the store on an async thread (`blocking`).

pub mod blocking;
mod dead_letters;
pub mod deadlines;
mod handle;
mod handover;
mod house;
pub mod journal;
mod node;
mod publisher;
mod recovery;
mod registry;
mod replies;
mod report;
mod requeue;
mod runner;
pub mod saga;
mod sendings;
mod shard;
mod spans;
mod steps;
mod submit;

pub use handle::Handle;
pub use node::{Membership, StartError};
pub use recovery::RecoveryError;
pub use runner::NodeRunner;
pub use shard::{Surroundings, TakeOverError};
pub use submit::MAX_OUTSTANDING;
