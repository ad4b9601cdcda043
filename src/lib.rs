//! Skald: a durable saga orchestrator.
//!
//! A **saga** is one run of a **definition**, a named and versioned set of **steps**. For each step
//! a worker is sent a **command** and returns a **reply**; what happens to a saga is an **event** in
//! its **history**. When a step fails, what was done is undone. See `docs/architecture.md`.
//!
//! | word | meaning |
//! |---|---|
//! | step | *compensatable* (has an undo), *pivot* (the point of no return), *retriable* (must succeed) |
//! | attempt / generation | another sending under the same idempotency key / another try under a new one |
//! | unknown outcome | no answer in time, a dead letter, an unexplained error: the step *may* have run |
//! | needs attention | a saga that does not move on by itself; always with its cause |
//! | shard, epoch | a slice of the sagas with one owner; the owner's fencing number |
//! | mark | how far the broker has confirmed a shard's history |
//!
//! | module | holds |
//! |---|---|
//! | [`saga`] | the pure core: what a saga is and what happens to it |
//! | [`contract`] | what goes over the wire |
//! | [`orders`] | the shipped order saga |
//! | [`ports`] | what the surroundings must offer |
//! | [`journal`] | pure machines: what the owner of a shard decides |
//! | [`store`], [`bus`], [`coordination`], [`workers`], [`event_log`] | the surroundings |
//! | [`actors`] | the shells around the core |
//! | [`http`] | REST and dashboard |
//! | [`failpoint`] | moments at which tests let the process die; anybody may use it |
//! | [`mod@panic`] | the end of a process without one of its parts; anybody may use it |
//! | [`seeded`] | switches for known mistakes; empty without the feature `seeded-bugs` |
//! | [`config`], [`telemetry`], [`app`], [`cli`] | putting it together |
//!
//! Imports run one way, in the order of this table; `tests/architecture.rs` sees to it.

#[macro_use]
pub mod seeded;

pub mod actors;
pub mod app;
pub mod bus;
pub mod cli;
pub mod config;
pub mod contract;
pub mod coordination;
pub mod event_log;
pub mod failpoint;
pub mod http;
pub mod journal;
pub mod orders;
pub mod panic;
pub mod ports;
pub mod saga;
pub mod shards;
pub mod store;
pub mod telemetry;
pub mod workers;
