//! The three stores that a script is carried out on.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use diesel::PgConnection;
use diesel::connection::SimpleConnection;
use skald::orders::{Order, OrderId, OrderStatus};
use skald::ports::door::Door;
use skald::ports::inventory::InventoryStore;
use skald::ports::leases::Leases;
use skald::ports::ledger::{Ledger, Shard, StoredAnswer};
use skald::ports::letters::{LetterFilter, LetterSummary, Letters};
use skald::ports::notification::NotificationStore;
use skald::ports::queries::{Counts, OrderFilter, Queries, SagaFilter, SagaSummary, ShardLag};
use skald::saga::event::Recorded;
use skald::saga::id::SagaId;
use skald::store::{postgres, sqlite};
use tempfile::TempDir;

use super::simulated::Simulated;
use super::stack::Database;
use crate::world::desk::{Desk, Post, Warehouse};

/// How many shards each installation has.
pub const SHARDS: Shard = 3;

/// More than any script makes of anything.
pub const ALL: u32 = 10_000;

/// An orchestrator's store.
pub struct Orchestrator {
    pub name: &'static str,
    pub ledger: Arc<dyn Ledger>,
    pub leases: Arc<dyn Leases>,
    pub door: Arc<dyn Door>,
    pub books: Books,
}

/// What is read of a store beside its owner's ports.
pub enum Books {
    Simulated(Arc<Simulated>),
    Real { queries: Arc<dyn Queries>, letters: Arc<dyn Letters> },
}

impl Orchestrator {
    pub fn simulated() -> Self {
        let store = Arc::new(Simulated::new(SHARDS));
        Self {
            name: "simulated",
            ledger: store.clone(),
            leases: store.clone(),
            door: store.clone(),
            books: Books::Simulated(store),
        }
    }
}

impl Books {
    pub fn orders(&self) -> BTreeMap<OrderId, OrderStatus> {
        match self {
            Self::Simulated(store) => {
                store.store().orders.iter().map(|(id, order)| (*id, order.status)).collect()
            }
            Self::Real { queries, .. } => {
                let orders = queries.orders(&OrderFilter::default(), None, ALL).unwrap();
                orders.into_iter().map(|order| (order.id, order.status)).collect()
            }
        }
    }

    pub fn answer(&self, key: &str) -> Option<StoredAnswer> {
        match self {
            Self::Simulated(store) => store.store().keys.get(key).cloned(),
            Self::Real { queries, .. } => queries.stored_answer(key).unwrap(),
        }
    }

    pub fn lags(&self) -> Vec<ShardLag> {
        match self {
            Self::Simulated(store) => {
                let store = store.store();
                let claimed = (0..).zip(&store.shards).filter(|(_, row)| row.epoch > 0);
                claimed
                    .map(|(shard, row)| ShardLag {
                        shard,
                        commands: row.last_seq().saturating_sub(row.marks.commands),
                        events: row.last_seq().saturating_sub(row.marks.events),
                    })
                    .collect()
            }
            Self::Real { queries, .. } => queries.lags().unwrap(),
        }
    }

    /// The messages that died, and where.
    pub fn letters(&self) -> BTreeSet<(String, String)> {
        match self {
            Self::Simulated(store) => store.store().letters.clone(),
            Self::Real { letters, .. } => {
                let letters = letters.letters(&LetterFilter::default(), None, ALL).unwrap();
                letters.into_iter().map(|letter| (letter.message_id, letter.queue)).collect()
            }
        }
    }
}

/// What nobody but people reads, and only of the real stores.
impl Books {
    fn real(&self) -> (&dyn Queries, &dyn Letters) {
        match self {
            Self::Real { queries, letters } => (&**queries, &**letters),
            Self::Simulated(_) => unimplemented!("it is not kept in the simulation"),
        }
    }

    pub fn whole_orders(&self) -> Vec<Order> {
        self.real().0.orders(&OrderFilter::default(), None, ALL).unwrap()
    }

    pub fn summaries(&self) -> Vec<SagaSummary> {
        self.real().0.sagas(&SagaFilter::default(), None, ALL).unwrap()
    }

    pub fn history(&self, saga: SagaId) -> Vec<Recorded> {
        self.real().0.history(saga, 0, ALL).unwrap()
    }

    pub fn whole_letters(&self) -> Vec<LetterSummary> {
        self.real().1.letters(&LetterFilter::default(), None, ALL).unwrap()
    }

