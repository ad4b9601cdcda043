//! RabbitMQ brokers for tests: one of the test's own, or the one of the whole run.
//!
//! A run may offer a broker in `SKALD_TEST_AMQP`, the URL of an account that may do everything
//! there. Without it, each test process starts one.

// No test program uses all of it.
#![allow(dead_code)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where Debian and the official packages put it.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CTL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";

/// Longer than any boot takes.
const PATIENCE: Duration = Duration::from_secs(90);

/// Runs the broker until the test is gone, however it goes: then its end of the pipe is closed.
const KEEPER: &str = r#"
"$1" >>"$2/out" 2>&1 &
cat
kill -9 "$(cat "$2/pid")"
wait
# The name server notices a moment later, and can't be ended before.
for _ in 1 2 3 4 5 6 7 8 9; do epmd -port "$ERL_EPMD_PORT" -kill | grep -q Killed && break; sleep 0.2; done
rm -rf "$2"
"#;

/// The URL of a broker that others may use, too: use names that nobody else does.
pub fn shared() -> String {
    static OWN: OnceLock<Broker> = OnceLock::new();
    match std::env::var("SKALD_TEST_AMQP") {
        Ok(url) => url,
        Err(_) => OWN.get_or_init(Broker::start).url(),
    }
}

/// A broker of one's own. Ends with the test.
pub struct Broker {
    folder: TempDir,
    port: u16,
    variables: Vec<(&'static str, String)>,
    keepers: Vec<Child>,
}

impl Broker {
    /// Starts a broker and waits until it answers.
    pub fn start() -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "{SERVER} is missing: install RabbitMQ, or name a broker in SKALD_TEST_AMQP"
        );
        let folder = tempfile::Builder::new().prefix("skald-rabbitmq-").tempdir().unwrap();
        let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [port, distribution, names] = listeners.map(|it| it.local_addr().unwrap().port());
        let within = |name: &str| folder.path().join(name).display().to_string();
        fs::write(within("plugins"), "[].").unwrap();
        let variables = vec![
            ("HOME", within("")),
            ("ERL_EPMD_PORT", names.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODENAME", format!("skald{port}@localhost")),
            ("RABBITMQ_NODE_PORT", port.to_string()),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_DIST_PORT", distribution.to_string()),
            ("RABBITMQ_MNESIA_BASE", within("data")),
            ("RABBITMQ_LOG_BASE", within("log")),
            ("RABBITMQ_PID_FILE", within("pid")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", within("plugins")),
            ("RABBITMQ_CONFIG_FILE", within("rabbitmq")),
            ("RABBITMQ_CONF_ENV_FILE", "/dev/null".to_owned()),
        ];
        let mut broker = Self { folder, port, variables, keepers: Vec::new() };
        broker.boot();
        broker
    }

    /// Starts it again after [`kill`](Self::kill), with the data it had, and waits until it answers.
    pub fn boot(&mut self) {
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", SERVER])
            .arg(self.folder.path())
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.keepers.push(keeper);
        self.wait(|broker| TcpStream::connect(("127.0.0.1", broker.port)).is_ok());
    }

    /// Ends it at once, with no time to write anything down.
    pub fn kill(&mut self) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
        self.wait(|broker| TcpStream::connect(("127.0.0.1", broker.port)).is_err());
    }

    fn wait(&self, until: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !until(self) {
            let told = || fs::read_to_string(self.folder.path().join("out")).unwrap_or_default();
            assert!(began.elapsed() < PATIENCE, "the broker does not obey:\n{}", told());
            sleep(Duration::from_millis(20));
        }
    }

    /// Has it write down which log belongs to which queue. It does so by itself within a second, but
    /// killed before, it does not find a new queue's log again.
    pub fn write_down_names(&self) {
        self.ctl(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]);
    }

    /// Where it is, with an account that may do everything.
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.port)
    }

    /// Runs `rabbitmqctl` on it.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let run = Command::new(CTL)
            .args(arguments)
            .envs(self.variables.iter().cloned())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{arguments:?}: {told}{run:?}");
        told
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        for keeper in &mut self.keepers {
            drop(keeper.stdin.take());
            keeper.wait().unwrap();
        }
    }
}
