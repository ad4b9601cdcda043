//! The real program in processes of its own, killed at random moments.

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod accounts;
mod customer;
mod kill;
mod server;
