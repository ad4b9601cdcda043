//! Sessions whose clients fell silent in the middle of a transaction.
//!
//! A process that is suspended while it sends a statement, or whose network is cut just then, leaves a
//! session that waits for the rest and keeps its locks. No time-out of PostgreSQL ends it: it is not
//! idle, and no statement is cancelled while its client is being read (`ProcessInterrupts` ignores
//! that; only version 17 has a time-out for whole transactions). The connection of a suspended process
//! stays alive for as long as it is suspended. So whoever waited for a lock in vain ends such
//! sessions. What they were about was not committed, and their clients learn that if they ever wake.

use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_query;

use super::failure::Failure;

/// Ends the sessions of this program, in this database and role, that have waited for their client
/// within a transaction for longer than any of ours may: as long as an idle one may.
const END: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user
        AND application_name = current_setting('application_name')
        AND xact_start IS NOT NULL AND wait_event = 'ClientRead'
        AND state_change < clock_timestamp()
            - current_setting('idle_in_transaction_session_timeout')::interval";

/// Whether somebody else kept a lock for too long.
pub(super) fn is_lock_timeout(failure: &Failure) -> bool {
    matches!(failure, Failure::Database(Error::DatabaseError(_, information))
        if information.message() == "canceling statement due to lock timeout")
}

/// Ends the sessions that have been silent for too long. The locks that they held are free by the
/// next try.
pub(super) fn end(connection: &mut PgConnection) {
    match sql_query(END).execute(connection) {
        Ok(0) => {}
        Ok(sessions) => {
            tracing::warn!(sessions, "ended sessions that were silent within a transaction");
        }
        Err(error) => tracing::warn!(%error, "silent sessions can't be looked for"),
    }
}
