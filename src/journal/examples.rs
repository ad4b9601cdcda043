//! What the tests of several machines, and of stores, begin with.

use uuid::Uuid;

use super::turn;
use crate::orders::definition::definition;
use crate::orders::money::Currency;
use crate::orders::{Item, Order, OrderId, OrderStatus};
use crate::ports::StoreError;
use crate::ports::ledger::Entry;
use crate::saga::id::{SagaId, Timestamp};
use crate::saga::state::Saga;

/// The moment at which they begin.
pub const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

/// An order's first entry: its saga has started, and its first step is asked.
pub fn birth() -> Entry {
    let id = SagaId(Uuid::from_u128(1));
    let order = Order {
        id: OrderId(Uuid::from_u128(2)),
        saga: id,
        user: "ada".to_owned(),
        email: None,
        currency: Currency::DEFAULT,
        total: 999,
        status: OrderStatus::Pending,
        reason: None,
        created_at: NOW,
        updated_at: NOW,
        items: vec![Item { product: "harp".into(), quantity: 1, price: 999 }],
    };
    let definition = definition().unwrap();
    let born = turn::birth(&definition, &order, None).unwrap();
    turn::begin(&definition, id, born, (order, None), NOW).unwrap()
}

/// An entry of another saga at this version, without events.
pub fn entry(saga: u128, version: u64) -> Entry {
    let mut saga = Saga { id: SagaId(Uuid::from_u128(saga)), ..birth().saga };
    saga.state.version = version;
    Entry {
        expected: version,
        events: Vec::new(),
        saga,
        status_before: None,
        order: None,
        inputs: Vec::new(),
    }
}

/// Of a store that can't be reached.
pub fn gone() -> StoreError {
    StoreError::Unavailable { store: "orchestrator", cause: "gone".to_owned() }
}
