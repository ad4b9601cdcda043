//! PostgreSQL for tests: a server, and a database of its own for each test.
//!
//! `SKALD_TEST_POSTGRES` names a server that is there for the tests and nothing else, by the URL of a
//! superuser such as `postgres://postgres:secret@127.0.0.1:5499/postgres`; it should ask for
//! passwords. Without it each test process starts a private one, which ends with the process however
//! that ends. That takes the programs of PostgreSQL 13 or later, but no running service.

// No test program uses all of it.
#![allow(dead_code)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::ports::free_port;
use crate::stack;

/// The superuser's password on private servers.
pub const PASSWORD: &str = "s3cret-of-the-tests";

/// What a standby is called.
const STANDBY: &str = "standby";

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// The URL of the server that all tests of this process share.
pub fn server() -> &'static str {
    static SHARED: OnceLock<(String, Option<PrivateServer>)> = OnceLock::new();
    let (url, _) = SHARED.get_or_init(|| match std::env::var("SKALD_TEST_POSTGRES") {
        Ok(url) => (url, None),
        Err(_) => {
            let server = PrivateServer::start();
            (server.url("postgres"), Some(server))
        }
    });
    url
}

/// Replaces the database in a server's URL.
pub fn with_database(url: &str, name: &str) -> String {
    let (before, options) = url.split_once('?').map_or((url, ""), |(url, rest)| (url, rest));
    let (place, _) = before.rsplit_once('/').unwrap();
    let mark = if options.is_empty() { "" } else { "?" };
    format!("{place}/{name}{mark}{options}")
}

/// An empty database that goes with this value.
pub struct TestDatabase {
    server: String,
    name: String,
}

impl TestDatabase {
    /// One on the shared server.
    pub fn new() -> Self {
        Self::on(server())
    }

    /// One on this server.
    pub fn on(server: &str) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let n = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("skald_test_{}_{n}", std::process::id());
        let make = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        connect(server).batch_execute(&make).unwrap();
        Self { server: server.to_owned(), name }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        with_database(&self.server, &self.name)
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements behind the store's back.
    pub fn execute(&self, sql: &str) {
        connect(&self.url()).batch_execute(sql).unwrap();
    }

    /// What a query that selects one text column called `line` finds.
    pub fn lines(&self, sql: &str) -> Vec<String> {
        let found: Vec<Line> = diesel::sql_query(sql).load(&mut connect(&self.url())).unwrap();
        found.into_iter().map(|line| line.line).collect()
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Ok(mut connection) = stack::connect(&self.server) {
            let _ = connection
                .batch_execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        }
    }
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// A connection of somebody else's.
pub fn connect(url: &str) -> PgConnection {
    stack::connect(url).unwrap()
}

/// A server of one test's own, with `wal_level` and the like at their defaults.
pub struct PrivateServer {
    folder: tempfile::TempDir,
    port: u16,
    /// What its primary knows it by.
    name: &'static str,
    /// Ends the server when this end of its pipe is closed, also by a death of this process.
    guard: Option<(Child, ChildStdin)>,
}

impl PrivateServer {
    /// Starts one.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("cp").arg("-a").arg(template()).arg(folder.path().join("data")));
        Self::start_in(folder, "primary")
    }

    /// Starts a standby of it, and has it wait for that one with every commit from now on.
    pub fn with_standby(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        own(folder.path());
        let words = as_owner(&program("pg_basebackup"));
        run(Command::new(&words[0])
            .args(&words[1..])
            .args(["--write-recovery-conf", "--checkpoint=fast", "--dbname", &self.url("postgres")])
            .arg("--pgdata")
            .arg(folder.path().join("data")));
        let standby = Self::start_in(folder, STANDBY);
        let mut primary = connect(&self.url("postgres"));
        // Only here: a standby that has it, too, would wait for another one once it is promoted.
        let wait = format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'");
        primary.batch_execute(&wait).unwrap();
        primary.batch_execute("SELECT pg_reload_conf()").unwrap();
        let synchronous = "SELECT sync_state AS line FROM pg_stat_replication";
        self.wait("its standby is synchronous", || self.lines(synchronous) == ["sync"]);
        standby
    }

    fn start_in(folder: tempfile::TempDir, name: &'static str) -> Self {
        own(folder.path());
        let port = free_port();
        let mut server = Self { folder, port, name, guard: None };
        server.go_on();
        server
    }

    /// Makes a standby a primary, whatever became of its own.
    pub fn promote(&self) {
        assert_eq!(self.lines("SELECT pg_promote()::text AS line"), ["true"]);
    }

    /// Suspends whoever sends to its standbys, until it is killed.
    pub fn suspend_senders(&self) {
        let senders = self.lines("SELECT pid::text AS line FROM pg_stat_replication");
        senders.iter().for_each(|sender| signal("STOP", sender));
    }

    /// Kills it and all its processes with SIGKILL, as a machine dies: what it had not sent is not sent. A
    /// session that outlived the others could wait for ever for a lock of one that died with it.
    pub fn kill(&mut self) {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        signal("KILL", &pid);
        for child in children.split_whitespace() {
            // Some see that the first is gone, and go themselves.
            Command::new("kill").args(["-s", "KILL", child]).output().unwrap();
        }
        self.stop();
    }

