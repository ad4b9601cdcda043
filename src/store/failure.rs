//! What a failed transaction comes to.

use diesel::result::{DatabaseErrorKind, Error};

use crate::ports::StoreError;
use crate::ports::ledger::Shard;

/// Why a transaction did not happen; becomes a [`StoreError`] once the store's name is known.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database said no.
    Database(Error),
    /// It was not reached.
    Unavailable(String),
    /// Another epoch owns the shard.
    Deposed { shard: Shard, mine: i64, found: i64 },
    /// What was to be written makes no sense.
    Refused(String),
    /// What was read makes no sense.
    Corrupt { place: String, cause: String },
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// The texts by which a database tells what Diesel keeps no code for.
pub(super) struct Texts {
    /// A row that can't be written.
    pub refusals: &'static [&'static str],
    /// Files that can't be read.
    pub damages: &'static [&'static str],
    /// What is damaged then.
    pub files: &'static str,
}

impl Texts {
    /// Tells what may work later from what never will. What is not known counts as unavailable: it
    /// stops the writer without giving up anybody's entry.
    pub fn classify(&self, error: Error, store: &'static str) -> StoreError {
        match error {
            Error::RollbackErrorOnCommit { commit_error, .. } => {
                self.classify(*commit_error, store)
            }
            Error::SerializationError(cause) | Error::QueryBuilderError(cause) => {
                StoreError::Refused { store, cause: cause.to_string() }
            }
            Error::DeserializationError(cause) => {
                StoreError::Corrupt { store, place: "a row".into(), cause: cause.to_string() }
            }
            Error::DatabaseError(kind, information) => {
                let cause = information.message().trim_end().to_owned();
                let holds = |texts: &[&str]| texts.iter().any(|text| cause.contains(text));
                if is_constraint(&kind) || holds(self.refusals) {
                    StoreError::Refused { store, cause }
                } else if holds(self.damages) {
                    StoreError::Corrupt { store, place: self.files.into(), cause }
                } else {
                    StoreError::Unavailable { store, cause }
                }
            }
            error => StoreError::Unavailable { store, cause: error.to_string() },
        }
    }
}

/// A row that can't be written, as every database knows it.
fn is_constraint(kind: &DatabaseErrorKind) -> bool {
    matches!(
        kind,
        DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::NotNullViolation
            | DatabaseErrorKind::ForeignKeyViolation
    )
}

impl Failure {
    /// The error for the caller of the port; `classify` tells what the database meant.
    pub fn into_store_error(
        self,
        store: &'static str,
        classify: impl FnOnce(Error, &'static str) -> StoreError,
    ) -> StoreError {
        match self {
            Self::Database(error) => classify(error, store),
            Self::Unavailable(cause) => StoreError::Unavailable { store, cause },
            Self::Deposed { shard, mine, found } => StoreError::Deposed { shard, mine, found },
            Self::Refused(cause) => StoreError::Refused { store, cause },
            Self::Corrupt { place, cause } => StoreError::Corrupt { store, place, cause },
        }
    }
}
