//! The services that a test talks to: those that `scripts/stack` started and the environment names.
//!
//! A test program takes this in with `#[path = "../support/stack.rs"] mod stack;`. Each test makes a database or a
//! virtual host of its own, so tests run side by side and leave nothing behind.

// No test program uses all of it.
#![allow(dead_code)]

use std::env;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use diesel::{Connection, ConnectionResult, PgConnection, RunQueryDsl, sql_query};
use uuid::Uuid;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The value of a variable that `scripts/stack` sets.
fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!(
            "{name} is not set: run the tests with `make test`, or first \
             `eval \"$(scripts/stack up --env)\"`"
        )
    })
}

/// A name that nothing else has.
fn unique() -> String {
    format!("skald_{}", Uuid::new_v4().simple())
}

/// The Redis that all tests share: each one takes keys of its own.
pub fn redis() -> String {
    variable("SKALD_TEST_REDIS")
}

/// A connection to PostgreSQL. Every test connects through this, and never by itself: a test's first
/// connection is often made before the store's.
///
/// libpq would have OpenSSL tear itself down when the process exits, while the pools' threads may
/// still be connecting, and a test that passed would end with SIGSEGV. The store guards against that,
/// but whoever comes first decides for the whole process.
pub fn connect(url: &str) -> ConnectionResult<PgConnection> {
    openssl_sys::init();
    PgConnection::establish(url)
}

/// A new, empty PostgreSQL database. It is dropped with this, whoever is still connected.
pub struct Database {
    name: String,
    url: String,
}

impl Database {
    pub fn create() -> Self {
        let (name, server) = (unique(), variable("SKALD_TEST_POSTGRES"));
        let (authority, _) = server.rsplit_once('/').unwrap();
        let database = Self { url: format!("{authority}/{name}"), name };
        database.on_the_server("CREATE DATABASE").unwrap();
        database
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to this database.
    pub fn connect(&self) -> PgConnection {
        connect(&self.url).unwrap()
    }

    fn on_the_server(&self, statement: &str) -> Result<(), Box<dyn std::error::Error>> {
        let mut connection = connect(&variable("SKALD_TEST_POSTGRES"))?;
        let option = if statement.starts_with("DROP") { " WITH (FORCE)" } else { "" };
        sql_query(format!("{statement} {}{option}", self.name)).execute(&mut connection)?;
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The test may be failing because the server is gone.
        let _ = self.on_the_server("DROP DATABASE");
    }
}

/// A new RabbitMQ virtual host. It is deleted with this, and so are its connections.
pub struct Vhost {
    name: String,
    url: String,
}

impl Vhost {
    pub fn create() -> Self {
        let (name, broker) = (unique(), variable("SKALD_TEST_AMQP"));
        let (authority, _) = broker.rsplit_once('/').unwrap();
        let vhost = Self { url: format!("{authority}/{name}"), name };
        let status = api("PUT", &format!("/api/vhosts/{}", vhost.name)).unwrap();
        assert_eq!(status, 201, "PUT /api/vhosts/{}", vhost.name);
        vhost
    }

    /// Where a client connects, with its password.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What `rabbitmqctl` calls it.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        // The test may be failing because the broker is gone.
        let _ = api("DELETE", &format!("/api/vhosts/{}", self.name));
    }
}

/// Runs `rabbitmqctl` on the broker of the tests. It takes half a second: only for what the HTTP API does not do.
pub fn rabbitmqctl(arguments: &[&str]) -> Output {
    Command::new(variable("SKALD_TEST_RABBITMQCTL")).args(arguments).output().unwrap()
}

/// Where RabbitMQ's HTTP API is, with an account.
pub fn management_url() -> String {
    variable("SKALD_TEST_RABBITMQ_API")
}

/// Asks RabbitMQ's HTTP API, without a body, and returns the status.
pub fn api(method: &str, path: &str) -> std::io::Result<u16> {
    let url = variable("SKALD_TEST_RABBITMQ_API");
    let (login, authority) = url.strip_prefix("http://").unwrap().split_once('@').unwrap();
    let mut connection = TcpStream::connect(authority)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    write!(
        connection,
        "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\
         authorization: Basic {}\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
        base64(login.as_bytes())
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other(format!("no HTTP: {answer:?}")))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| bits << 8 | usize::from(*group.get(i).unwrap_or(&0)));
        for i in 0..4 {
            let digit = char::from(DIGITS[bits >> (18 - 6 * i) & 63]);
            text.push(if i > group.len() { '=' } else { digit });
        }
    }
    text
}
