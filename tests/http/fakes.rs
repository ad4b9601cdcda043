//! The ports over a [`World`].

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use skald::orders::{Order, OrderId, OrderStatus, ProductId};
use skald::ports::clock::Clock;
use skald::ports::door::{
    Admitted, DeadLetter, Door, InputId, InputOutcome, NewInput, PendingInput,
};
use skald::ports::error::StoreError;
use skald::ports::inventory::{InventoryChange, InventoryStore, InventoryView, Product, StockSet};
use skald::ports::leases::{Census, Leases, Node, NodeId};
use skald::ports::ledger::{Shard, ShardState, StoredAnswer};
use skald::ports::notification::{NotificationChange, NotificationStore};
use skald::ports::orchestrator::{Activity, NewOrder, Orchestrator, SubmitError, Submitted};
use skald::ports::queries::{Counts, OrderFilter, Queries, SagaFilter, SagaSummary, ShardLag};
use skald::ports::work::{RecordKey, WorkRecord};
use skald::saga::event::Recorded;
use skald::saga::id::{SagaId, Sequence, Timestamp};
use skald::saga::state::{Saga, SagaStatus};
use uuid::Uuid;

use crate::world::World;

/// A port over the world; one type for all of them.
#[derive(Clone)]
pub struct Port(pub Arc<World>);

impl Port {
    pub fn store(&self) -> Result<&World, StoreError> {
        if self.0.store_is_down.load(Ordering::Relaxed) {
            return Err(locked());
        }
        Ok(&self.0)
    }
}

fn locked() -> StoreError {
    let cause = "secret/path/orders.db is locked".to_owned();
    StoreError::Unavailable { store: "orchestrator", cause }
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Orchestrator for Port {
    fn submit(&self, new: NewOrder) -> BoxFuture<'static, Result<Submitted, SubmitError>> {
        let world = Arc::clone(&self.0);
        async move {
            world.lock().submissions.push(new.clone());
            world.arrived.add_permits(1);
            if world.gate_is_shut.load(Ordering::Relaxed) {
                world.gate.acquire().await.unwrap().forget();
            }
            if let Some(failure) = world.next_failure.lock().unwrap().take() {
                return Err(failure);
            }
            if let Some(claim) = &new.claim {
                let mut inner = world.lock();
                if let Some(stored) = inner.claims.get(&claim.key) {
                    return Ok(Submitted::Replayed(stored.clone()));
                }
                inner.claims.insert(claim.key.clone(), claim.answer.clone());
            }
            Ok(Submitted::Accepted(world.accept(&new)))
        }
        .boxed()
    }

    fn knock(&self, _: Shard, saga: SagaId) -> BoxFuture<'static, ()> {
        if !self.0.owner_is_away.load(Ordering::Relaxed) {
            self.0.decide_inputs(saga);
        }
        std::future::ready(()).boxed()
    }

    fn look_for_requeued(&self) {
        if let Some(outcome) = *self.0.bus_says.lock().unwrap() {
            self.0.lock().letters.settle_all(outcome);
        }
    }

    fn activity(&self) -> BoxFuture<'static, Activity> {
        let activity = Activity {
            waiting: 0,
            awake: 3,
            outstanding: vec![("inventory.commands".to_owned(), 2)],
            commits: 4,
            transitions: 10,
            ignored: vec![("settled", 1)],
        };
        std::future::ready(activity).boxed()
    }

    fn troubles(&self) -> Vec<String> {
        self.0.troubles.lock().unwrap().clone()
    }
}

impl Queries for Port {
    fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        Ok(self.store()?.lock().orders.get(&id).cloned())
    }

    fn orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Order>, StoreError> {
        let inner = self.store()?.lock();
        let fits = |order: &&Order| {
            before.is_none_or(|before| order.id < before)
                && filter.user.as_ref().is_none_or(|user| *user == order.user)
                && filter.status.is_none_or(|status| status == order.status)
        };
        Ok(inner.orders.values().rev().filter(fits).take(limit as usize).cloned().collect())
    }

    fn saga(&self, id: SagaId) -> Result<Option<(Saga, SagaSummary)>, StoreError> {
        let world = self.store()?;
        let one_less = |left: usize| left.checked_sub(1);
        let left =
            world.readable_sagas.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        left.map_err(|_| locked())?;
        Ok(world.lock().sagas.get(&id).map(|life| (life.saga.clone(), life.summary())))
    }

    fn sagas(
        &self,
        filter: &SagaFilter,
        before: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<SagaSummary>, StoreError> {
        let inner = self.store()?.lock();
        let fits = |saga: &SagaSummary| {
            before.is_none_or(|before| saga.id < before)
                && filter.status.is_none_or(|status| status == saga.status)
                && filter.definition.as_ref().is_none_or(|name| *name == saga.definition.name)
                && filter.text.as_ref().is_none_or(|text| {
                    saga.key.starts_with(text) || saga.id.to_string().starts_with(text)
                })
        };
        let lives = inner.sagas.values().rev().map(|life| life.summary());
        Ok(lives.filter(fits).take(limit as usize).collect())
    }

    fn history(
        &self,
        id: SagaId,
        after: Sequence,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        let inner = self.store()?.lock();
        let history = inner.sagas.get(&id).map(|life| life.history.iter()).into_iter().flatten();
        Ok(history.filter(|it| it.sequence > after).take(limit as usize).cloned().collect())
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        let inner = self.store()?.lock();
        let mut sagas: BTreeMap<SagaStatus, u64> = BTreeMap::new();
        for life in inner.sagas.values() {
            *sagas.entry(life.saga.state.status()).or_default() += 1;
        }
        let mut counts = Counts { sagas: sagas.into_iter().collect(), ..Counts::default() };
        for status in OrderStatus::ALL {
            let count = inner.orders.values().filter(|order| order.status == status).count();
            counts.orders.push((status, count as u64));
        }
        let reasons = inner.orders.values().filter_map(|order| order.reason.as_ref());
        let mut by_reason: BTreeMap<String, u64> = BTreeMap::new();
        for reason in reasons {
            *by_reason.entry(reason.code.to_string()).or_default() += 1;
        }
        counts.cancelled_by_reason = by_reason.into_iter().collect();
        Ok(counts)
    }

    fn lags(&self) -> Result<Vec<ShardLag>, StoreError> {
        self.store()?;
        Ok(vec![ShardLag { shard: 0, commands: 1, events: 7 }])
    }

    fn versions(&self, ids: &[SagaId]) -> Result<BTreeMap<SagaId, Sequence>, StoreError> {
        let inner = self.store()?.lock();
        let found = ids.iter().filter_map(|id| Some((*id, inner.sagas.get(id)?)));
        Ok(found.map(|(id, life)| (id, life.saga.state.version)).collect())
    }

    fn events(&self) -> Result<u64, StoreError> {
        let inner = self.store()?.lock();
        Ok(inner.sagas.values().map(|life| life.history.len() as u64).sum())
    }

    fn stored_answer(&self, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        Ok(self.store()?.lock().claims.get(key).cloned())
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.store().map(|_| ())
    }
}

