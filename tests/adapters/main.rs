//! Adapters against the suites that their ports demand.

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod bus_conformance;
mod in_process_bus;
mod mail_conformance;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod rabbitmq_bus;
mod smtp_mail;
#[path = "../support/smtp_sink/mod.rs"]
mod smtp_sink;
mod store_conformance;
mod store_postgres;
mod store_sqlite;
mod worker_runtime;
