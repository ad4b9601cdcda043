//! One database and the connections to it.
//!
//! Two small pools: the owner's, for the journal and whatever else the owner of shards or a worker
//! does, and the readers', for the API. So requests can't take the journal's connections away. And
//! one connection, made once it is used, for what proves that a node lives: however much there is to
//! write, that goes first.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::r2d2::{self, ConnectionManager, CustomizeConnection, R2D2Connection};
use scheduled_thread_pool::ScheduledThreadPool;

use super::failure::{Failure, classify, is_passing};
use super::migrate::{self, Kind};
use super::silent;
use super::url::Url;
use crate::failpoint;
use crate::ports::StoreError;
use crate::store::OpenError;
use crate::store::waits::Waits;

/// The longest that a transaction can hold a lock while its client does nothing, and the longest
/// that one statement can take. A lease must be at least three times as long, so that an owner that
/// stalls can't hold up its successor.
pub const LONGEST_HOLD: Duration = Duration::from_secs(5);

/// How long a call waits for a connection before the store counts as unavailable.
const WAIT: Duration = Duration::from_millis(1_500);

/// Connections for the owner: PostgreSQL needs few writers to be busy, and a node with many shards
/// commits for a few of them at a time.
const OWNERS: u32 = 4;

/// Connections for the API.
const READERS: u32 = 4;

/// How often a transaction is tried that lost against another one, or whose connection broke. More
/// often than there are connections in a pool, which may all be broken after a restart of the server.
const TRIES: u32 = 8;

/// No new try begins this long after the first one began.
const PATIENCE: Duration = Duration::from_secs(4);

/// What every connection is told first.
///
/// A commit is synchronous even where the server's default is weaker, and never weaker than that.
/// Errors are told in English, because the adapter tells them apart by their texts; where the role
/// may not choose, the server's language is checked when the store is opened.
///
/// Statements are planned once, without looking at values, and only by nested loops over indices:
/// each has an index that answers it, and a plan that was made while the tables were empty must not
/// scan them when they are full.
pub(super) const SETTINGS: &str = "
    SET statement_timeout = '5s';
    SET lock_timeout = '2s';
    SET idle_in_transaction_session_timeout = '5s';
    SET client_min_messages = warning;
    SET default_transaction_isolation = 'read committed';
    SET default_transaction_read_only = off;
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_bitmapscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') IN ('off', 'local', 'remote_write');
    DO $$ BEGIN
        PERFORM set_config('lc_messages', 'C', false);
    EXCEPTION WHEN insufficient_privilege THEN NULL;
    END $$";

/// A transaction that reads sees one moment.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A transaction that writes sees what others committed meanwhile, and locks what it relies on.
const WRITE: &str = "BEGIN";

type Pool = r2d2::Pool<ConnectionManager<PgConnection>>;
type Pooled = r2d2::PooledConnection<ConnectionManager<PgConnection>>;

/// What a transaction does.
#[derive(Clone, Copy)]
enum Transaction {
    Reads,
    /// For whom, as tests name it that have the process die.
    Writes(&'static str),
}

impl Transaction {
    fn begin(self) -> &'static str {
        match self {
            Self::Reads => READ,
            Self::Writes(_) => WRITE,
        }
    }
}

/// How a try to run a transaction ended without success.
#[derive(Debug)]
pub(super) enum Unsuccessful {
    /// Nothing was written, and trying again won't help now.
    Failed(Failure),
    /// Nothing was written; it may be tried again.
    Passing(Failure),
    /// The connection broke during COMMIT: it may have been written or not.
    InDoubt(Failure),
}

impl Unsuccessful {
    /// What stood in the way.
    pub fn into_failure(self) -> Failure {
        match self {
            Self::Failed(failure) | Self::Passing(failure) | Self::InDoubt(failure) => failure,
        }
    }
}

