//! What can go wrong with a store.

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It can't be reached, is busy or full. Nothing is known to have changed; try again later.
    #[error("the {store} store is not available: {cause}")]
    Unavailable {
        /// Which store.
        store: &'static str,
        /// What the database said.
        cause: String,
    },
    /// Somebody else owns the shard by now. Nothing changed; stop using it.
    #[error("shard {shard} is owned by epoch {found}, not {mine}: another node took over")]
    Deposed {
        /// The shard.
        shard: u16,
        /// The caller's epoch.
        mine: i64,
        /// The owner's.
        found: i64,
    },
    /// The database refused what was to be written. Nothing of the batch was written; trying it
    /// again won't help.
    #[error("the {store} store refused a row: {cause}")]
    Refused {
        /// Which store.
        store: &'static str,
        /// What the database said.
        cause: String,
    },
    /// What is stored can't be read.
    #[error("the {store} store holds something unreadable in {place}: {cause}")]
    Corrupt {
        /// Which store.
        store: &'static str,
        /// Which row.
        place: String,
        /// What is wrong with it.
        cause: String,
    },
}
