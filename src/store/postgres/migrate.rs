//! Making a schema ours, and bringing it up to date.
//!
//! Each store is a schema of its own, with its own migrations table. Whoever opens a store first
//! takes an advisory lock, so that programs that start at once migrate one after the other.
//!
//! Migrations come in two kinds, so that a new version can be rolled out while the old one runs. One
//! that *expands* adds tables, or columns with defaults: a program that does not know it can go on.
//! One that *contracts* takes away what the previous version still used, and says so by raising
//! `compatibility.needs` to the oldest migration that a program must know from then on.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationConnection, MigrationSource};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::SETTINGS;
use super::url::Url;
use crate::store::OpenError;

/// One of the three stores.
pub(super) struct Kind {
    /// The store's name, for people.
    pub store: &'static str,
    /// The schema that holds its tables.
    pub schema: &'static str,
    /// The advisory lock that is held while the schema is made or migrated.
    lock: i64,
    migrations: EmbeddedMigrations,
}

/// Sagas and orders.
pub(super) const ORCHESTRATOR: Kind = Kind {
    store: "orchestrator",
    schema: "skald_orchestrator",
    lock: 0x736b_6101,
    migrations: embed_migrations!("migrations/postgres/orchestrator"),
};

/// Products and reservations.
pub(super) const INVENTORY: Kind = Kind {
    store: "inventory",
    schema: "skald_inventory",
    lock: 0x736b_6102,
    migrations: embed_migrations!("migrations/postgres/inventory"),
};

/// Mails.
pub(super) const NOTIFICATION: Kind = Kind {
    store: "notification",
    schema: "skald_notification",
    lock: 0x736b_6103,
    migrations: embed_migrations!("migrations/postgres/notification"),
};

/// The oldest PostgreSQL that the statements are written for.
const OLDEST_SERVER: i32 = 130_000;

/// Whoever waits for another program's migrations waits a minute; a migration that waits for a
/// running program's locks, and makes others wait behind it, gives up after ten seconds.
const PATIENCE: &str = "SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0;
                        SET lock_timeout = '60s'";
const HASTE: &str = "SET lock_timeout = '10s'";

/// Makes sure that the server is fit for a store and that its schema is ours; makes the schema if it
/// is missing; and runs the migrations that it lacks, each in a transaction of its own. The lock on
/// the store is held until the connection is closed.
///
/// # Errors
/// When the server can't be used, the schema is somebody else's or made for a newer program, or the
/// role lacks a right.
pub(super) fn bring_up_to_date(
    connection: &mut PgConnection,
    kind: &Kind,
    url: &Url,
) -> Result<(), OpenError> {
    let failed = |error: diesel::result::Error| failed(kind, url, error);
    check_server(connection, kind, url)?;
    connection.batch_execute(SETTINGS).map_err(failed)?;
    check_language(connection, kind, url)?;
    connection.batch_execute(PATIENCE).map_err(failed)?;
    diesel::sql_query("SELECT pg_advisory_lock($1)")
        .bind::<BigInt, _>(kind.lock)
        .execute(connection)
        .map_err(failed)?;
    connection.batch_execute(HASTE).map_err(failed)?;
    let applied = applied(connection, kind, url)?;
    let mut known: Vec<Box<dyn Migration<Pg>>> =
        kind.migrations.migrations().map_err(|error| self::failed(kind, url, error))?;
    known.sort_unstable_by(|a, b| a.name().version().cmp(&b.name().version()));
    let version = |migration: &dyn Migration<Pg>| migration.name().version().to_string();
    if !applied.is_empty() {
        let needed = needed(connection, kind).map_err(failed)?;
        if known.iter().all(|migration| version(&**migration) != needed) {
            return Err(OpenError::Newer {
                store: kind.store,
                place: url.to_string(),
                migration: needed,
            });
        }
    }
    for migration in known {
        if !applied.contains(&version(&*migration)) {
            connection
                .run_migration(&*migration)
                .map_err(|error| self::failed(kind, url, error))?;
        }
    }
    Ok(())
}

fn failed(kind: &Kind, url: &Url, cause: impl ToString) -> OpenError {
    OpenError::Database {
        store: kind.store,
        place: url.to_string(),
        cause: url.redact(&cause.to_string()),
    }
}

fn unfit(kind: &Kind, url: &Url, cause: String) -> OpenError {
    OpenError::Unfit { store: kind.store, place: url.to_string(), cause }
}

#[derive(QueryableByName)]
struct Server {
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Bool)]
    standby: bool,
    #[diesel(sql_type = Text)]
    encoding: String,
    #[diesel(sql_type = Text)]
    fsync: String,
}