/// A database that is ours and up to date.
pub(super) struct Database {
    store: &'static str,
    owners: Pool,
    readers: Pool,
    alive: Pool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Database {
    /// Connects to the database at `url`; makes and migrates the schema of this kind first if need
    /// be. `prepare` runs within the migrations' lock, after them.
    pub fn open(
        url: &str,
        kind: &Kind,
        prepare: impl FnOnce(&mut PgConnection, &Url) -> Result<(), OpenError>,
    ) -> Result<Self, OpenError> {
        let store = kind.store;
        let (mut connection, url) = establish(url, store)?;
        migrate::bring_up_to_date(&mut connection, kind, &url)?;
        prepare(&mut connection, &url)?;
        drop(connection);
        // Two threads make new connections for both pools.
        let threads = ScheduledThreadPool::builder()
            .num_threads(2)
            .thread_name_pattern(&format!("{store}-connections-{{}}"))
            .build();
        let threads = Arc::new(threads);
        let make = |pool: &'static str, size, at_first| {
            let pool = builder(size, at_first, Waits::of(store, pool));
            pool.thread_pool(Arc::clone(&threads))
                .build_unchecked(ConnectionManager::new(url.full()))
        };
        let (owners, readers) = (make("owners", OWNERS, 1), make("readers", READERS, 1));
        Ok(Self { store, owners, readers, alive: make("alive", 1, 0) })
    }

    /// Runs one statement that reads, for the API.
    pub fn look<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.patiently(|| self.alone(&self.readers, &mut work))
    }

    /// Runs `work` on one snapshot of what is committed, for the API.
    pub fn read<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.patiently(|| self.once(&self.readers, Transaction::Reads, &mut work))
    }

    /// Runs one statement that reads, for the owner.
    pub fn own_look<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.patiently(|| self.alone(&self.owners, &mut work))
    }

    /// Runs `work` on one snapshot of what is committed, for the owner.
    pub fn own_read<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.patiently(|| self.once(&self.owners, Transaction::Reads, &mut work))
    }

    /// Runs `work` in one transaction, for the API. See [`own_write`](Self::own_write).
    pub fn write<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.patiently(|| self.once(&self.readers, Transaction::Writes("requests"), &mut work))
    }

    /// Runs `work` in one transaction, for the owner. It is durable once this returns, and undone if
    /// `work` fails.
    ///
    /// `work` is run again if it loses against another transaction, and also if the connection
    /// breaks during COMMIT, when it may have been written already: it must find what it wrote.
    pub fn own_write<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.patiently(|| self.once(&self.owners, Transaction::Writes(self.store), &mut work))
    }

    /// Runs `work` in one transaction, over the connection for what must not wait for anything else.
    /// See [`own_write`](Self::own_write).
    pub fn write_first<T>(
        &self,
        mut work: impl FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.patiently(|| self.once(&self.alive, Transaction::Writes("leases"), &mut work))
    }

    /// Runs `work` in one transaction, for the owner, once. The caller decides what to do next.
    pub fn attempt<T>(
        &self,
        work: &mut dyn FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, Unsuccessful> {
        self.once(&self.owners, Transaction::Writes(self.store), work)
    }

    /// Tries again and again, at growing distances, as long as that may help.
    pub fn patiently<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, Unsuccessful>,
    ) -> Result<T, StoreError> {
        let began = Instant::now();
        for n in 1.. {
            match attempt() {
                Ok(done) => return Ok(done),
                Err(Unsuccessful::Passing(_) | Unsuccessful::InDoubt(_))
                    if n < TRIES && began.elapsed() < PATIENCE =>
                {
                    std::thread::sleep(pause(n));
                }
                Err(error) => {
                    return Err(error.into_failure().into_store_error(self.store, classify));
                }
            }
        }
        Err(StoreError::Unavailable { store: self.store, cause: "it was not tried".to_owned() })
    }

    /// Runs `work` outside any transaction.
    fn alone<T>(
        &self,
        pool: &Pool,
        work: &mut dyn FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, Unsuccessful> {
        let mut connection = checked_out(pool)?;
        work(&mut connection).map_err(|failure| judged(failure, &mut connection))
    }

    /// Runs `work` in a transaction.
    fn once<T>(
        &self,
        pool: &Pool,
        transaction: Transaction,
        work: &mut dyn FnMut(&mut PgConnection) -> Result<T, Failure>,
    ) -> Result<T, Unsuccessful> {
        let mut connection = checked_out(pool)?;
        AnsiTransactionManager::begin_transaction_sql(&mut *connection, transaction.begin())
            .map_err(|error| judged(error.into(), &mut connection))?;
        // Should `work` panic, the pool drops the connection because its transaction is open.
        match work(&mut connection) {
            Ok(done) => {
                if let Transaction::Writes(by) = transaction {
                    failpoint::reach(by, "before_commit");
                }
                let committed = commit(&mut connection);
                if let Transaction::Writes(by) = transaction {
                    failpoint::reach(by, "after_commit");
                }
                committed.map(|()| done)
            }
            Err(failure) => {
                // A connection on which this fails is dropped by the pool.
                let _ = AnsiTransactionManager::rollback_transaction(&mut *connection);
                if silent::is_lock_timeout(&failure) {
                    silent::end(&mut connection);
                }
                Err(judged(failure, &mut connection))
            }
        }
    }
}

