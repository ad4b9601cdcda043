//! Installations: orchestrators and workers in processes of their own, on PostgreSQL and RabbitMQ.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use skald::store::{Stores, postgres};
use tempfile::TempDir;

use crate::accounts::Source;
use crate::customer::Connection;
use crate::process::Process;
use crate::stack::{Database, Vhost};
use crate::until::until;

/// The workers there are.
pub const WORKERS: [&str; 2] = ["inventory", "notification"];

/// A database, a virtual host, and a folder for logs and mails.
pub struct Installation {
    folder: TempDir,
    store: String,
    bus: String,
    /// Whose commands travel together; only shipped workers run here.
    bundled: String,
    /// Where it may coordinate, if anywhere.
    redis: Option<String>,
    started: AtomicU32,
    /// Go with this.
    _given: (Option<Database>, Option<Vhost>),
}

impl Installation {
    /// One in a new database and a new virtual host of the stack.
    pub fn new() -> Self {
        let (database, vhost) = (Database::create(), Vhost::create());
        let (store, bus) = (database.url().to_owned(), vhost.url().to_owned());
        Self { _given: (Some(database), Some(vhost)), ..Self::at(store, bus) }
    }

    /// One in a new database of the stack and in a broker of the test's own.
    pub fn with_broker(bus: String) -> Self {
        let database = Database::create();
        let store = database.url().to_owned();
        Self { _given: (Some(database), None), ..Self::at(store, bus) }
    }

    /// One in services of the test's own.
    pub fn at(store: String, bus: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bundled = WORKERS.join(",");
        Self {
            folder,
            store,
            bus,
            bundled,
            redis: None,
            started: AtomicU32::new(0),
            _given: (None, None),
        }
    }

    /// The same, where every command is a message of its own, as by default.
    pub fn without_bundles(self) -> Self {
        Self { bundled: String::new(), ..self }
    }

    /// The same, coordinated by a Redis, with hint locks.
    pub fn with_redis(self, url: String) -> Self {
        Self { redis: Some(url), ..self }
    }

    /// Where logs and mails are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its virtual host.
    pub fn bus(&self) -> &str {
        &self.bus
    }

    /// Starts an orchestrator without workers and waits until it answers. Beside others it gets its
    /// share of the shards a moment later.
    pub fn orchestrator(&self) -> Process {
        self.orchestrator_with(&[])
    }

    /// The same with more arguments.
    pub fn orchestrator_with(&self, arguments: &[&str]) -> Process {
        let given = ["serve", "--workers", "none", "--listen", "127.0.0.1:0"];
        self.start(self.command(&[&given, arguments].concat()), "orchestrator")
    }

    /// Starts a worker and waits until it takes commands.
    pub fn worker(&self, kind: &str) -> Process {
        self.start(self.command(&["worker", kind]), kind)
    }

    /// The program with the settings of this installation.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Process::command(self.folder(), arguments);
        command.env("SKALD_STORE_URL", &self.store).env("SKALD_BUS_URL", &self.bus);
        if !self.bundled.is_empty() {
            command.env("SKALD_BUS_BUNDLE_COMMANDS", &self.bundled);
        }
        if let Some(url) = &self.redis {
            command.env("SKALD_REDIS_URL", url).env("SKALD_WORKERS_HINT_LOCKS", "on");
        }
        command.env("SKALD_MAIL_FOLDER", self.mail());
        command
    }

    /// Starts a process of this installation.
    pub fn start(&self, command: Command, name: &str) -> Process {
        Process::start(command, self.log(name))
    }

    /// The log of the next process.
    pub fn log(&self, name: &str) -> PathBuf {
        let n = self.started.fetch_add(1, Ordering::Relaxed);
        self.folder().join(format!("{name}-{n}.log"))
    }

    /// Keeps the folder, for somebody to read the logs.
    pub fn keep(&mut self) -> &Path {
        self.folder.disable_cleanup(true);
        self.folder()
    }

    /// Where its databases are, for whoever looks behind everybody's back.
    pub fn source(&self) -> Source {
        Source::Postgres(self.store.clone())
    }

    /// Where its mails are, if they are files.
    pub fn mail(&self) -> PathBuf {
        self.folder().join("mail")
    }

    /// Its stores, behind everybody's back.
    pub fn stores(&self) -> Stores {
        Stores::of(
            postgres::orchestrator(&self.store, postgres::SHARDS).unwrap(),
            postgres::inventory(&self.store).unwrap(),
            postgres::notification(&self.store).unwrap(),
        )
    }
}

/// Starts so many processes side by side.
pub fn together(count: usize, start: impl Fn(usize) -> Process + Sync) -> Vec<Process> {
    std::thread::scope(|scope| {
        let start = &start;
        let starting: Vec<_> = (0..count).map(|n| scope.spawn(move || start(n))).collect();
        starting.into_iter().map(|started| started.join().unwrap()).collect()
    })
}

/// How many shards each node has, fewest first, as one of them tells; none while some are nobody's.
pub fn shares(node: SocketAddr) -> Option<Vec<usize>> {
    let census = Connection::open(node).ok()?.get("/v1/nodes");
    let nodes = census["nodes"].as_array().unwrap().iter();
    let mut shares: Vec<usize> =
        nodes.map(|node| node["shards"].as_array().unwrap().len()).collect();
    shares.sort_unstable();
    census["unowned"].as_array().unwrap().is_empty().then_some(shares)
}

/// Waits until the nodes share all shards like this.
pub fn until_shared(node: SocketAddr, expected: &[usize]) {
    until("the shards are shared evenly", || shares(node).as_deref() == Some(expected));
}
