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

/// A row that can't be written, as every database knows it.
pub(super) fn is_constraint(kind: &DatabaseErrorKind) -> bool {
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
