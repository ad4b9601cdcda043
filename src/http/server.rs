//! Taking requests.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use super::guard::Guard;
use super::services::Api;
use super::span::Tracer;
use super::{Health, configure, configure_health};
use crate::ports::clock::SystemClock;
use crate::ports::spans::Spans;

/// Clients that send one order after another keep their connection over a coffee break.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections of one worker thread. Each takes a file descriptor and some 10 kB.
const MAX_CONNECTIONS: usize = 4_096;

/// How requests are taken.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many threads answer; at least one.
    pub workers: usize,
    /// How long requests under way may take after a graceful stop began, in whole seconds.
    pub stop_within: Duration,
}

/// Answers what arrives at `listener`, and what waited there.
///
/// The server runs until it is stopped through its [`handle`](Server::handle); it must be awaited or
/// spawned. It leaves signals alone.
///
/// # Errors
/// When the listener can't be used.
pub fn serve(api: Data<Api>, listener: TcpListener, options: &Options) -> io::Result<Server> {
    let server =
        HttpServer::new(move || App::new().configure(|config| configure(config, api.clone())))
            .workers(options.workers.max(1))
            .max_connections(MAX_CONNECTIONS)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(options.stop_within.as_secs())
            .disable_signals()
            .listen(listener)?;
    Ok(server.run())
}

/// Answers at `listener` what machines ask of a process without an API, for loopback names, `host_names`
/// and any address; on one thread. Runs as [`serve`] does.
///
/// # Errors
/// When the listener can't be used.
pub fn serve_health(
    health: Health,
    host_names: &[String],
    listener: TcpListener,
) -> io::Result<Server> {
    let (guard, health) = (Data::new(Guard::new(host_names)), Data::new(health));
    // Machines that ask have no trace.
    let tracer = Tracer { spans: Spans::default(), clock: Arc::new(SystemClock) };
    let tracer = Data::new(tracer);
    let app = move || {
        App::new().configure(|config| {
            configure_health(config, guard.clone(), health.clone(), tracer.clone());
        })
    };
    let server = HttpServer::new(app).workers(1).disable_signals().listen(listener)?;
    Ok(server.run())
}
