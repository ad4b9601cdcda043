use std::fs;

use super::program::{Ended, finish, run, run_in, skald};

const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

#[test]
fn wrong_arguments_are_told_apart_from_failures() {
    let wrong: [&[&str]; 14] = [
        &[],
        &["--nonsense"],
        &["sing"],
        &["serve", "--port", "1"],
        &["serve", "extra"],
        &["demo", "--orders", "0"],
        &["demo", "--orders", "many"],
        &["demo", "--lines", "501"],
        &["demo", "-o", "yaml"],
        &["saga", "get"],
        &["saga", "get", "not-an-id"],
        &["saga", "retry", ID],
        &["saga", "list", "--status", "STUCK"],
        &["saga", "list", "--url", "https://127.0.0.1"],
    ];
    for arguments in wrong {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}: {ended:?}");
        assert!(!ended.err.is_empty(), "{arguments:?}");
    }
}

#[test]
fn help_and_version_are_results() {
    for arguments in [&["--help"][..], &["demo", "--help"], &["help", "saga"], &["--version"]] {
        let ended = run(arguments);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{arguments:?}");
        assert!(!ended.out.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_wrong_configuration_names_file_line_column_and_key() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("skald.toml"), "[server]\nlisten = 'here'\nlisen = 1\n").unwrap();
    for command in ["serve", "migrate", "demo"] {
        let Ended { code, out, err } = run_in(folder.path(), &[command]);
        assert_eq!((code, out.as_str()), (2, ""), "{command}: {err}");
        assert!(
            err.contains("error[BAD_CONFIGURATION]: skald.toml:2:1: server.listen must be"),
            "{err}"
        );
        assert!(err.contains("skald.toml:3:1: server.lisen is not a setting"), "{err}");
    }
    assert!(!folder.path().join("data").exists(), "nothing is to be made before all is checked");
}

#[test]
fn a_wrong_flag_or_variable_names_itself() {
    let flag = run(&["serve", "--listen", "localhost"]);
    assert_eq!(flag.code, 2);
    assert!(flag.err.contains("--listen: server.listen must be an IP address"), "{}", flag.err);

    let folder = tempfile::tempdir().unwrap();
    let variable = |name, value| {
        let mut command = skald(folder.path(), &["serve"]);
        command.env(name, value);
        finish(command)
    };
    let wrong = variable("SKALD_BUS_BUNDLE_COMMANDS", "inventory, skald.commands");
    assert!(wrong.err.contains("bus.bundle_commands must be names of services"), "{}", wrong.err);
    let wrong = variable("SKALD_WORKERS_PREFETCH", "lots");
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("environment variable SKALD_WORKERS_PREFETCH: "), "{}", wrong.err);
    let unknown = variable("SKALD_PREFETCH", "10");
    assert_eq!(unknown.code, 2);
    assert!(unknown.err.contains("SKALD_PREFETCH is not a setting"), "{}", unknown.err);
}

#[test]
fn a_configuration_file_that_was_named_must_be_there() {
    let flag = run(&["migrate", "--config", "elsewhere.toml"]);
    assert_eq!(flag.code, 2);
    assert!(flag.err.contains("elsewhere.toml can't be read"), "{}", flag.err);
    let folder = tempfile::tempdir().unwrap();
    let mut variable = skald(folder.path(), &["migrate"]);
    variable.env("SKALD_CONFIG", "other.toml");
    let variable = finish(variable);
    assert_eq!(variable.code, 2);
    assert!(variable.err.contains("other.toml can't be read"), "{}", variable.err);
}

#[test]
fn migrating_makes_the_stores_and_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("other.toml"), "data_dir = 'there'").unwrap();
    for _ in 0..2 {
        let ended = run_in(folder.path(), &["migrate", "--config", "other.toml"]);
        assert_eq!(ended.code, 0, "{ended:?}");
        assert_eq!(ended.out, "the stores in there are up to date\n");
        assert!(folder.path().join("there/orchestrator.db").exists());
    }
}

#[test]
fn a_file_of_another_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("orchestrator.db");
    fs::write(&file, "a diary, not a database, and long enough to be taken for one".repeat(50))
        .unwrap();
    let before = fs::read(&file).unwrap();
    for command in ["migrate", "serve"] {
        let ended = run_in(folder.path(), &[command, "--data-dir", "."]);
        assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
        assert!(ended.err.contains("orchestrator.db is not Skald's"), "{}", ended.err);
    }
    assert_eq!(fs::read(&file).unwrap(), before);
}
