//! What the tests stand on: an empty installation, and owners of its shards.

use std::ops::Deref;
use std::sync::Arc;

use skald::orders::Order;
use skald::ports::StoreError;
use skald::ports::ledger::{Batch, Entry, EntryOutcome, Ledger, Marks, Seq, Shard};
use skald::saga::id::SagaId;
use skald::saga::state::Saga;
use skald::store::Stores;

use super::{Backend, sample};

/// An installation.
pub struct Stage {
    stores: Stores,
    backend: Box<dyn Backend>,
}

impl Stage {
    /// An empty one.
    pub fn of(backend: impl Backend + 'static) -> Self {
        Self { stores: backend.open(), backend: Box::new(backend) }
    }

    /// The same after a restart.
    pub fn reopened(self) -> Self {
        let Self { stores, backend } = self;
        drop(stores);
        Self { stores: backend.open(), backend }
    }

    /// The same as another process sees it.
    pub fn elsewhere(&self) -> Stores {
        self.backend.open()
    }

    /// Makes somebody the owner of `shard`.
    pub fn owner_of(&self, shard: Shard) -> Owner {
        let epoch = self.ledger.claim(shard).unwrap().epoch;
        Owner { ledger: Arc::clone(&self.ledger), shard, epoch, marks: Marks::default() }
    }

    /// The owner of the first shard.
    pub fn owner(&self) -> Owner {
        self.owner_of(0)
    }

    /// A saga as it is stored.
    pub fn saga(&self, id: SagaId) -> Option<Saga> {
        self.queries.saga(id).unwrap().map(|(saga, _)| saga)
    }

    /// An order as it is stored.
    pub fn order(&self, order: &Order) -> Option<Order> {
        self.queries.order(order.id).unwrap()
    }
}

impl Deref for Stage {
    type Target = Stores;

    fn deref(&self) -> &Stores {
        &self.stores
    }
}

/// The owner of a shard.
pub struct Owner {
    pub ledger: Arc<dyn Ledger>,
    pub shard: Shard,
    pub epoch: i64,
    pub marks: Marks,
}

impl Owner {
    /// Commits one batch.
    pub fn commit(&self, entries: Vec<Entry>) -> Result<Vec<EntryOutcome>, StoreError> {
        let Self { ledger, shard, epoch, marks } = self;
        ledger.commit(&Batch { shard: *shard, epoch: *epoch, marks: *marks, entries })
    }

    /// Commits one entry that nothing stands in the way of; tells its first position.
    #[track_caller]
    pub fn write(&self, entry: Entry) -> Seq {
        match self.commit(vec![entry]).unwrap()[..] {
            [EntryOutcome::Written(seq)] => seq,
            ref other => panic!("{other:?}"),
        }
    }

    /// Accepts the n-th sample order; tells its saga.
    #[track_caller]
    pub fn place(&self, n: u64) -> Saga {
        let entry = sample::placed(n);
        let saga = entry.saga.clone();
        self.write(entry);
        saga
    }

    /// Writes what `entry_of` makes of `saga`; tells the saga after it.
    #[track_caller]
    pub fn go_on(&self, saga: &Saga, entry_of: impl FnOnce(&Saga) -> Entry) -> Saga {
        let entry = entry_of(saga);
        let after = entry.saga.clone();
        self.write(entry);
        after
    }

    /// Takes the n-th sample order all the way.
    #[track_caller]
    pub fn complete(&self, n: u64) -> Saga {
        let reserved = self.go_on(&self.place(n), sample::succeeded);
        self.go_on(&reserved, sample::succeeded)
    }
}
