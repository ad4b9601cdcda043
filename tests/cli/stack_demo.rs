//! `skald demo --stack`, on a database and a virtual host of the test's own.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use super::program::{Going, PATIENCE, finish, run, skald};
use super::stack::{Database, Vhost};

/// A demo on services that nobody has used.
struct Installation {
    database: Database,
    vhost: Vhost,
    folder: tempfile::TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { database: Database::create(), vhost: Vhost::create(), folder }
    }

    fn demo(&self, arguments: &[&str]) -> Command {
        let mut command = skald(self.folder.path(), &["demo", "--stack", "-o", "json"]);
        command.args(arguments);
        command.env("SKALD_STORE_URL", self.database.url()).env("SKALD_BUS_URL", self.vhost.url());
        // Made-up customers get no mail; if they did, nothing would come to an end.
        command.env("SKALD_MAIL_URL", "smtp+insecure://127.0.0.1:1");
        command
    }
}

/// The processes below `parent` that have not ended.
fn children(parent: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|folder| folder.unwrap().file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().nth(1) == Some(&parent.to_string())
    })
    .collect()
}

/// Waits until a process is gone, or only waits for its parent.
fn await_end(id: u32) {
    let until = Instant::now() + PATIENCE;
    loop {
        let Ok(stat) = fs::read_to_string(format!("/proc/{id}/stat")) else { return };
        if stat.rsplit_once(") ").is_none_or(|(_, fields)| fields.starts_with('Z')) {
            return;
        }
        assert!(Instant::now() < until, "{stat}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_demo_on_the_stack_adds_up_and_refuses_to_run_there_again() {
    let installation = Installation::new();
    let ended = finish(installation.demo(&["--orders", "200", "--rate", "2000"]));
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = ended.json();
    assert_eq!((&report["orders"], &report["mails"]), (&200.into(), &200.into()));
    assert_eq!(report["stockAddsUp"], true);
    let processes = report["processes"].as_array().unwrap();
    let names: Vec<_> = processes.iter().map(|cost| cost["process"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["generator", "orchestrator", "inventory worker", "notification worker"],
        "each is measured"
    );
    let again = finish(installation.demo(&["--orders", "1"]));
    assert_eq!((again.code, again.out.as_str()), (2, ""), "{again:?}");
    assert!(again.err.contains("error[STORE_NOT_EMPTY]: "), "{}", again.err);
}

#[test]
fn a_demo_that_is_killed_takes_its_processes_with_it() {
    let installation = Installation::new();
    let arguments = ["--orders", "5", "--keep", "--listen", "127.0.0.1:0"];
    let demo = Going::start(installation.demo(&arguments));
    let processes = children(demo.id());
    assert_eq!(processes.len(), 3, "an orchestrator and two workers");
    // Without any farewell.
    drop(demo);
    processes.into_iter().for_each(await_end);
}

#[test]
fn a_demo_ends_when_a_process_of_it_does() {
    let installation = Installation::new();
    let mut demo = installation
        .demo(&["--orders", "1000000"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + PATIENCE;
    let processes = loop {
        let processes = children(demo.id());
        if processes.len() == 3 {
            break processes;
        }
        assert!(Instant::now() < until, "{processes:?}");
        thread::sleep(Duration::from_millis(10));
    };
    Command::new("kill").args(["-KILL", &processes[1].to_string()]).status().unwrap();
    await_end(demo.id());
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    processes.into_iter().for_each(await_end);
}

#[test]
fn one_service_alone_is_refused_and_so_is_a_demo_that_would_not_use_them() {
    let url = "postgres://nobody:secret@127.0.0.1:1/none";
    for (arguments, code) in
        [(&["demo", "--stack"][..], "SERVICES_INCOMPLETE"), (&["demo"], "SERVICES_NOT_USED")]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut command = skald(folder.path(), arguments);
        let ended = finish({
            command.env("SKALD_STORE_URL", url);
            command
        });
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
        assert!(ended.err.contains(&format!("error[{code}]: ")), "{}", ended.err);
        assert!(!ended.err.contains("secret"), "{}", ended.err);
    }
}

#[test]
fn without_services_and_the_script_that_starts_them_the_demo_says_what_to_do() {
    let ended = run(&["demo", "--stack"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(ended.err.contains("error[NO_SERVICES]: "), "{}", ended.err);
    assert!(ended.err.contains("next: run it from the folder of Skald's sources"), "{}", ended.err);
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/with-stack").is_file());
}
