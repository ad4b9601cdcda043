//! Opening a folder: what is made, what is recognised, what is refused.

use std::fs;

use skald::ports::letters::{LetterFilter, LetterState};
use skald::store::{OpenError, sqlite};

use super::{connect, execute, lines, open};
use crate::coordination_conformance::until;
use crate::store_conformance::sample;

const FILES: [&str; 3] = ["orchestrator.db", "inventory.db", "notification.db"];

#[test]
fn a_folder_is_made_with_its_three_files() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("deep/below");
    open(&folder);
    for file in FILES {
        let mode =
            lines(&folder.join(file), "SELECT journal_mode AS line FROM pragma_journal_mode");
        assert_eq!(mode, ["wal"]);
    }
}

#[test]
fn an_up_to_date_folder_is_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let first = open(root.path());
    let epoch = first.ledger.claim(0).unwrap().epoch;
    let second = open(root.path());
    drop(first);
    assert_eq!(second.ledger.claim(0).unwrap().epoch, epoch + 1);
}

#[test]
fn a_file_that_is_no_database_is_not_ours_and_left_alone() {
    for file in FILES {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(file);
        let diary = "dear diary, ".repeat(1000);
        fs::write(&path, &diary).unwrap();
        let error = sqlite::open(root.path(), 1).err().unwrap();
        assert!(matches!(error, OpenError::NotOurs { .. }), "{error}");
        assert!(error.to_string().contains(file), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), diary);
    }
}

#[test]
fn a_database_of_another_program_is_not_ours_and_left_alone() {
    for mark in ["", "PRAGMA application_id = 7;"] {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("inventory.db");
        execute(&path, &format!("{mark} CREATE TABLE products (name TEXT)"));
        let before = fs::read(&path).unwrap();
        let error = sqlite::open(root.path(), 1).err().unwrap();
        assert!(matches!(error, OpenError::NotOurs { store: "inventory", .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}

#[test]
fn files_of_ours_in_each_others_place_are_noticed() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    let path = |file| root.path().join(file);
    fs::rename(path("notification.db"), path("inventory.db")).unwrap();
    let error = sqlite::open(root.path(), 1).err().unwrap();
    assert!(matches!(error, OpenError::NotOurs { store: "inventory", .. }), "{error}");
}

#[test]
fn a_file_that_a_newer_program_migrated_is_refused_by_name() {
    for file in FILES {
        let root = tempfile::tempdir().unwrap();
        drop(open(root.path()));
        execute(
            &root.path().join(file),
            "INSERT INTO __diesel_schema_migrations (version) VALUES ('0999'), ('9999')",
        );
        let error = sqlite::open(root.path(), 1).err().unwrap();
        assert!(
            matches!(&error, OpenError::Newer { migration, .. } if migration == "0999"),
            "{error}"
        );
    }
}

#[test]
fn migrations_that_lack_are_run() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    let path = root.path().join("notification.db");
    execute(
        &path,
        "DROP TABLE notification_counts; DROP TABLE notifications; DROP TABLE work_records;
         DELETE FROM __diesel_schema_migrations",
    );
    let stores = open(root.path());
    assert_eq!(stores.notification.counts().unwrap(), []);
}

#[test]
fn letters_of_before_they_could_be_decided_about_are_open_and_know_their_saga() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    let path = root.path().join("orchestrator.db");
    let down = include_str!("../../../migrations/sqlite/orchestrator/0003_letters/down.sql");
    let saga = sample::saga_id(7);
    execute(
        &path,
        &format!(
            "{down} DELETE FROM __diesel_schema_migrations WHERE version = '0003';
             INSERT INTO dead_letters (id, message_id, queue, routing_key, reason, headers, body, at)
             VALUES (x'00000000000000000000000000000001', '{saga}:2', 'q', 'k', 'r', '{{}}', x'', 1),
                    (x'00000000000000000000000000000002', 'sha256:15ab', 'q', 'k', 'r', '{{}}', x'', 1)"
        ),
    );
    let filter = LetterFilter { state: Some(LetterState::Open), ..LetterFilter::default() };
    let letters = open(root.path()).letters.letters(&filter, None, 10).unwrap();
    assert_eq!(letters.iter().map(|it| it.saga).collect::<Vec<_>>(), [None, Some(saga)]);
}

#[test]
fn the_number_of_shards_is_fixed_when_the_folder_is_made() {
    let root = tempfile::tempdir().unwrap();
    drop(sqlite::open(root.path(), 4).unwrap());
    let error = sqlite::open(root.path(), 1).err().unwrap();
    assert!(matches!(error, OpenError::Shards { found: 4, wanted: 1, .. }), "{error}");
    assert!(sqlite::open(root.path(), 4).is_ok());
}

#[test]
fn a_number_of_shards_that_can_not_be_is_refused() {
    for shards in [0, 1025] {
        let root = tempfile::tempdir().unwrap();
        let error = sqlite::open(root.path(), shards).err().unwrap();
        assert!(matches!(error, OpenError::Database { .. }), "{error}");
    }
}

#[test]
fn a_folder_that_can_not_be_made_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    let error = sqlite::open(&file.join("data"), 1).err().unwrap();
    assert!(matches!(error, OpenError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("file/data"), "{error}");
}

/// The thread that made a pool's last connection may still hold the pool for a moment, and is then
/// who closes it.
#[test]
fn closing_leaves_three_files_and_no_log() {
    let root = tempfile::tempdir().unwrap();
    drop(open(root.path()));
    until("three files are left", || {
        let mut left: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        left == ["inventory.db", "notification.db", "orchestrator.db"]
    });
    drop(connect(&root.path().join("orchestrator.db")));
}
