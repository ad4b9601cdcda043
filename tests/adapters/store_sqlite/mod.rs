//! What the SQLite stores do beyond the conformance suite.

mod crash;
mod damage;
mod opening;
mod plans;
mod pressure;
mod records;

use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use skald::store::{Stores, sqlite};

fn open(directory: &Path) -> Stores {
    sqlite::open(directory, sqlite::EMBEDDED_SHARDS).unwrap()
}

/// A connection of somebody else's to a file, which waits where the store has it to itself: a pool that
/// was dropped closes its files a moment later.
fn connect(file: &Path) -> SqliteConnection {
    let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
    connection
}

/// Runs statements behind the store's back.
fn execute(file: &Path, sql: &str) {
    connect(file).batch_execute(sql).unwrap();
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// What a query that selects one text column called `line` finds.
fn lines(file: &Path, sql: &str) -> Vec<String> {
    let found: Vec<Line> = diesel::sql_query(sql).load(&mut connect(file)).unwrap();
    found.into_iter().map(|line| line.line).collect()
}