    /// How many there are of each kind, and how many events there ever were.
    pub fn counts(&self) -> (BTreeMap<String, u64>, u64) {
        let Counts { sagas, orders, cancelled_by_reason } = self.real().0.counts().unwrap();
        let sagas = sagas.into_iter().map(|(status, count)| (format!("{status:?} sagas"), count));
        let orders =
            orders.into_iter().map(|(status, count)| (format!("{status:?} orders"), count));
        // What none has may be missing, and their order is not said.
        let all = sagas.chain(orders).chain(cancelled_by_reason).filter(|(_, count)| *count > 0);
        (all.collect(), self.real().0.events().unwrap())
    }
}

/// The stores of the workers.
pub struct Shop {
    pub name: &'static str,
    pub inventory: Arc<dyn InventoryStore>,
    pub notification: Arc<dyn NotificationStore>,
}

impl Shop {
    pub fn simulated() -> Self {
        Self {
            name: "simulated",
            inventory: Desk::<Warehouse>::new(),
            notification: Desk::<Post>::new(),
        }
    }
}

/// SQLite files that are there already, to be copied: making them takes longer than a script.
pub struct Template(TempDir);

/// SQLite files of a script.
pub struct Files(TempDir);

/// A new folder in memory where there is such a place: nothing here has to survive the machine, and a
/// disk is slow.
fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

impl Template {
    pub fn new() -> Self {
        let folder = folder();
        drop(sqlite::open(folder.path(), SHARDS).unwrap());
        Self(folder)
    }

    pub fn copy(&self) -> Files {
        let folder = folder();
        for file in fs::read_dir(self.0.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
        }
        Files(folder)
    }
}

impl Files {
    pub fn orchestrator(&self) -> Orchestrator {
        let stores = sqlite::open(self.0.path(), SHARDS).unwrap();
        Orchestrator {
            name: "SQLite",
            ledger: stores.ledger,
            leases: stores.leases,
            door: stores.door,
            books: Books::Real { queries: stores.queries, letters: stores.letters },
        }
    }

    pub fn shop(&self) -> Shop {
        let stores = sqlite::open(self.0.path(), SHARDS).unwrap();
        let (inventory, notification) = (stores.inventory, stores.notification);
        Shop { name: "SQLite", inventory, notification }
    }
}

/// A PostgreSQL database that one script after the other is carried out in.
pub struct Server {
    wiping: RefCell<PgConnection>,
    database: Database,
}

/// Commits to tables like these wait for no disk; all else is as with others.
const HURRY: &str = "
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname LIKE 'skald%'
    LOOP EXECUTE 'ALTER TABLE ' || name || ' SET UNLOGGED'; END LOOP;
END $$";

/// Leaves a database as it was when its schemas had just been made, which takes longer than a script.
const WIPE: &str = "
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT schemaname || '.' || tablename FROM pg_tables
        WHERE schemaname LIKE 'skald%' AND tablename NOT LIKE '%migrations'
            AND tablename NOT IN ('compatibility', 'installation', 'shards')
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
    UPDATE skald_orchestrator.shards
    SET epoch = 0, last_seq = 0, commands_mark = 0, events_mark = 0, owner = NULL;
END $$";

impl Server {
    pub fn new() -> Self {
        let database = Database::create();
        drop(postgres::orchestrator(database.url(), SHARDS).unwrap());
        drop(postgres::inventory(database.url()).unwrap());
        drop(postgres::notification(database.url()).unwrap());
        let mut wiping = database.connect();
        wiping.batch_execute(HURRY).unwrap();
        Self { wiping: RefCell::new(wiping), database }
    }

    pub fn wipe(&self) {
        self.wiping.borrow_mut().batch_execute(WIPE).unwrap();
    }

    pub fn orchestrator(&self) -> Orchestrator {
        let store = postgres::orchestrator(self.database.url(), SHARDS).unwrap();
        Orchestrator {
            name: "PostgreSQL",
            ledger: store.ledger,
            leases: store.leases,
            door: store.door,
            books: Books::Real { queries: store.queries, letters: store.letters },
        }
    }

    pub fn shop(&self) -> Shop {
        Shop {
            name: "PostgreSQL",
            inventory: postgres::inventory(self.database.url()).unwrap(),
            notification: postgres::notification(self.database.url()).unwrap(),
        }
    }
}
