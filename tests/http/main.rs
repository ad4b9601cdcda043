//! The REST API and the dashboard, over TCP, with ports in memory.

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod archive;
mod bodies;
mod cancel;
mod client;
mod dead_letters;
mod doors;
mod fakes;
mod idempotency;
mod inventory;
mod letter_pages;
mod live;
mod logs;
mod machines;
mod mailroom;
mod orders;
mod pages;
mod retry_form;
mod sagas;
mod spans;
mod submit;
mod world;
