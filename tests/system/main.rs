//! The real program in processes of its own: both ways to run it, and what happens to it when
//! processes and services die.

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

mod accounts;
mod behaviour;
mod chaos;
mod cluster;
mod customer;
mod dead_letters;
mod dice;
mod doctor;
mod drain;
#[cfg(feature = "failpoints")]
mod failpoints;
mod health;
mod hostile;
mod installation;
mod kill;
mod many;
#[path = "../support/otlp_receiver.rs"]
mod otlp_receiver;
#[path = "../support/own_service.rs"]
mod own_service;
mod pauses;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/postgres_server.rs"]
mod postgres_server;
mod process;
#[path = "../support/proxy/mod.rs"]
mod proxy;
#[path = "../support/rabbitmq.rs"]
mod rabbitmq;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod services;
mod smtp;
#[path = "../support/smtp_sink/mod.rs"]
mod smtp_sink;
#[path = "../support/stack.rs"]
mod stack;
mod standby;
mod trace;
mod tracing;
mod until;
mod workers_away;