/// Makes sure that the server is one that the store can live on.
pub(super) fn check_server(
    connection: &mut PgConnection,
    kind: &Kind,
    url: &Url,
) -> Result<(), OpenError> {
    let server: Server = diesel::sql_query(
        "SELECT current_setting('server_version_num')::integer AS version,
             pg_is_in_recovery() AS standby,
             current_setting('server_encoding') AS encoding,
             current_setting('fsync') AS fsync",
    )
    .get_result(connection)
    .map_err(|error| failed(kind, url, error))?;
    let fault = if server.version < OLDEST_SERVER {
        format!("it is PostgreSQL {}; use 13 or later", server.version / 10_000)
    } else if server.standby {
        "it is a standby, which can't be written to; name the primary, or all servers with commas \
         between them"
            .to_owned()
    } else if server.encoding != "UTF8" {
        format!("its encoding is {}; make a database with ENCODING 'UTF8'", server.encoding)
    } else {
        if server.fsync != "on" {
            tracing::warn!(
                store = kind.store,
                "the server runs with fsync = {}: a power cut can lose or damage what was stored",
                server.fsync
            );
        }
        return Ok(());
    };
    Err(unfit(kind, url, fault))
}

/// Makes sure that errors come in the language in which they are told apart.
pub(super) fn check_language(
    connection: &mut PgConnection,
    kind: &Kind,
    url: &Url,
) -> Result<(), OpenError> {
    let told = diesel::sql_query("SELECT 1 / 0").execute(connection);
    match told {
        Err(diesel::result::Error::DatabaseError(_, information))
            if information.message() == "division by zero" =>
        {
            Ok(())
        }
        _ => Err(unfit(
            kind,
            url,
            "its messages are not in English and the role may not change that; have a superuser \
             run ALTER ROLE … SET lc_messages = 'C'"
                .to_owned(),
        )),
    }
}

/// What is in a store's schema.
#[derive(QueryableByName)]
pub(super) struct Found {
    /// Whether there is such a schema.
    #[diesel(sql_type = Bool)]
    pub schema: bool,
    /// Whether it has a table of migrations.
    #[diesel(sql_type = Bool)]
    pub migrations: bool,
    /// How many tables, indexes and the like it has.
    #[diesel(sql_type = BigInt)]
    pub tables: i64,
}

/// Looks at a store's schema. The catalogue tells what is there whatever the role's rights.
pub(super) fn find(connection: &mut PgConnection, kind: &Kind) -> QueryResult<Found> {
    diesel::sql_query(
        "SELECT to_regnamespace($1) IS NOT NULL AS schema,
             EXISTS (SELECT FROM pg_catalog.pg_class
                 WHERE relnamespace = to_regnamespace($1)
                     AND relname = '__diesel_schema_migrations') AS migrations,
             (SELECT count(*) FROM pg_catalog.pg_class
              WHERE relnamespace = to_regnamespace($1)) AS tables",
    )
    .bind::<Text, _>(kind.schema)
    .get_result(connection)
}

/// What a schema that is not ours is found out by.
pub(super) fn foreign(kind: &Kind) -> String {
    format!("its schema {} holds tables of another program", kind.schema)
}

/// The migrations that this program knows, in order.
pub(super) fn known(kind: &Kind) -> Vec<String> {
    let known: Vec<Box<dyn Migration<Pg>>> = kind.migrations.migrations().unwrap_or_default();
    let mut known: Vec<String> =
        known.iter().map(|migration| migration.name().version().to_string()).collect();
    known.sort_unstable();
    known
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// The migrations that the schema has. Makes the schema if it is missing, and leaves one that is
/// somebody else's alone.
fn applied(
    connection: &mut PgConnection,
    kind: &Kind,
    url: &Url,
) -> Result<Vec<String>, OpenError> {
    let Kind { store, schema, .. } = kind;
    let found = find(connection, kind).map_err(|error| failed(kind, url, error))?;
    if found.tables > 0 && !found.migrations {
        return Err(OpenError::NotOurs { store, place: url.to_string(), cause: foreign(kind) });
    }
    if !found.schema {
        connection.batch_execute(&format!("CREATE SCHEMA {schema}")).map_err(|error| {
            let hint =
                format!("{error}; have its owner run CREATE SCHEMA {schema} AUTHORIZATION …");
            failed(kind, url, hint)
        })?;
    }
    // Diesel looks for its own table without naming a schema.
    connection
        .batch_execute(&format!("SET search_path = {schema}"))
        .map_err(|error| failed(kind, url, error))?;
    if !found.migrations {
        connection.setup().map_err(|error| failed(kind, url, error))?;
        return Ok(Vec::new());
    }
    let lines: Vec<Line> =
        diesel::sql_query("SELECT version AS line FROM __diesel_schema_migrations")
            .load(connection)
            .map_err(|error| failed(kind, url, error))?;
    Ok(lines.into_iter().map(|line| line.line).collect())
}

/// The oldest migration that a program must know to use the schema.
pub(super) fn needed(connection: &mut PgConnection, kind: &Kind) -> QueryResult<String> {
    let needs = format!("SELECT needs AS line FROM {}.compatibility", kind.schema);
    let line: Line = diesel::sql_query(needs).get_result(connection)?;
    Ok(line.line)
}