    /// How many sessions wait for a standby in the middle of a COMMIT.
    pub fn commits_that_wait(&self) -> usize {
        let waiting = "SELECT pid::text AS line FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        self.lines(waiting).len()
    }

    fn lines(&self, sql: &str) -> Vec<String> {
        let found: Vec<Line> =
            diesel::sql_query(sql).load(&mut connect(&self.url("postgres"))).unwrap();
        found.into_iter().map(|line| line.line).collect()
    }

    fn pid(&self) -> String {
        let noted = self.folder.path().join("data/postmaster.pid");
        std::fs::read_to_string(noted).unwrap().lines().next().unwrap().to_owned()
    }

    fn wait(&self, what: &str, mut until: impl FnMut() -> bool) {
        let end = Instant::now() + PATIENCE;
        while !until() {
            assert!(Instant::now() < end, "never: {what}; see {}", self.folder.path().display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where it listens, as `host:port`.
    pub fn place(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The URL of one of its databases, for the superuser.
    pub fn url(&self, database: &str) -> String {
        let port = self.port;
        format!("postgres://postgres:{PASSWORD}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Ends it at once, as a crash would.
    pub fn stop(&mut self) {
        if let Some((mut guard, mut pipe)) = self.guard.take() {
            pipe.write_all(b"keep\n").unwrap();
            drop(pipe);
            guard.wait().unwrap();
        }
    }

    /// Starts it again.
    pub fn go_on(&mut self) {
        // Whoever dies instead of stopping it has no more use for the folder.
        let script = r#"folder=$1; shift; "$@" & server=$!
            read -r word; kill -QUIT $server; wait $server
            [ "$word" = keep ] || rm -rf "$folder""#;
        let data = self.folder.path().join("data");
        let log = std::fs::File::create(self.folder.path().join("log")).unwrap();
        let mut guard = Command::new("sh")
            .args(["-c", script, "guard"])
            .arg(self.folder.path())
            .args(as_owner(&program("postgres")))
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(&data)
            .args(["-p", &self.port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"])
            .args(["-c", &format!("cluster_name={}", self.name)])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let pipe = guard.stdin.take().unwrap();
        self.guard = Some((guard, pipe));
        let url = self.url("postgres");
        self.wait("it answers", || stack::connect(&url).is_ok());
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A folder that `initdb` made once; kept from one test run to the next.
fn template() -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let version = Command::new(program("postgres")).arg("--version").output().unwrap().stdout;
    let version: String =
        String::from_utf8(version).unwrap().chars().filter(char::is_ascii_digit).collect();
    let template = root.join(format!("postgres-{version}"));
    let lock = std::fs::File::create(root.join("postgres.lock")).unwrap();
    lock.lock().unwrap();
    if !template.exists() {
        // Made where any user may, then put in its place as a whole.
        let made = tempfile::tempdir().unwrap();
        let mut secret = tempfile::NamedTempFile::new_in(made.path()).unwrap();
        writeln!(secret, "{PASSWORD}").unwrap();
        own(made.path());
        let data = made.path().join("data");
        let words = as_owner(&program("initdb"));
        run(Command::new(&words[0])
            .args(&words[1..])
            .arg("-D")
            .arg(&data)
            .arg("--pwfile")
            .arg(secret.path())
            .args(["-U", "postgres", "-E", "UTF8", "--locale=C", "--auth=scram-sha-256"]));
        let part = root.join(format!("postgres-{version}.part"));
        let _ = std::fs::remove_dir_all(&part);
        run(Command::new("cp").arg("-a").arg(&data).arg(&part));
        std::fs::rename(&part, &template).unwrap();
    }
    template
}

/// One of PostgreSQL's programs: that on the path, or else of the newest version installed.
fn program(name: &str) -> PathBuf {
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
        std::env::split_paths(&path).map(|folder| folder.join(name)).collect::<Vec<_>>()
    });
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path().join("bin").join(name))
        .collect();
    installed.sort();
    on_path
        .chain(installed.into_iter().rev())
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{name} is not installed; set SKALD_TEST_POSTGRES to a server"))
}

/// The server refuses to run as root, so whoever is root runs it as somebody else.
fn owner() -> Option<&'static str> {
    let is = |args: &[&str]| Command::new("id").args(args).output().unwrap();
    if is(&["-u"]).stdout != b"0\n" {
        return None;
    }
    Some(if is(&["-u", "postgres"]).status.success() { "postgres" } else { "nobody" })
}

fn as_owner(program: &Path) -> Vec<String> {
    let mut words: Vec<String> = match owner() {
        Some(user) => ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--"]
            .map(str::to_owned)
            .into(),
        None => Vec::new(),
    };
    if owner() == Some("nobody") {
        words[4] = "nogroup".to_owned();
    }
    words.push(program.to_str().unwrap().to_owned());
    words
}

/// Gives a folder to the user that the server runs as.
fn own(folder: &Path) {
    if let Some(user) = owner() {
        run(Command::new("chown").arg("-R").arg(user).arg(folder));
    }
}

fn signal(name: &str, pid: &str) {
    run(Command::new("kill").args(["-s", name, pid]));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
