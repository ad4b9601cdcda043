//! A Redis of one test's own, which it may kill, suspend and fill with nonsense.

// No test program uses all of it.
#![allow(dead_code)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::{Client, Connection, FromRedisValue};
use tempfile::TempDir;

use crate::ports::free_port;

/// The password, which nobody may see.
pub const PASSWORD: &str = "s3cret-of-redis";

/// Longer than any start takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs the server until the test is gone, however it goes: then its end of the pipe is closed.
const KEEPER: &str = r#"
redis-server "$1/redis.conf" >>"$1/out" 2>&1 &
echo $! >"$1/pid"
cat
kill -9 $!
wait
"#;

/// A server that keeps nothing on disk.
pub struct PrivateRedis {
    folder: TempDir,
    port: u16,
    tls: bool,
    keeper: Option<Child>,
}

impl PrivateRedis {
    /// Starts one and waits until it answers.
    pub fn start() -> Self {
        Self::with(false, "")
    }

    /// Starts one that speaks TLS alone, with the certificate and key in these files.
    pub fn with_tls(certificate: &Path, key: &Path) -> Self {
        let (certificate, key) = (certificate.display(), key.display());
        let more = format!(
            "port 0\ntls-cert-file {certificate}\ntls-key-file {key}\ntls-auth-clients no\n"
        );
        Self::with(true, &more)
    }

    fn with(tls: bool, more: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("skald-redis-").tempdir().unwrap();
        let port = free_port();
        let listen = if tls { "tls-port" } else { "port" };
        let dir = folder.path().display();
        let settings = format!(
            "bind 127.0.0.1\n{more}{listen} {port}\nrequirepass {PASSWORD}\nsave \"\"\nappendonly no\ndir \"{dir}\"\n"
        );
        fs::write(folder.path().join("redis.conf"), settings).unwrap();
        let mut server = Self { folder, port, tls, keeper: None };
        server.go_on();
        server
    }

    /// Starts it again after [`kill`](Self::kill), empty, and waits until it answers.
    pub fn go_on(&mut self) {
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.keeper = Some(keeper);
        let began = Instant::now();
        let is_up = |server: &Self| match server.tls {
            true => std::net::TcpStream::connect(("127.0.0.1", server.port)).is_ok(),
            false => server.connect().is_ok(),
        };
        while !is_up(self) {
            let told = || fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "Redis does not start:\n{}", told());
            sleep(Duration::from_millis(10));
        }
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }

    /// Sends it a signal: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        assert!(Command::new("kill").args(["-s", name, pid.trim()]).status().unwrap().success());
    }

    /// Where it is, with its password.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://:{PASSWORD}@127.0.0.1:{}", self.port)
    }

    fn connect(&self) -> redis::RedisResult<Connection> {
        let mut connection = Client::open(self.url())?.get_connection()?;
        redis::cmd("PING").query::<String>(&mut connection)?;
        Ok(connection)
    }

    /// Has it run a command behind everybody's back.
    pub fn run<T: FromRedisValue>(&self, command: &[&str]) -> T {
        self.attempt(command).unwrap()
    }

    /// The same, where it may be refused: others write there, too.
    pub fn attempt<T: FromRedisValue>(&self, command: &[&str]) -> redis::RedisResult<T> {
        let mut connection = self.connect()?;
        redis::cmd(command[0]).arg(&command[1..]).query(&mut connection)
    }

    /// The keys that fit a pattern.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        self.run(&["KEYS", pattern])
    }
}

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        // A suspended process is ended, too.
        self.kill();
    }
}
