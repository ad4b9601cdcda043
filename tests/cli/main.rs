//! The real program: its arguments, its exit codes, what it prints where, and the demo.

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod arguments;
mod configuration;
mod dead_letters;
mod demo;
mod doctor;
mod metrics;
#[path = "../support/ports.rs"]
mod ports;
mod program;
mod sagas;
mod serving;
#[path = "../support/stack.rs"]
mod stack;
mod stack_demo;
