//! What SQLite's errors come to.

use diesel::result::Error;

use crate::ports::StoreError;
pub(super) use crate::store::failure::Failure;
use crate::store::failure::Texts;

/// Tells what may work later from what never will.
///
/// Diesel keeps SQLite's result code only for the commonest constraints; the rest is told apart by
/// SQLite's own texts (`sqlite3ErrStr` and the messages of its constraint checks).
pub(super) fn classify(error: Error, store: &'static str) -> StoreError {
    Texts { refusals: &REFUSALS, damages: &DAMAGES, files: "its file" }.classify(error, store)
}

/// A row that can't be written: a constraint, a value of the wrong type, a value above SQLite's limit.
const REFUSALS: [&str; 4] =
    ["constraint failed", "cannot store", "datatype mismatch", "string or blob too big"];

/// A file that can't be read.
const DAMAGES: [&str; 2] = ["database disk image is malformed", "file is not a database"];

#[cfg(test)]
mod tests {
    use diesel::result::DatabaseErrorKind;

    use super::*;

    fn unnamed(message: &str) -> StoreError {
        classify(
            Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned())),
            "test",
        )
    }

    #[test]
    fn a_busy_full_or_failing_disk_is_unavailable() {
        for message in [
            "database is locked",
            "database or disk is full",
            "disk I/O error",
            "unable to open database file",
            "attempt to write a readonly database",
        ] {
            assert!(matches!(unnamed(message), StoreError::Unavailable { .. }), "{message}");
        }
    }

    #[test]
    fn a_row_that_can_never_be_written_is_refused() {
        for message in
            ["cannot store TEXT value in INTEGER column history.at", "string or blob too big"]
        {
            assert!(matches!(unnamed(message), StoreError::Refused { .. }), "{message}");
        }
        let check = Error::DatabaseError(
            DatabaseErrorKind::CheckViolation,
            Box::new("CHECK constraint failed: reserved".to_owned()),
        );
        assert!(matches!(classify(check, "test"), StoreError::Refused { .. }));
    }

    #[test]
    fn a_damaged_file_is_corrupt() {
        for message in ["database disk image is malformed", "file is not a database"] {
            assert!(matches!(unnamed(message), StoreError::Corrupt { .. }), "{message}");
        }
    }

    #[test]
    fn a_commit_that_failed_is_judged_by_its_own_error() {
        let locked = || {
            let message = Box::new("database is locked".to_owned());
            Box::new(Error::DatabaseError(DatabaseErrorKind::Unknown, message))
        };
        let error =
            Error::RollbackErrorOnCommit { rollback_error: locked(), commit_error: locked() };
        assert!(matches!(classify(error, "test"), StoreError::Unavailable { .. }));
    }
}
