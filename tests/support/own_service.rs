//! A PostgreSQL, a RabbitMQ or a Redis of one test's own, which the test may kill: `scripts/stack` in a folder that
//! goes with the test, however the test goes.

// No test program uses all of it.
#![allow(dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/stack");

/// Ends the service once the test is gone: then its end of the pipe is closed. Ctrl-C is for the test alone.
const KEEPER: &str = r#"
trap '' INT TERM HUP
cat
"$1" down --dir "$2" >/dev/null 2>&1
umount -l "$2/$3" 2>/dev/null
rm -rf "$2"
"#;

/// What can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Postgres,
    RabbitMq,
    Redis,
}

impl Kind {
    /// What `scripts/stack` calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::RabbitMq => "rabbitmq",
            Self::Redis => "redis",
        }
    }

    /// The variable with its URL.
    fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "SKALD_TEST_POSTGRES",
            Self::RabbitMq => "SKALD_TEST_AMQP",
            Self::Redis => "SKALD_TEST_REDIS",
        }
    }
}

/// A running service, or one that was killed.
pub struct OwnService {
    kind: Kind,
    folder: TempDir,
    /// Whether its files are on a file system of their own.
    on_small_disk: bool,
    keeper: Child,
    /// What `scripts/stack` said when it was started the last time.
    variables: Mutex<String>,
}

impl OwnService {
    /// Starts one and waits until it answers.
    pub fn start(kind: Kind) -> Self {
        Self::in_folder(kind, None).unwrap()
    }

    /// Starts one whose files have a file system of their own, of so many MiB.
    ///
    /// # Errors
    /// Where this user may not mount a file system; says so.
    pub fn on_small_disk(kind: Kind, mib: u32) -> Result<Self, String> {
        Self::in_folder(kind, Some(mib))
    }

    fn in_folder(kind: Kind, disk: Option<u32>) -> Result<Self, String> {
        let folder = tempfile::Builder::new().prefix("skald-own-").tempdir().unwrap();
        let home = folder.path().join(kind.name());
        if let Some(mib) = disk {
            // What makes it a stack's folder.
            fs::write(folder.path().join(".lock"), "").unwrap();
            fs::create_dir(&home).unwrap();
            let mut mount = Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&home);
            let mounted = mount.output().map_err(|error| format!("mount: {error}"))?;
            if !mounted.status.success() {
                let told = String::from_utf8_lossy(&mounted.stderr).trim().to_owned();
                return Err(format!("no file system can be mounted: {told}"));
            }
            if kind == Kind::RabbitMq {
                fs::write(home.join("advanced.config"), SMALL_RABBITMQ).unwrap();
            }
        }
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper", SCRIPT])
            .arg(folder.path())
            .arg(kind.name())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let service = Self {
            kind,
            folder,
            on_small_disk: disk.is_some(),
            keeper,
            variables: Mutex::default(),
        };
        service.go_on()?;
        Ok(service)
    }

    /// Starts it where it does not run, with the data it had, and waits until it answers.
    ///
    /// # Errors
    /// When it does not start; says what it told.
    pub fn go_on(&self) -> Result<(), String> {
        let output = self.stack(&["up", "--env"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            return Err(told);
        }
        let variables = fs::read_to_string(self.home().join("variables"));
        *self.variables.lock().unwrap() = variables.map_err(|error| error.to_string())?;
        Ok(())
    }

    /// SIGKILL to it and to whatever it has started, and waits until they are gone.
    pub fn kill(&self) {
        let Some(main) = self.main_process() else { return };
        let mut all = vec![main.clone()];
        let children = Command::new("pgrep").args(["-P", &main]).output().unwrap().stdout;
        all.extend(String::from_utf8(children).unwrap().split_whitespace().map(str::to_owned));
        // Some may be gone by now.
        let _ = Command::new("kill").arg("-9").args(&all).stderr(Stdio::null()).status();
        let began = Instant::now();
        while all.iter().any(|pid| is_alive(pid)) {
            assert!(began.elapsed() < PATIENCE, "{:?} does not die", self.kind);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether its process is there.
    pub fn runs(&self) -> bool {
        self.main_process().is_some_and(|pid| is_alive(&pid))
    }

    /// Sends its process a signal.
    pub fn signal(&self, name: &str) {
        let main = self.main_process().unwrap();
        assert!(Command::new("kill").args(["-s", name, &main]).status().unwrap().success());
    }

    /// Where it is, for an account that may do everything.
    pub fn url(&self) -> String {
        self.variable(self.kind.variable())
    }

    /// Where it listens; another start may have another port.
    pub fn address(&self) -> SocketAddr {
        let url = self.url();
        let (_, place) = url.rsplit_once('@').unwrap();
        place.split('/').next().unwrap().parse().unwrap()
    }

    /// What `scripts/stack` says of it.
    pub fn variable(&self, name: &str) -> String {
        let variables = self.variables.lock().unwrap();
        let found = variables.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        found.unwrap_or_else(|| panic!("no {name} in {variables}")).to_owned()
    }

    /// Runs `rabbitmqctl` on it.
    pub fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String, String> {
        let run = Command::new(self.home().join("rabbitmqctl")).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&run.stdout).into_owned();
        if run.status.success() { Ok(told) } else { Err(format!("{told}{run:?}")) }
    }

    /// Has RabbitMQ write down which log belongs to which queue. It does so by itself within a second, but
    /// killed before, it does not find a new queue's log again.
    pub fn write_down_names(&self) {
        self.rabbitmqctl(&["eval", "[dets:sync(Table) || Table <- dets:all()]."]).unwrap();
    }

    /// The folder of its files, if that is a file system of its own.
    pub fn small_disk(&self) -> Option<PathBuf> {
        self.on_small_disk.then(|| self.home())
    }

    /// Copies what it has logged to a folder.
    pub fn save_logs(&self, to: &Path) {
        let to = to.join(self.kind.name());
        fs::create_dir_all(&to).unwrap();
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(self.home().join("log")).arg(self.home().join("logs")).arg(to);
        // Not everyone has both.
        let _ = copy.output().unwrap();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home().join("log")).unwrap_or_default()
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join(self.kind.name())
    }

    /// Those that it needs were started before it.
    fn main_process(&self) -> Option<String> {
        let pids = fs::read_to_string(self.home().join("pids")).ok()?;
        Some(pids.lines().last()?.split(' ').next()?.to_owned())
    }

    fn stack(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(SCRIPT);
        command.args(arguments).arg("--dir").arg(self.folder.path()).arg(self.kind.name());
        command.stdin(Stdio::null()).output().unwrap()
    }
}

impl Drop for OwnService {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// Quorum queues write to a log of 512 MiB otherwise.
const SMALL_RABBITMQ: &str = "[{ra, [{wal_max_size_bytes, 8388608}]}].\n";

/// A zombie has ended.
fn is_alive(pid: &str) -> bool {
    let Ok(stat) = fs::read_to_string(Path::new("/proc").join(pid).join("stat")) else {
        return false;
    };
    // The name in parentheses may hold anything.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
