//! Listening for requests.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web::Data;
use actix_web::{App, HttpServer};

use super::configure;
use super::services::Api;

/// Clients that send one order after another keep their connection over a coffee break.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Connections of one worker thread. Each takes a file descriptor and some 10 kB.
const MAX_CONNECTIONS: usize = 4_096;

/// How to listen.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How many threads answer; at least one.
    pub workers: usize,
    /// How long requests under way may take after a graceful stop began, in whole seconds.
    pub stop_within: Duration,
}

/// A server that listens.
pub struct Listening {
    /// Runs until it is stopped through its [`handle`](Server::handle); must be awaited or spawned.
    /// It leaves signals alone.
    pub server: Server,
    /// Where it listens.
    pub addresses: Vec<SocketAddr>,
}

/// Starts to listen.
///
/// # Errors
/// When the address can't be listened on.
pub fn serve(api: Data<Api>, options: &Options) -> io::Result<Listening> {
    let server =
        HttpServer::new(move || App::new().configure(|config| configure(config, api.clone())))
            .workers(options.workers.max(1))
            .max_connections(MAX_CONNECTIONS)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(options.stop_within.as_secs())
            .disable_signals()
            .bind(options.listen)?;
    let addresses = server.addrs();
    Ok(Listening { server: server.run(), addresses })
}
