//! What the PostgreSQL stores do, by the conformance suite and beyond it.

mod contention;
mod lost_commit;
mod opening;
mod plans;
mod records;
mod restart;
mod speed;

use skald::ports::ledger::{Ledger, Shard};
use skald::store::{Stores, postgres};

use crate::postgres_server::TestDatabase;
use crate::store_conformance::stage::Owner;
use crate::store_conformance::*;

/// All stores in one database.
fn open(url: &str) -> Stores {
    Stores::of(
        postgres::orchestrator(url, SHARDS).unwrap(),
        postgres::inventory(url).unwrap(),
        postgres::notification(url).unwrap(),
    )
}

impl Backend for TestDatabase {
    fn open(&self) -> Stores {
        open(&self.url())
    }
}

store_conformance!(conformance, TestDatabase::new());

/// Makes somebody the owner of `shard`.
fn owner_of(ledger: &std::sync::Arc<dyn Ledger>, shard: Shard) -> Owner {
    let epoch = ledger.claim(shard).unwrap().epoch;
    Owner { ledger: ledger.clone(), shard, epoch, marks: Default::default() }
}