/// Connects to `url`, and says where that is.
pub(super) fn establish(url: &str, store: &'static str) -> Result<(PgConnection, Url), OpenError> {
    // Before libpq does it. Otherwise OpenSSL tears itself down when the process exits, while the
    // pools' threads may still be connecting: then the process crashes or hangs at its end.
    openssl_sys::init();
    let url = Url::parse(url).map_err(|cause| OpenError::Url { store, cause: cause.to_owned() })?;
    let connection = PgConnection::establish(url.full()).map_err(|error| {
        // libpq puts its questions and the other addresses on lines of their own.
        let told = url.redact(&error.to_string());
        let cause = told.split_whitespace().collect::<Vec<_>>().join(" ");
        OpenError::Unreachable { store, place: url.to_string(), cause }
    })?;
    Ok((connection, url))
}

fn commit(connection: &mut PgConnection) -> Result<(), Unsuccessful> {
    AnsiTransactionManager::commit_transaction(connection).map_err(|error| {
        match connection.is_broken() {
            true => Unsuccessful::InDoubt(Failure::Database(error)),
            false => judged(error.into(), connection),
        }
    })
}

/// Judges a failure before COMMIT. Whatever a broken connection said, nothing was written over it.
///
/// Diesel does not notice a connection that breaks while a query is prepared, and the pool would
/// keep it; a ping makes it notice.
fn judged(failure: Failure, connection: &mut PgConnection) -> Unsuccessful {
    let broke = matches!(failure, Failure::Database(_))
        && (connection.is_broken() || connection.ping().is_err());
    match broke || is_passing(&failure) {
        true => Unsuccessful::Passing(failure),
        false => Unsuccessful::Failed(failure),
    }
}

fn checked_out(pool: &Pool) -> Result<Pooled, Unsuccessful> {
    pool.get().map_err(|error| {
        let cause = format!("no connection within {} ms: {error}", WAIT.as_millis());
        Unsuccessful::Failed(Failure::Unavailable(cause))
    })
}

/// How long to wait before try `n + 1`: up to 10 ms, 20 ms, 40 ms and so on, at random so that
/// whoever lost against each other does not meet again.
fn pause(n: u32) -> Duration {
    const FIRST_MICROS: u64 = 10_000;
    const LONGEST_MICROS: u64 = 640_000;
    let most = (FIRST_MICROS << n.min(10).saturating_sub(1)).min(LONGEST_MICROS);
    Duration::from_micros(fastrand::u64(most / 2..=most))
}

/// A pool that makes its connections as they are needed, and these many before; one that broke is
/// dropped.
fn builder(
    size: u32,
    at_first: u32,
    waits: Waits,
) -> r2d2::Builder<ConnectionManager<PgConnection>> {
    Pool::builder()
        .max_size(size)
        .min_idle(Some(at_first))
        .connection_timeout(WAIT)
        .test_on_check_out(false)
        .error_handler(Box::new(r2d2::NopErrorHandler))
        .event_handler(Box::new(waits))
        .connection_customizer(Box::new(Settings))
}

#[derive(Debug)]
struct Settings;

impl CustomizeConnection<PgConnection, r2d2::Error> for Settings {
    fn on_acquire(&self, connection: &mut PgConnection) -> Result<(), r2d2::Error> {
        connection.batch_execute(SETTINGS).map_err(r2d2::Error::QueryError)
    }
}
