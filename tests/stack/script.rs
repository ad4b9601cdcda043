//! `scripts/stack` and `scripts/with-stack`. Redis is the quickest, so it stands for the others where it can.

use std::fs;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn script(name: &str) -> Command {
    let mut command =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name));
    for service in ["POSTGRES", "AMQP", "REDIS"] {
        command.env_remove(format!("SKALD_TEST_{service}"));
    }
    command
}

/// A stack in a folder of its own, which ends with this.
struct Stack {
    _parent: TempDir,
    folder: PathBuf,
}

impl Stack {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        Self { folder: parent.path().join("stack"), _parent: parent }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        script("stack")
            .arg(command)
            .arg("--dir")
            .arg(&self.folder)
            .args(arguments)
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed and returns what it printed.
    fn succeed(&self, command: &str, arguments: &[&str]) -> String {
        let output = self.run(command, arguments);
        assert!(output.status.success(), "{command}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The processes of a service.
    fn processes(&self, service: &str) -> Vec<String> {
        let pids = fs::read_to_string(self.folder.join(service).join("pids")).unwrap();
        pids.lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.run("down", &[]);
    }
}

fn kill(pid: &str) {
    assert!(Command::new("kill").args(["-KILL", pid]).status().unwrap().success());
    eventually("the process ends", || !runs(pid));
}

/// Whether there is such a process; one that has ended and that nobody asked about is none.
fn runs(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Waits until something is so.
fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not so after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn up_on_a_running_stack_tells_the_same_again() {
    let stack = Stack::new();
    let first = stack.succeed("up", &["--env", "postgres", "redis"]);
    assert!(first.contains("export SKALD_TEST_POSTGRES=postgres://skald:"), "{first}");
    assert!(first.contains("export SKALD_TEST_REDIS=redis://:"), "{first}");
    let processes = (stack.processes("postgres"), stack.processes("redis"));
    assert_eq!(stack.succeed("up", &["--env", "postgres", "redis"]), first);
    assert_eq!((stack.processes("postgres"), stack.processes("redis")), processes);
}

#[test]
fn status_tells_of_a_service_that_was_killed_and_up_starts_it_again_with_its_data() {
    let stack = Stack::new();
    let before = stack.succeed("up", &["postgres", "redis"]);
    let password_file = stack.folder.join("postgres/password");
    let password = fs::read(&password_file).unwrap();
    assert!(stack.run("status", &["postgres", "redis"]).status.success());
    kill(&stack.processes("postgres")[0]);
    let status = stack.run("status", &["postgres", "redis"]);
    let told = String::from_utf8(status.stdout).unwrap();
    assert_eq!(status.status.code(), Some(1), "{told}");
    assert!(told.contains("postgres   stopped") && told.contains("redis      running"), "{told}");
    assert_eq!(stack.succeed("up", &["postgres", "redis"]), before);
    assert_eq!(fs::read(&password_file).unwrap(), password);
    stack.succeed("status", &["postgres", "redis"]);
}

#[test]
fn down_leaves_no_process_and_no_folder() {
    let stack = Stack::new();
    stack.succeed("up", &["postgres", "redis"]);
    let processes = [stack.processes("postgres"), stack.processes("redis")].concat();
    assert!(processes.iter().all(|pid| runs(pid)));
    stack.succeed("down", &[]);
    assert!(!processes.iter().any(|pid| runs(pid)));
    assert!(!stack.folder.exists());
    stack.succeed("down", &[]);
}

#[test]
fn down_that_keeps_leaves_the_data_for_the_next_up() {
    let stack = Stack::new();
    let before = stack.succeed("up", &["redis"]);
    let processes = stack.processes("redis");
    stack.succeed("down", &["--keep"]);
    assert!(!processes.iter().any(|pid| runs(pid)));
    assert_eq!(stack.succeed("up", &["redis"]), before);
}

#[test]
fn down_leaves_a_process_alone_that_only_has_the_number_of_one_of_its_own() {
    let stack = Stack::new();
    stack.succeed("up", &["redis"]);
    kill(&stack.processes("redis")[0]);
    let mut stranger = Command::new("sleep").arg("60").spawn().unwrap();
    fs::write(stack.folder.join("redis/pids"), format!("{} 1\n", stranger.id())).unwrap();
    assert!(!stack.run("status", &["redis"]).status.success());
    stack.succeed("down", &[]);
    assert!(stranger.try_wait().unwrap().is_none(), "it was ended");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[test]
fn stacks_live_side_by_side() {
    let (one, other) = (Stack::new(), Stack::new());
    let urls = thread::scope(|scope| {
        let second = scope.spawn(|| other.succeed("up", &["redis"]));
        (one.succeed("up", &["redis"]), second.join().unwrap())
    });
    assert_ne!(urls.0, urls.1);
    one.succeed("down", &[]);
    other.succeed("status", &["redis"]);
}

#[test]
fn a_folder_that_is_no_stack_is_left_alone() {
    let stack = Stack::new();
    fs::create_dir(&stack.folder).unwrap();
    fs::write(stack.folder.join("thesis.txt"), "years of work").unwrap();
    assert!(!stack.run("up", &["redis"]).status.success());
    stack.run("down", &[]);
    assert!(stack.folder.join("thesis.txt").exists());
}

/// A command that runs under `with-stack`, with Redis only, until somebody ends it.
struct Watched {
    _folder: TempDir,
    with_stack: Child,
    command: String,
    redis: String,
}

impl Watched {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = "echo $$ $SKALD_TEST_REDIS >new; mv new started; exec sleep 60";
        let with_stack = script("with-stack")
            .args(["redis", "--", "bash", "-c"])
            .arg(format!("cd {}; {command}", folder.path().display()))
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let started = folder.path().join("started");
        eventually("the command starts", || started.exists());
        let told = fs::read_to_string(started).unwrap();
        let (command, url) = told.split_once(' ').unwrap();
        let (_, address) = url.split_once('@').unwrap();
        let redis = address.split('/').next().unwrap().to_owned();
        TcpStream::connect(&redis).unwrap();
        Self { _folder: folder, with_stack, command: command.to_owned(), redis }
    }

    /// Sends a signal to `with-stack`, or with a `-` as `to` to its group, as a terminal does.
    fn send(&self, signal: &str, to: &str) {
        let target = format!("{to}{}", self.with_stack.id());
        let sent = Command::new("kill").args([signal, "--", &target]).status().unwrap();
        assert!(sent.success());
    }

    fn serves(&self) -> bool {
        TcpStream::connect(&self.redis).is_ok()
    }
}

#[test]
fn with_stack_returns_the_code_of_its_command_and_ends_the_stack() {
    let output = script("with-stack")
        .args(["redis", "--", "bash", "-c", "echo $SKALD_TEST_REDIS; exit 7"])
        .output()
        .unwrap();
    let url = String::from_utf8(output.stdout).unwrap();
    let (_, address) = url.trim().split_once('@').unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(TcpStream::connect(address.trim_end_matches("/0")).is_err());
}

#[test]
fn with_stack_that_is_told_to_end_ends_its_command_and_the_stack() {
    for (signal, to, code) in [("-TERM", "", 143), ("-INT", "-", 130)] {
        let mut watched = Watched::start();
        watched.send(signal, to);
        assert_eq!(watched.with_stack.wait().unwrap().code(), Some(code), "{signal}");
        assert!(!runs(&watched.command) && !watched.serves(), "{signal}");
    }
}

#[test]
fn the_stack_ends_even_when_with_stack_is_killed() {
    let mut watched = Watched::start();
    watched.send("-KILL", "");
    watched.with_stack.wait().unwrap();
    eventually("the stack ends", || !watched.serves());
    kill(&watched.command);
}
