//! Making a file ours, and bringing it up to date.

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::Sqlite;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::store::OpenError;

/// One of the three kinds of file.
pub(super) struct Kind {
    /// The store's name, for people.
    pub store: &'static str,
    /// The file's name in the data directory.
    pub file: &'static str,
    /// What SQLite files of this kind carry in their header (`application_id`).
    application: i64,
    migrations: EmbeddedMigrations,
}

/// Sagas and orders.
pub(super) const ORCHESTRATOR: Kind = Kind {
    store: "orchestrator",
    file: "orchestrator.db",
    application: 0x736b_6101,
    migrations: embed_migrations!("migrations/sqlite/orchestrator"),
};

/// Products and reservations.
pub(super) const INVENTORY: Kind = Kind {
    store: "inventory",
    file: "inventory.db",
    application: 0x736b_6102,
    migrations: embed_migrations!("migrations/sqlite/inventory"),
};

/// Mails.
pub(super) const NOTIFICATION: Kind = Kind {
    store: "notification",
    file: "notification.db",
    application: 0x736b_6103,
    migrations: embed_migrations!("migrations/sqlite/notification"),
};

/// The migrations that this program knows, in order.
pub(super) fn known(kind: &Kind) -> Vec<String> {
    let known: Vec<Box<dyn Migration<Sqlite>>> = kind.migrations.migrations().unwrap_or_default();
    let mut known: Vec<String> =
        known.iter().map(|migration| migration.name().version().to_string()).collect();
    known.sort_unstable();
    known
}

/// Makes sure that the file at `place` is one of ours or empty, and changes nothing in it.
///
/// # Errors
/// When it holds something else, or does not answer.
pub(super) fn recognise(
    connection: &mut SqliteConnection,
    kind: &Kind,
    place: &str,
) -> Result<(), OpenError> {
    let cause = match identify(connection, kind) {
        Ok(None) => return Ok(()),
        Ok(Some(cause)) => cause,
        Err(error) if error.to_string().contains("not a database") => {
            "it is no SQLite database at all".to_owned()
        }
        Err(error) => return Err(failed(kind, place, error)),
    };
    Err(OpenError::NotOurs { store: kind.store, place: place.to_owned(), cause })
}

/// Marks a file that was recognised as ours, and runs the migrations that it lacks, each in a
/// transaction of its own.
///
/// # Errors
/// When it was written by a newer program, or does not answer.
pub(super) fn bring_up_to_date(
    connection: &mut SqliteConnection,
    kind: &Kind,
    place: &str,
) -> Result<(), OpenError> {
    let mark = format!("PRAGMA application_id = {}", kind.application);
    connection.batch_execute(&mark).map_err(|error| failed(kind, place, error))?;
    let applied = connection.applied_migrations().map_err(|error| failed(kind, place, error))?;
    let mut known: Vec<Box<dyn Migration<Sqlite>>> =
        kind.migrations.migrations().map_err(|error| failed(kind, place, error))?;
    known.sort_unstable_by(|a, b| a.name().version().cmp(&b.name().version()));
    // Newest first; the first one unknown to us is the last of this list.
    let unknown = applied
        .iter()
        .rev()
        .find(|version| known.iter().all(|migration| migration.name().version() != **version));
    if let Some(version) = unknown {
        return Err(OpenError::Newer {
            store: kind.store,
            place: place.to_owned(),
            migration: version.to_string(),
        });
    }
    for migration in known {
        if !applied.contains(&migration.name().version()) {
            connection.run_migration(&*migration).map_err(|error| failed(kind, place, error))?;
        }
    }
    Ok(())
}

fn failed(kind: &Kind, place: &str, cause: impl ToString) -> OpenError {
    OpenError::Database { store: kind.store, place: place.to_owned(), cause: cause.to_string() }
}

#[derive(QueryableByName)]
struct Header {
    #[diesel(sql_type = BigInt)]
    application: i64,
    #[diesel(sql_type = BigInt)]
    objects: i64,
}

/// What gives the file away as somebody else's, if anything does.
fn identify(connection: &mut SqliteConnection, kind: &Kind) -> QueryResult<Option<String>> {
    let header: Header = diesel::sql_query(
        "SELECT application_id AS application, (SELECT count(*) FROM sqlite_schema) AS objects
         FROM pragma_application_id",
    )
    .get_result(connection)?;
    let Header { application, objects } = header;
    Ok(if application == kind.application || (application, objects) == (0, 0) {
        None
    } else if application == 0 {
        Some("it is a SQLite database of another program".to_owned())
    } else {
        Some(format!("its application id is {application:#x}, not {:#x}", kind.application))
    })
}
