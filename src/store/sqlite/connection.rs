//! One file and the connections to it.
//!
//! One connection writes, under SQLite's write lock; a few others read. In WAL mode a reader sees
//! the newest commit, keeps seeing it until its transaction ends, and neither waits for the writer
//! nor makes it wait.

use std::path::Path;
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection};
use diesel::sql_types::Text;

use super::failure::{Failure, classify};
use super::migrate::{self, Kind};
use crate::failpoint;
use crate::ports::StoreError;
use crate::store::OpenError;
use crate::store::waits::Waits;

/// How long a call waits for a connection before the store counts as unavailable. Well above the
/// longest batch, well below the patience of whoever called.
const WAIT: Duration = Duration::from_secs(2);

/// Connections for reading: as many reads as two cores can do at a time, and two more for those
/// that wait for the disk.
const READERS: u32 = 4;

/// What every connection is told first. The lock that is waited for (up to 5 s) can only be that of
/// another program, such as a backup.
const COMMON: [&str; 2] = ["PRAGMA busy_timeout = 5000", "PRAGMA foreign_keys = OFF"];

/// What the writer is told besides.
///
/// `synchronous = FULL` makes a commit survive a power cut. The log is copied into the file
/// (a checkpoint) every 4,000 pages, 16 MB: rarely enough that a page which every batch touches is
/// copied once for many batches (every 1,000 pages costs an eighth more CPU), often enough that the
/// commit which has to do it is held up by little more than ten milliseconds. The cache holds the
/// pages that new sagas touch, the right ends of all trees; more, or mapped memory, gains nothing.
const WRITER: [&str; 4] = [
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 4000",
    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA cache_size = -32768",
];

/// What a reader is told besides: to refuse to write, whatever the code says.
const READER: [&str; 2] = ["PRAGMA query_only = ON", "PRAGMA cache_size = -4096"];

type Pool = r2d2::Pool<ConnectionManager<SqliteConnection>>;

/// A file that is ours and up to date.
#[derive(Debug)]
pub(super) struct Database {
    store: &'static str,
    writer: Pool,
    readers: Pool,
}

impl Database {
    /// Opens the file of this kind in `directory`; makes and migrates it first if need be.
    pub fn open(directory: &Path, kind: &Kind) -> Result<Self, OpenError> {
        let path = directory.join(kind.file);
        let place = path.display().to_string();
        let failed =
            |cause: String| OpenError::Database { store: kind.store, place: place.clone(), cause };
        let url = path.to_str().ok_or_else(|| failed("its path is not UTF-8".to_owned()))?;
        let mut connection =
            SqliteConnection::establish(url).map_err(|error| failed(error.to_string()))?;
        apply(&mut connection, COMMON.iter()).map_err(|error| failed(error.to_string()))?;
        migrate::recognise(&mut connection, kind, &place)?;
        write_ahead(&mut connection).map_err(&failed)?;
        apply(&mut connection, WRITER.iter()).map_err(|error| failed(error.to_string()))?;
        migrate::bring_up_to_date(&mut connection, kind, &place)?;
        drop(connection);
        let waits = Waits::of(kind.store, "writer");
        let writer = pool(url, 1, &WRITER, waits).map_err(|error| failed(error.to_string()))?;
        let waits = Waits::of(kind.store, "readers");
        let readers =
            pool(url, READERS, &READER, waits).map_err(|error| failed(error.to_string()))?;
        Ok(Self { store: kind.store, writer, readers })
    }