impl Door for Port {
    fn admit(&self, input: &NewInput) -> Result<Admitted, StoreError> {
        let mut inner = self.store()?.lock();
        if !inner.sagas.contains_key(&input.saga) {
            return Ok(Admitted::NoSuchSaga);
        }
        let earlier = inner
            .inputs
            .iter()
            .find(|(it, _)| it.saga == input.saga && it.client_key == input.client_key);
        Ok(match earlier {
            Some((it, outcome)) if it.request == input.request => {
                Admitted::Repeated(it.id, 0, outcome.clone())
            }
            Some(_) => Admitted::KeyTaken,
            None => {
                inner.inputs.push((input.clone(), None));
                Admitted::Stored(input.id, 0)
            }
        })
    }

    fn pending(&self, _: Shard, _: u32) -> Result<Vec<PendingInput>, StoreError> {
        Ok(Vec::new())
    }

    fn waiting(&self, _: &[Shard]) -> Result<BTreeSet<Shard>, StoreError> {
        Ok(BTreeSet::new())
    }

    fn outcome(&self, id: InputId) -> Result<Option<InputOutcome>, StoreError> {
        let inner = self.store()?.lock();
        Ok(inner.inputs.iter().find(|(it, _)| it.id == id).and_then(|(_, outcome)| outcome.clone()))
    }

    fn bury(&self, _: &[DeadLetter]) -> Result<BTreeSet<Shard>, StoreError> {
        Ok(BTreeSet::new())
    }
}

impl Leases for Port {
    fn renew(&self, _: &Node, _: Duration) -> Result<Census, StoreError> {
        unreachable!("the API holds no leases")
    }

    fn claim(&self, _: NodeId, _: &[Shard]) -> Result<Vec<(Shard, ShardState)>, StoreError> {
        unreachable!("the API holds no leases")
    }

    fn release(&self, _: NodeId, _: &[Shard]) -> Result<(), StoreError> {
        unreachable!("the API holds no leases")
    }

    fn leave(&self, _: NodeId) -> Result<(), StoreError> {
        unreachable!("the API holds no leases")
    }

    /// One node, which owns the first of two shards.
    fn census(&self) -> Result<Census, StoreError> {
        self.store()?;
        let node = Node {
            id: Uuid::from_u128(7),
            name: "skald-1".to_owned(),
            url: "http://skald-1:7070".to_owned(),
            started_at: Timestamp(1_700_000_000_000_000),
        };
        Ok(Census { owners: vec![Some(node.id), None], nodes: vec![node] })
    }
}

impl InventoryStore for Port {
    fn transact(
        &self,
        _: &BTreeSet<RecordKey>,
        _: &BTreeSet<ProductId>,
        _: &mut dyn FnMut(&InventoryView) -> InventoryChange,
    ) -> Result<(), StoreError> {
        unreachable!("the API does not reserve")
    }

    fn set_on_hand(&self, id: &ProductId, on_hand: i64) -> Result<StockSet, StoreError> {
        let mut inner = self.store()?.lock();
        let product = inner.products.entry(id.clone()).or_insert_with(|| Product {
            id: id.clone(),
            on_hand: 0,
            reserved: 0,
        });
        if on_hand < product.reserved {
            return Ok(StockSet::BelowReserved(product.clone()));
        }
        product.on_hand = on_hand;
        Ok(StockSet::Set(product.clone()))
    }

    fn product(&self, id: &ProductId) -> Result<Option<Product>, StoreError> {
        Ok(self.store()?.lock().products.get(id).cloned())
    }

    fn products(&self, after: Option<&ProductId>, limit: u32) -> Result<Vec<Product>, StoreError> {
        let inner = self.store()?.lock();
        let products =
            inner.products.values().filter(|it| after.is_none_or(|after| it.id > *after));
        Ok(products.take(limit as usize).cloned().collect())
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.store().map(|_| ())
    }
}

impl NotificationStore for Port {
    fn transact(
        &self,
        _: &BTreeSet<RecordKey>,
        _: &mut dyn FnMut(&BTreeMap<RecordKey, WorkRecord>) -> NotificationChange,
    ) -> Result<(), StoreError> {
        unreachable!("the API does not mail")
    }

    fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.store()?;
        Ok(vec![("SENT".to_owned(), 5)])
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.store().map(|_| ())
    }
}
