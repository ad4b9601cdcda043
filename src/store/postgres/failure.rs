//! What PostgreSQL's errors come to.

use diesel::result::{DatabaseErrorKind, Error};

use crate::ports::StoreError;
pub(super) use crate::store::failure::Failure;
use crate::store::failure::Texts;

/// Tells what may work later from what never will.
///
/// Diesel keeps PostgreSQL's error code only for the commonest errors; the rest is told apart by
/// PostgreSQL's own texts, which are made sure to be English when a store is opened.
pub(super) fn classify(error: Error, store: &'static str) -> StoreError {
    Texts { refusals: &REFUSALS, damages: &DAMAGES, files: "its files" }.classify(error, store)
}

/// Somebody else wrote meanwhile what this transaction relied on: it may succeed if it is run again.
pub(super) fn overtaken(what: &str) -> Failure {
    let (kind, what) = (DatabaseErrorKind::SerializationFailure, what.to_owned());
    Failure::Database(Error::DatabaseError(kind, Box::new(what)))
}

/// Whether a transaction that failed with this error may succeed if it is simply run again, because
/// it lost against another one or the server is just stopping or starting.
pub(super) fn is_passing(failure: &Failure) -> bool {
    match failure {
        Failure::Database(Error::DatabaseError(kind, information)) => match kind {
            DatabaseErrorKind::SerializationFailure => true,
            _ => PASSING.iter().any(|text| information.message().starts_with(text)),
        },
        _ => false,
    }
}

/// Errors that tell nothing about what was to be written.
const PASSING: [&str; 2] = ["deadlock detected", "the database system is "];

/// A row that can't be written: a value that its type can't hold, or too large for the row or an
/// index.
const REFUSALS: [&str; 14] = [
    "violates exclusion constraint",
    "invalid byte sequence for encoding",
    "invalid input syntax for type",
    "unsupported Unicode escape sequence",
    "out of range",
    "incorrect binary data format",
    "invalid message format",
    "index row size",
    "index row requires",
    "row is too big",
    "value too long for type",
    "string is too long",
    "invalid memory alloc request size",
    "stack depth limit exceeded",
];

/// Files that can't be read.
const DAMAGES: [&str; 3] =
    ["invalid page in block", "missing chunk number", "unexpected chunk number"];

#[cfg(test)]
mod tests {
    use super::*;

    fn unnamed(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[test]
    fn a_server_that_can_not_now_is_unavailable() {
        for message in [
            "canceling statement due to lock timeout",
            "canceling statement due to statement timeout",
            "could not extend file \"base/1/2\": No space left on device",
            "sorry, too many clients already",
            "permission denied for table sagas",
            "relation \"skald_orchestrator.sagas\" does not exist",
        ] {
            let error = classify(unnamed(message), "test");
            assert!(matches!(error, StoreError::Unavailable { .. }), "{message}");
        }
    }

    #[test]
    fn a_row_that_can_never_be_written_is_refused() {
        for message in [
            "invalid byte sequence for encoding \"UTF8\": 0x00",
            "bigint out of range",
            "invalid input syntax for type json",
            "index row size 3000 exceeds btree version 4 maximum 2704 for index \"sagas_by_key\"",
        ] {
            let error = classify(unnamed(message), "test");
            assert!(matches!(error, StoreError::Refused { .. }), "{message}");
        }
    }

    #[test]
    fn only_what_says_nothing_about_the_rows_is_tried_again() {
        for message in ["deadlock detected", "the database system is starting up"] {
            assert!(is_passing(&Failure::Database(unnamed(message))), "{message}");
        }
        for message in ["bigint out of range", "canceling statement due to lock timeout"] {
            assert!(!is_passing(&Failure::Database(unnamed(message))), "{message}");
        }
    }
}
