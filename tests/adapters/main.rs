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
mod coordination_conformance;
mod in_process_bus;
mod mail_conformance;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
#[path = "../support/proxy/mod.rs"]
mod proxy;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod rabbitmq_bus;
mod redis_coordination;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod smtp_mail;
#[path = "../support/smtp_sink/mod.rs"]
mod smtp_sink;
#[path = "../support/stack.rs"]
mod stack;
mod store_conformance;
mod store_postgres;
mod store_sqlite;
mod worker_runtime;
