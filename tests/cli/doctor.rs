//! `skald doctor` on the embedded stores.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::program::{Going, finish, run_in, skald};

/// The findings of `skald doctor` in a folder, and its exit code.
fn doctor(folder: &Path, arguments: &[&str]) -> (i32, Vec<Value>) {
    let ended = run_in(folder, &[&["doctor", "-o", "json"], arguments].concat());
    (ended.code, ended.json().as_array().unwrap().clone())
}

fn verdict<'a>(findings: &'a [Value], check: &str) -> &'a str {
    let finding = findings.iter().find(|finding| finding["check"] == check);
    finding.unwrap_or_else(|| panic!("no {check} in {findings:?}"))["verdict"].as_str().unwrap()
}

/// Every file below a folder with what it holds.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.insert(path.display().to_string(), fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn where_nothing_is_yet_what_is_to_be_done_is_said_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let (code, findings) = doctor(folder.path(), &[]);
    assert_eq!(code, 0, "{findings:?}");
    assert_eq!(verdict(&findings, "data folder"), "warn");
    let told = |finding: &Value| finding["verdict"] == "ok" || finding["fix"].is_string();
    assert!(findings.iter().all(told), "{findings:?}");
    assert_eq!(files(folder.path()), BTreeMap::new());
}

#[test]
fn files_are_looked_at_beside_a_server_and_after_its_death_without_a_change() {
    let folder = tempfile::tempdir().unwrap();
    let serve = skald(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let server = Going::start(serve);
    let on_hand = server.request("PUT", "/v1/inventory/products/harp", "", r#"{"onHand":3}"#);
    assert_eq!(on_hand.0, 200);
    server.order("harp");
    let (code, findings) = doctor(folder.path(), &[]);
    assert_eq!(code, 0, "{findings:?}");
    for check in ["orchestrator file", "inventory file", "notification file", "shards", "sagas"] {
        assert_eq!(verdict(&findings, check), "ok", "{findings:?}");
    }
    let is_running = |finding: &Value| finding["found"] == "a Skald runs on this folder";
    assert!(findings.iter().any(is_running), "{findings:?}");

    // Killed, so that the log stays.
    drop(server);
    let before = files(folder.path());
    assert!(before.keys().any(|path| path.ends_with("orchestrator.db-wal")));
    let (code, findings) = doctor(folder.path(), &[]);
    assert_eq!(code, 0, "{findings:?}");
    assert!(!findings.iter().any(is_running), "{findings:?}");
    assert_eq!(verdict(&findings, "orchestrator file"), "ok", "{findings:?}");
    assert!(files(folder.path()) == before, "a file was changed");
}

#[test]
fn a_file_of_another_program_fails_and_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("data")).unwrap();
    let diary = "a diary, not a database, and long enough to be taken for one".repeat(50);
    fs::write(folder.path().join("data/inventory.db"), diary).unwrap();
    let before = files(folder.path());
    let (code, findings) = doctor(folder.path(), &[]);
    assert_eq!(code, 1, "{findings:?}");
    assert_eq!(verdict(&findings, "inventory migrations"), "fail", "{findings:?}");
    assert!(files(folder.path()) == before, "a file was changed");
}

#[test]
fn people_get_one_line_a_check_and_what_to_do_below_it() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run_in(folder.path(), &["doctor", "--data-dir", "elsewhere"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    let lines: Vec<&str> = ended.out.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("warn  data folder")).unwrap();
    assert!(lines[at].contains("elsewhere is not there yet"), "{lines:?}");
    assert!(lines[at + 1].trim_start().starts_with("fix: run skald migrate"), "{lines:?}");
}

#[test]
fn a_redis_that_is_away_is_told_of_and_no_failure() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = skald(folder.path(), &["doctor", "-o", "json"]);
    command.env("SKALD_REDIS_URL", "redis://:s3cret@127.0.0.1:1");
    let ended = finish(command);
    assert!(!ended.out.contains("s3cret"), "{}", ended.out);
    let findings = ended.json().as_array().unwrap().clone();
    assert_eq!((ended.code, verdict(&findings, "redis")), (0, "warn"), "{findings:?}");
}