    /// Runs `work` in one transaction that holds the write lock from its start. It is durable once
    /// this returns, and undone if `work` fails.
    pub fn write<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut connection = self.checked_out(&self.writer)?;
        let written = connection.immediate_transaction(|connection| {
            let written = work(connection)?;
            failpoint::reach(self.store, "before_commit");
            Ok(written)
        });
        if written.is_ok() {
            failpoint::reach(self.store, "after_commit");
        }
        written.map_err(|failure: Failure| failure.into_store_error(self.store, classify))
    }

    /// Runs `work` on one snapshot of what is committed.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut connection = self.checked_out(&self.readers)?;
        (*connection)
            .transaction(work)
            .map_err(|failure| failure.into_store_error(self.store, classify))
    }

    fn checked_out(
        &self,
        pool: &Pool,
    ) -> Result<r2d2::PooledConnection<ConnectionManager<SqliteConnection>>, StoreError> {
        pool.get().map_err(|error| StoreError::Unavailable {
            store: self.store,
            cause: format!("no connection was free within {} s: {error}", WAIT.as_secs()),
        })
    }
}

/// A pool whose connections live as long as it does; one that broke is replaced.
fn pool(
    url: &str,
    size: u32,
    pragmas: &'static [&'static str],
    waits: Waits,
) -> Result<Pool, r2d2::PoolError> {
    Pool::builder()
        .max_size(size)
        .connection_timeout(WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_on_check_out(false)
        .connection_customizer(Box::new(Settings(pragmas)))
        .event_handler(Box::new(waits))
        .build(ConnectionManager::new(url))
}

#[derive(QueryableByName)]
struct Mode {
    #[diesel(sql_type = Text)]
    journal_mode: String,
}

/// Has the file keep a write-ahead log from now on.
fn write_ahead(connection: &mut SqliteConnection) -> Result<(), String> {
    let mode: Mode = diesel::sql_query("PRAGMA journal_mode = WAL")
        .get_result(connection)
        .map_err(|error| error.to_string())?;
    match mode.journal_mode.as_str() {
        "wal" => Ok(()),
        other => Err(format!("its file system supports no write-ahead log, only {other}")),
    }
}

#[derive(Debug)]
struct Settings(&'static [&'static str]);

impl CustomizeConnection<SqliteConnection, r2d2::Error> for Settings {
    fn on_acquire(&self, connection: &mut SqliteConnection) -> Result<(), r2d2::Error> {
        apply(connection, COMMON.iter().chain(self.0)).map_err(r2d2::Error::QueryError)
    }
}

fn apply<'a>(
    connection: &mut SqliteConnection,
    pragmas: impl Iterator<Item = &'a &'static str>,
) -> QueryResult<()> {
    pragmas.into_iter().try_for_each(|pragma| connection.batch_execute(pragma))
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::BigInt;

    use super::*;
    use crate::store::sqlite::schema::inventory::products;

    #[derive(QueryableByName)]
    struct Setting {
        #[diesel(sql_type = BigInt)]
        value: i64,
    }

    #[test]
    fn a_commit_is_synced() {
        const FULL: i64 = 2;
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), &migrate::INVENTORY).unwrap();
        let found = database.write(|connection| {
            let query = "SELECT synchronous AS value FROM pragma_synchronous";
            let setting: Setting = diesel::sql_query(query).get_result(connection)?;
            Ok(setting.value)
        });
        assert_eq!(found, Ok(FULL));
    }

    #[test]
    fn a_reader_can_not_write() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), &migrate::INVENTORY).unwrap();
        let deleted =
            database.read(|connection| Ok(diesel::delete(products::table).execute(connection)?));
        assert!(deleted.is_err(), "{deleted:?}");
    }

    #[test]
    fn a_failed_transaction_leaves_nothing_and_the_connection_whole() {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open(folder.path(), &migrate::INVENTORY).unwrap();
        let pen = || {
            let pen = (products::id.eq("pen"), products::on_hand.eq(1), products::reserved.eq(0));
            diesel::insert_into(products::table).values(pen)
        };
        let failed: Result<(), StoreError> = database.write(|connection| {
            pen().execute(connection)?;
            Err(Failure::Refused("on purpose".to_owned()))
        });
        assert!(matches!(failed, Err(StoreError::Refused { store: "inventory", .. })));
        assert_eq!(database.write(|connection| Ok(pen().execute(connection)?)), Ok(1));
    }
}
