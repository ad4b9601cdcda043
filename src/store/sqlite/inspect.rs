//! Looking at the files without changing any of them, also while a server works on them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::migrate::{self, Kind};
use crate::store::OpenError;
use crate::store::inspection::{LivingNode, Migrations, Schema, Work};

/// What a path may not hold where it is part of a URI.
const NOT_IN_PATHS: &AsciiSet = &CONTROLS.add(b'%').add(b'?').add(b'#');

/// What was found of one file.
#[derive(Debug)]
pub struct Inspection {
    /// The store's name, for people.
    pub store: &'static str,
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes; none where it is not there.
    pub bytes: Option<u64>,
    /// The length of its write-ahead log; none where it is not there.
    pub wal_bytes: Option<u64>,
    /// What it holds.
    pub schema: Result<Schema, OpenError>,
    /// How the sagas get on, where the file is the orchestrator's and up to date.
    pub work: Option<Work>,
}

/// Looks at the three files in `directory`.
pub fn inspect(directory: &Path) -> Vec<Inspection> {
    let kinds = [&migrate::ORCHESTRATOR, &migrate::INVENTORY, &migrate::NOTIFICATION];
    kinds.into_iter().map(|kind| inspect_file(directory, kind)).collect()
}

fn inspect_file(directory: &Path, kind: &Kind) -> Inspection {
    let path = directory.join(kind.file);
    let bytes = length(&path);
    let mut work = None;
    let schema = match bytes {
        None | Some(0) => Ok(Schema::Missing),
        Some(_) => look(&path, kind).map(|(schema, found)| {
            work = found;
            schema
        }),
    };
    Inspection {
        store: kind.store,
        bytes,
        wal_bytes: length(&beside(&path, "-wal")),
        path,
        schema,
        work,
    }
}

fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|found| found.len())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn look(path: &Path, kind: &Kind) -> Result<(Schema, Option<Work>), OpenError> {
    let place = path.display().to_string();
    let failed =
        |cause: String| OpenError::Database { store: kind.store, place: place.clone(), cause };
    let uri = uri(path).map_err(failed)?;
    let mut connection =
        SqliteConnection::establish(&uri).map_err(|error| failed(error.to_string()))?;
    connection
        .batch_execute("PRAGMA busy_timeout = 1000; PRAGMA query_only = ON")
        .map_err(|error| failed(error.to_string()))?;
    match migrate::recognise(&mut connection, kind, &place) {
        Err(OpenError::NotOurs { cause, .. }) => return Ok((Schema::Foreign(cause), None)),
        Err(error) => return Err(error),
        Ok(()) => {}
    }
    read(&mut connection, kind).map_err(|error| failed(error.to_string()))
}

/// How SQLite opens a file without writing anything: beside a server it reads the index that is there;
/// a file that has no log is read as it lies.
fn uri(path: &Path) -> Result<String, String> {
    let text = path.to_str().ok_or("its path is not UTF-8")?;
    let how = match (beside(path, "-wal").exists(), beside(path, "-shm").exists()) {
        (_, true) => "readonly_shm=1",
        (false, false) => "immutable=1",
        (true, false) => {
            return Err(
                "it has a log (-wal) without the index (-shm) by which to read it; the next \
                        start makes that anew"
                    .to_owned(),
            );
        }
    };
    Ok(format!("file:{}?mode=ro&{how}", utf8_percent_encode(text, NOT_IN_PATHS)))
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct WorkRow {
    #[diesel(sql_type = BigInt)]
    shards: i64,
    #[diesel(sql_type = BigInt)]
    unowned: i64,
    #[diesel(sql_type = BigInt)]
    unfinished: i64,
    #[diesel(sql_type = BigInt)]
    needing_attention: i64,
    #[diesel(sql_type = BigInt)]
    overdue: i64,
    #[diesel(sql_type = BigInt)]
    open_letters: i64,
}

#[derive(QueryableByName)]
struct NodeRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    url: String,
}

const NODES: &str = "SELECT name, url FROM nodes WHERE lease_until > unixepoch() * 1000000";

/// By this machine's clock, which is also the one that the leases of an embedded store go by.
const WORK: &str = "
    SELECT (SELECT count(*) FROM shards) AS shards,
        (SELECT count(*) FROM shards WHERE NOT EXISTS (
            SELECT 1 FROM nodes WHERE nodes.id = shards.owner
                AND nodes.lease_until > unixepoch() * 1000000)) AS unowned,
        (SELECT coalesce(sum(count), 0) FROM saga_counts
            WHERE status NOT IN ('COMPLETED', 'CANCELLED')) AS unfinished,
        (SELECT coalesce(sum(count), 0) FROM saga_counts
            WHERE status = 'NEEDS_ATTENTION') AS needing_attention,
        (SELECT count(*) FROM (SELECT 1 FROM sagas
            WHERE due_at < (unixepoch() - 60) * 1000000 LIMIT 10000)) AS overdue,
        (SELECT count(*) FROM (SELECT 1 FROM dead_letters
            WHERE state = 'OPEN' LIMIT 10000)) AS open_letters";

fn read(connection: &mut SqliteConnection, kind: &Kind) -> QueryResult<(Schema, Option<Work>)> {
    let has_migrations: Vec<Line> = diesel::sql_query(
        "SELECT name AS line FROM sqlite_schema WHERE name = '__diesel_schema_migrations'",
    )
    .load(connection)?;
    if has_migrations.is_empty() {
        return Ok((Schema::Missing, None));
    }
    let applied: Vec<Line> = diesel::sql_query(
        "SELECT version AS line FROM __diesel_schema_migrations ORDER BY version",
    )
    .load(connection)?;
    let applied: Vec<String> = applied.into_iter().map(|line| line.line).collect();
    let known = migrate::known(kind);
    // A file is refused as soon as it has one that the program does not know.
    let newest_unknown = applied.iter().rev().find(|version| !known.contains(version));
    let needed = newest_unknown.or(known.first()).cloned().unwrap_or_default();
    let migrations = Migrations::compare(&applied, &known, &needed);
    let is_current = migrations.missing.is_empty() && migrations.unknown.is_empty();
    let work = match is_current && kind.file == migrate::ORCHESTRATOR.file {
        true => Some(work(connection)?),
        false => None,
    };
    Ok((Schema::Ours(migrations), work))
}

fn work(connection: &mut SqliteConnection) -> QueryResult<Work> {
    let row: WorkRow = diesel::sql_query(WORK).get_result(connection)?;
    let nodes: Vec<NodeRow> = diesel::sql_query(NODES).load(connection)?;
    let node = |NodeRow { name, url }| LivingNode { name, url };
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(Work {
        shards: count(row.shards),
        unowned: count(row.unowned),
        unfinished: count(row.unfinished),
        needing_attention: count(row.needing_attention),
        overdue: count(row.overdue),
        open_letters: count(row.open_letters),
        nodes: nodes.into_iter().map(node).collect(),
    })
}
