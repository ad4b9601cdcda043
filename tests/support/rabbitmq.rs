//! RabbitMQ brokers for tests: one of the test's own, a cluster of them, or the one of the whole run.
//!
//! A run may offer a broker in `SKALD_TEST_AMQP`, the URL of an account that may do everything
//! there. Without it, each test process starts one.

// No test program uses all of it.
#![allow(dead_code)]

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ports::{free_port, free_ports};

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

/// The URL of a broker of this process that forgets no acknowledgement.
pub fn remembering() -> String {
    static OWN: OnceLock<Broker> = OnceLock::new();
    OWN.get_or_init(|| Broker::with_soft_limit(1_000_000)).url()
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
        Self::with_soft_limit(32)
    }

    /// Starts one that has so many acknowledgements of a channel under way to a quorum queue; others
    /// wait in the channel, and are forgotten if it closes meanwhile (RabbitMQ's issue 10327). As
    /// shipped it is 32.
    pub fn with_soft_limit(acknowledgements: u32) -> Self {
        let [port, distribution, names] = free_ports();
        let mut broker = Self::installed(port, distribution, names);
        let limit = format!("-rabbit quorum_commands_soft_limit {acknowledgements}");
        broker.variables.push(("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", limit));
        broker.boot();
        broker
    }

    /// One that does not run yet. Those that share a name server can make a cluster.
    fn installed(port: u16, distribution: u16, names: u16) -> Self {
        assert!(
            Path::new(SERVER).exists(),
            "{SERVER} is missing: install RabbitMQ, or name a broker in SKALD_TEST_AMQP"
        );
        let folder = tempfile::Builder::new().prefix("skald-rabbitmq-").tempdir().unwrap();
        let within = |name: &str| folder.path().join(name).display().to_string();
        fs::write(within("plugins"), "[].").unwrap();
        let variables = vec![
            ("HOME", within("")),
            ("ERL_EPMD_PORT", names.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("RABBITMQ_NODENAME", node_name(port)),
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
        Self { folder, port, variables, keepers: Vec::new() }
    }

    /// Starts it again after [`kill`](Self::kill), with the data it had, and waits until it answers.
    pub fn boot(&mut self) {
        self.launch();
        self.wait_until_it_answers();
    }

    fn launch(&mut self) {
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
    }

    fn wait_until_it_answers(&self) {
        self.wait(|broker| TcpStream::connect(("127.0.0.1", broker.port)).is_ok());
    }

    /// Ends it at once, with no time to write anything down.
    pub fn kill(&mut self) {
        self.signal("KILL");
        self.wait(|broker| TcpStream::connect(("127.0.0.1", broker.port)).is_err());
    }

    /// Suspends it, or has it go on.
    pub fn suspend(&self, suspended: bool) {
        self.signal(if suspended { "STOP" } else { "CONT" });
    }

    fn signal(&self, name: &str) {
        let pid = fs::read_to_string(self.folder.path().join("pid")).unwrap();
        assert!(Command::new("kill").args(["-s", name, pid.trim()]).status().unwrap().success());
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

    /// What the others of its cluster call it.
    pub fn name(&self) -> String {
        node_name(self.port)
    }

    /// Runs `rabbitmqctl` on it.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let run = self.run(arguments);
        let told = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success(), "{arguments:?}: {told}{run:?}");
        told
    }
}

impl Broker {
    fn run(&self, arguments: &[&str]) -> Output {
        let variables = self.variables.iter().cloned();
        Command::new(CTL).args(arguments).envs(variables).output().unwrap()
    }

    /// Has its keepers end it.
    fn let_go(&mut self) {
        self.keepers.iter_mut().for_each(|keeper| drop(keeper.stdin.take()));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.let_go();
        for keeper in &mut self.keepers {
            keeper.wait().unwrap();
        }
    }
}

fn node_name(port: u16) -> String {
    format!("skald{port}@localhost")
}

/// Three brokers that are one, as a cluster should be set up. Ends with the test.
pub struct Cluster {
    nodes: [Broker; 3],
}

/// A lasting queue of a cluster.
#[derive(Debug, serde::Deserialize)]
pub struct Replicated {
    /// What it is called.
    pub name: String,
    /// The node that decides.
    pub leader: String,
    /// The nodes that have a copy.
    pub members: Vec<String>,
    /// Those of them whose copy runs.
    pub online: Vec<String>,
}

impl Cluster {
    /// Starts a cluster and waits until each node answers.
    pub fn start() -> Self {
        let names = free_port();
        let mut nodes = [0; 3].map(|_| {
            let [port, distribution] = free_ports();
            Broker::installed(port, distribution, names)
        });
        let mut settings = "cluster_partition_handling = pause_minority\nnet_ticktime = 15\n\
                            cluster_formation.peer_discovery_backend = classic_config\n"
            .to_owned();
        for (n, node) in nodes.iter().enumerate() {
            let number = n + 1;
            let name = node.name();
            settings += &format!("cluster_formation.classic_config.nodes.{number} = {name}\n");
        }
        for node in &mut nodes {
            let folder = node.folder.path();
            fs::write(folder.join("rabbitmq.conf"), &settings).unwrap();
            let cookie = folder.join(".erlang.cookie");
            fs::write(&cookie, format!("SKALD{names}")).unwrap();
            fs::set_permissions(&cookie, fs::Permissions::from_mode(0o400)).unwrap();
            node.launch();
        }
        nodes.iter().for_each(Broker::wait_until_it_answers);
        Self { nodes }
    }

    /// The nodes' addresses, as `SKALD_BUS_URL` takes them.
    pub fn urls(&self) -> String {
        self.nodes.each_ref().map(Broker::url).join(",")
    }

    /// The node that the others call so.
    pub fn node(&mut self, name: &str) -> &mut Broker {
        self.nodes.iter_mut().find(|node| node.name() == name).unwrap()
    }

    /// What the nodes are called.
    pub fn names(&self) -> [String; 3] {
        self.nodes.each_ref().map(Broker::name)
    }

    /// The lasting queues; none while the first node can't tell.
    pub fn queues(&self) -> Option<Vec<Replicated>> {
        self.list(&["list_queues", "name", "leader", "members", "online"])
    }

    /// The node of each client's connection; none while the first node can't tell.
    pub fn connected(&self) -> Option<Vec<String>> {
        #[derive(serde::Deserialize)]
        struct Connection {
            port: u16,
        }
        let found: Vec<Connection> = self.list(&["list_connections", "port"])?;
        Some(found.into_iter().map(|connection| node_name(connection.port)).collect())
    }

    fn list<T: serde::de::DeserializeOwned>(&self, what: &[&str]) -> Option<Vec<T>> {
        let run = self.nodes[0].run(&[&["-q", "--formatter", "json"], what].concat());
        serde_json::from_slice(&run.stdout).ok().filter(|_| run.status.success())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // All at once: the first would wait for the others to leave their name server.
        self.nodes.iter_mut().for_each(Broker::let_go);
    }
}
