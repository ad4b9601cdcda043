//! The orchestrator's actors on a real store and the in-process bus; the test plays the workers.

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod bundled;
mod delivery;
mod gate;
mod group_commit;
mod leaving;
mod letters;
mod nodes;
mod requests;
mod rig;
mod waking;
