//! How PostgreSQL looks things up: a batch or a page must cost no more than its rows, even by a plan
//! that was made while the tables were empty.

use std::collections::BTreeSet;

use super::conformance::CASES;
use super::open;
use crate::postgres_server::{PrivateServer, TestDatabase};
use crate::store_conformance::Backend;
use crate::store_conformance::stage::Stage;
use skald::store::Stores;

/// Tables that have a row for each kind of something, and so stay small.
const SMALL: [&str; 7] = [
    "installation",
    "shards",
    "nodes",
    "saga_counts",
    "order_counts",
    "cancellation_counts",
    "compatibility",
];

/// What a plan must not hold about any other table: reading all of it; comparing each row of one
/// side with each of the other; putting rows in order that an index has in order.
const WASTEFUL: [&str; 6] =
    ["Seq Scan on ", "Join Filter: ", "Bitmap ", "Hash Join", "Merge Join", "Materialize"];

/// A database on a server of one test's own, whose plans are logged.
struct Watched(TestDatabase);

impl Watched {
    fn on(server: &PrivateServer) -> Self {
        let database = TestDatabase::on(&server.url("postgres"));
        let name = database.name();
        database.execute(&format!(
            "ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {name} SET auto_explain.log_min_duration = 0;
             ALTER DATABASE {name} SET auto_explain.log_nested_statements = on"
        ));
        Self(database)
    }
}

impl Backend for Watched {
    fn open(&self) -> Stores {
        open(&self.0.url())
    }
}

/// The statements of the log with the plans under them.
fn plans(log: &str) -> Vec<String> {
    let mut plans: Vec<String> = Vec::new();
    for line in log.lines() {
        match (line.contains("  plan:"), line.starts_with('\t'), plans.last_mut()) {
            (true, ..) => plans.push(String::new()),
            (_, true, Some(plan)) => *plan += &format!("{line}\n"),
            _ => {}
        }
    }
    plans
}

#[test]
fn no_statement_goes_through_a_table_that_grows() {
    let server = PrivateServer::start();
    for case in CASES {
        case(Stage::of(Watched::on(&server)));
    }
    let log = server.log();
    let mut seen = BTreeSet::new();
    for plan in plans(&log) {
        if !plan.contains("skald_") && !plan.contains("unnest") {
            continue;
        }
        let wasteful = plan.lines().find(|line| {
            WASTEFUL.iter().any(|what| line.contains(what))
                && !SMALL.iter().any(|table| line.contains(&format!("Seq Scan on {table} ")))
                && !line.contains("Query Text")
        });
        let statement = plan.split("cost=").next().unwrap_or_default().to_owned();
        if let (Some(line), true) = (wasteful, plan.contains("skald_")) {
            let migrates = ["CREATE ", "pg_class", "__diesel_schema_migrations", ".compatibility"];
            assert!(migrates.iter().any(|word| plan.contains(word)), "{line}\n{plan}");
        }
        seen.insert(statement);
    }
    assert!(seen.len() > 30, "only {} statements were seen", seen.len());
}
