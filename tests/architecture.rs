//! The import rule: every module uses only those below it, and actix stays in its rooms. Who connects to
//! PostgreSQL is ruled, too.

// A test that can't go on says so by panicking.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unimplemented,
    clippy::unwrap_used
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Each module of the crate with the modules that it may use beside itself and [`ANYBODY`].
const MAY_USE: &[(&str, &[&str])] = &[
    ("seeded", &[]),
    ("saga", &[]),
    ("failpoint", &[]),
    ("panic", &[]),
    ("contract", &["saga"]),
    ("orders", &["saga"]),
    ("ports", &["saga", "contract", "orders"]),
    ("journal", &["saga", "contract", "orders", "ports"]),
    ("shards", &["saga", "contract", "orders", "ports"]),
    ("store", &["saga", "contract", "orders", "ports"]),
    ("bus", &["saga", "contract", "orders", "ports"]),
    ("coordination", &["saga", "contract", "orders", "ports"]),
    ("workers", &["saga", "contract", "orders", "ports"]),
    ("actors", &["saga", "contract", "orders", "ports", "journal", "shards"]),
    ("http", &["saga", "contract", "orders", "ports"]),
    ("event_log", &["saga", "contract", "orders", "ports"]),
    ("config", &[]),
    ("telemetry", &["saga", "contract", "orders", "ports", "config"]),
    (
        "app",
        &[
            "saga",
            "contract",
            "orders",
            "ports",
            "store",
            "bus",
            "coordination",
            "workers",
            "actors",
            "http",
            "event_log",
            "config",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "saga",
            "contract",
            "orders",
            "ports",
            "store",
            "bus",
            "coordination",
            "workers",
            "actors",
            "http",
            "event_log",
            "config",
            "telemetry",
            "app",
        ],
    ),
];

/// What any module may use.
const ANYBODY: [&str; 2] = ["failpoint", "panic"];

/// Crates of the outside world and the modules that may touch them.
const ROOMS: &[(&str, &[&str])] = &[
    ("actix::", &["actors", "app", "cli"]),
    ("actix_web::", &["http", "app", "cli"]),
    ("diesel", &["store"]),
    // Telemetry names it in a filter.
    ("lapin::", &["bus", "telemetry"]),
    ("awc::", &["cli"]),
    ("opentelemetry", &["telemetry"]),
    ("ureq::", &["telemetry"]),
    ("lettre::", &["workers"]),
    // App, cli and config name modules of this name.
    ("redis::", &["coordination", "app", "cli", "config"]),
    ("spawn_blocking", &["actors", "workers", "http", "app", "event_log"]),
];

/// What the pure modules must not touch.
const IMPURE: &[&str] = &[
    "actix",
    "tokio",
    "diesel",
    "SystemTime",
    "Instant",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "async ",
    ".await",
];
const PURE: &[&str] = &["saga", "journal", "shards"];

/// The only places where a connection to PostgreSQL is made. Each initialises OpenSSL first, so that it
/// stays until the process is gone; a connection made elsewhere before would undo that for all.
const CONNECTS: &[&str] = &["src/store/postgres/connection.rs", "tests/support/stack.rs"];

/// The program's own files.
fn sources() -> BTreeMap<PathBuf, String> {
    files_below("src")
}

/// The Rust files below a folder of the project.
fn files_below(folder: &str) -> BTreeMap<PathBuf, String> {
    fn walk(folder: &Path, found: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.insert(path.clone(), fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    found
}

/// The top-level module that a file belongs to; none for `lib.rs` and `main.rs`.
fn module_of(path: &Path) -> Option<String> {
    let below = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    let first = below.components().next().unwrap().as_os_str().to_str().unwrap();
    let module = first.trim_end_matches(".rs");
    (!matches!(module, "lib" | "main")).then(|| module.to_owned())
}

/// The lines of code, without comments, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).map(|(n, line)| (n, line.split("//").next().unwrap_or_default()))
}

/// The modules of this crate that a line names.
fn used(line: &str) -> impl Iterator<Item = &str> {
    line.split("crate::")
        .skip(1)
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default()
        })
        .filter(|module| MAY_USE.iter().any(|(known, _)| known == module))
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(module) = module_of(&path) else { continue };
        let Some((_, may_use)) = MAY_USE.iter().find(|(known, _)| *known == module) else {
            wrong.push(format!(
                "{}: module {module} is not in the table of this test",
                path.display()
            ));
            continue;
        };
        let may = |used: &&str| *used == module || ANYBODY.contains(used) || may_use.contains(used);
        for (n, line) in code(&text) {
            for used in used(line).filter(|used| !may(used)) {
                wrong.push(format!("{}:{n}: {module} must not use {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_outside_world_stays_in_its_rooms() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(module) = module_of(&path) else { continue };
        for (n, line) in code(&text) {
            for (name, rooms) in ROOMS.iter().filter(|(name, _)| line.contains(name)) {
                if !rooms.contains(&module.as_str()) {
                    wrong.push(format!(
                        "{}:{n}: {name} does not belong into {module}",
                        path.display()
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_modules_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let Some(module) = module_of(&path).filter(|module| PURE.contains(&module.as_str())) else {
            continue;
        };
        for (n, line) in code(&text) {
            for impure in IMPURE.iter().filter(|impure| line.contains(**impure)) {
                wrong.push(format!(
                    "{}:{n}: {module} is pure and must not use {impure}",
                    path.display()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn postgresql_is_connected_to_only_where_openssl_is_told_to_stay() {
    let establish = concat!("PgConnection::", "establish(");
    let mut connect = Vec::new();
    for (path, text) in ["src", "tests", "benches"].into_iter().flat_map(files_below) {
        if code(&text).any(|(_, line)| line.contains(establish)) {
            let path = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
            assert!(text.contains("openssl_sys::init();"), "{}", path.display());
            connect.push(path.to_str().unwrap().to_owned());
        }
    }
    assert_eq!(connect, CONNECTS);
}

#[test]
fn the_rule_notices_what_breaks_it() {
    assert_eq!(used("use crate::store::sqlite;").collect::<Vec<_>>(), ["store"]);
    assert_eq!(
        code("let x = 1; // crate::store::x").map(|(_, line)| used(line).count()).sum::<usize>(),
        0
    );
}
