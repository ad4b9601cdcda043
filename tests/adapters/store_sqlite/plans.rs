//! How SQLite looks things up: a list of millions must cost no more than its page.

use std::collections::BTreeSet;
use std::sync::Mutex;

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::{connect, open};
use crate::store_conformance::Files;
use crate::store_conformance::sqlite_files::CASES;
use crate::store_conformance::stage::Stage;

/// Tables that have a row for each kind of something, or for each living node, and so stay small.
const SMALL: [&str; 7] = [
    "installation",
    "shards",
    "nodes",
    "saga_counts",
    "order_counts",
    "cancellation_counts",
    "notification_counts",
];

/// Every statement that was run.
static STATEMENTS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

struct Listener;

impl Instrumentation for Listener {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            let text = query.to_string();
            let statement = text.split(" -- binds:").next().unwrap_or_default();
            STATEMENTS.lock().unwrap().insert(statement.to_owned());
        }
    }
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// Whether a step of a plan reads no more than it has to.
fn is_frugal(step: &str) -> bool {
    let scans = step.starts_with("SCAN") && step != "SCAN CONSTANT ROW";
    let small = SMALL.iter().any(|table| step.split(' ').nth(1) == Some(table));
    (!scans || small) && !step.contains("TEMP B-TREE")
}

#[test]
fn no_statement_scans_or_sorts_a_table_that_grows() {
    set_default_instrumentation(|| Some(Box::new(Listener))).unwrap();
    for case in CASES {
        case(Stage::of(Files::new()));
    }
    let statements = std::mem::take(&mut *STATEMENTS.lock().unwrap());
    set_default_instrumentation(|| None).unwrap();

    let root = tempfile::tempdir().unwrap();
    open(root.path());
    let files = ["orchestrator.db", "inventory.db", "notification.db"];
    let mut connections = files.map(|file| connect(&root.path().join(file)));
    let mut looked_at = 0;
    for statement in &statements {
        let looks_up =
            ["SELECT `", "UPDATE `", "DELETE "].iter().any(|verb| statement.starts_with(verb));
        if !looks_up || statement.contains("__diesel_schema_migrations") {
            continue;
        }
        looked_at += 1;
        let explain = format!("EXPLAIN QUERY PLAN {statement}");
        // The tables of a statement are in one of the files; the others do not know them.
        let plan: Vec<Step> = connections
            .iter_mut()
            .find_map(|connection| diesel::sql_query(&explain).load(connection).ok())
            .unwrap_or_else(|| panic!("no file has the tables of {statement}"));
        for step in plan {
            assert!(is_frugal(&step.detail), "{}\n{statement}", step.detail);
        }
    }
    assert!(looked_at > 40, "only {looked_at} statements were seen");
}
