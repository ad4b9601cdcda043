//! The services of the tests: the script that starts them, and what each test gets of them.

// A test that can't go on says so by panicking.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod given;
mod script;
#[path = "../support/stack.rs"]
mod stack;
