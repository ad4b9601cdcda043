use std::fs;

use serde_json::{Value, json};

use super::program::{Ended, finish, run, run_in, skald};

/// What `skald config print -o json` says of a setting.
fn setting<'a>(printed: &'a Value, key: &str) -> &'a Value {
    let entries = printed.as_array().unwrap();
    entries.iter().find(|entry| entry["setting"] == key).unwrap_or_else(|| panic!("no {key}"))
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[server]\nlisten = 'here'\nlisen = 1\n";
    fs::write(folder.path().join("skald.toml"), file).unwrap();
    let mut check = skald(folder.path(), &["config", "check", "--log-format", "xml"]);
    check.env("SKALD_WORKERS_PREFETCH", "lots");
    let Ended { code, out, err } = finish(check);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for told in [
        "skald.toml:2:1: server.listen must be",
        "skald.toml:3:1: server.lisen is not a setting",
        "environment variable SKALD_WORKERS_PREFETCH: workers.prefetch must be",
        "--log-format: log.format must be text or json",
    ] {
        assert!(err.contains(told), "{told}: {err}");
    }
}

#[test]
fn a_url_that_only_the_start_would_refuse_is_refused_by_the_check_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[store]\nurl = 'postgres://ada:s3@cret@db/shop'\n\n[bus]\nurl = 'amqp://localhost/'\n\
                [mail]\nurl = 'smtp://s3cret@mail.example.com'";
    fs::write(folder.path().join("skald.toml"), file).unwrap();
    let Ended { code, out, err } = run_in(folder.path(), &["config", "check"]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for told in ["skald.toml:2:1: store.url", "skald.toml:5:1: bus.url", "skald.toml:7:1: mail.url"]
    {
        assert!(err.contains(told), "{told}: {err}");
    }
    assert!(!err.contains("cret"), "{err}");
}

#[test]
fn a_right_configuration_is_told_to_be_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("skald.toml"), "[server]\nworkers = 2").unwrap();
    let ended = run_in(folder.path(), &["config", "check"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert!(ended.out.starts_with("the configuration is right: 1 settings are given"), "{ended:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn every_setting_is_printed_with_where_it_comes_from_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let file = "[server]\nworkers = 2\nallowed_hosts = ['a.example.com', 'b.example.com']\n";
    fs::write(folder.path().join("skald.toml"), file).unwrap();
    let print = |arguments: &[&str]| {
        let arguments = [&["config", "print", "--data-dir", "/srv"], arguments].concat();
        let mut command = skald(folder.path(), &arguments);
        command.env("SKALD_STORE_URL", "postgres://ada:s3cret@db/shop?password=s3cret");
        command.env("SKALD_BUS_URL", "amqp://ada:s3cret@one, amqp://ada:s3cret@two");
        let ended = finish(command);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
        assert!(!ended.out.contains("s3cret"), "{}", ended.out);
        ended
    };
    let table = print(&[]).out;
    let line = |key: &str| {
        let line = table.lines().find(|line| line.split(' ').next() == Some(key)).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("data_dir"), "data_dir /srv --data-dir");
    assert_eq!(line("server.workers"), "server.workers 2 skald.toml:2:1");
    assert_eq!(line("store.url"), "store.url postgres://***@db/shop?*** SKALD_STORE_URL");
    assert_eq!(line("bus.url"), "bus.url amqp://***@one, amqp://***@two SKALD_BUS_URL");
    assert_eq!(line("mail.folder"), "mail.folder mail in data_dir default");

    let printed = print(&["-o", "json"]).json();
    let hosts = json!({"setting": "server.allowed_hosts", "value": ["a.example.com", "b.example.com"],
        "from": {"kind": "file", "path": "skald.toml", "line": 3, "column": 1}});
    assert_eq!(*setting(&printed, "server.allowed_hosts"), hosts);
    let lease = json!({"setting": "node.lease_ms", "value": 15000, "from": {"kind": "default"}});
    assert_eq!(*setting(&printed, "node.lease_ms"), lease);
    assert_eq!(setting(&printed, "event_log")["value"], Value::Null);
}

#[test]
fn the_template_sets_nothing_and_each_of_its_lines_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let template = run(&["config", "print", "--template"]).out;
    let check = |file: &str| {
        fs::write(folder.path().join("skald.toml"), file).unwrap();
        let ended = run_in(folder.path(), &["config", "check"]);
        assert_eq!(ended.code, 0, "{file}\n{ended:?}");
        ended.out
    };
    assert!(check(&template).contains(": 0 settings are given"));
    let used = template.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if !setting.starts_with(' ') => setting,
        _ => line,
    });
    // No authority of ours is on this machine, and mail.from is to stay with its example.
    let used: Vec<&str> = used
        .filter(|line| !line.starts_with("ca_file"))
        .map(|line| if line.starts_with("from = ") { "from = 'shop@example.com'" } else { line })
        .collect();
    assert!(check(&used.join("\n")).contains("1 are not"));
    assert!(template.lines().all(|line| line.chars().count() <= 100), "{template}");
}
