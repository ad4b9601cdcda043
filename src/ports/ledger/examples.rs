//! What tests of the journal and of stores begin with.

use std::sync::Arc;

use uuid::Uuid;

use super::Entry;
use crate::orders::money::Currency;
use crate::orders::{Item, Order, OrderId, OrderStatus};
use crate::saga::event::Birth;
use crate::saga::id::{DefinitionRef, SagaId, Timestamp};
use crate::saga::json::Json;
use crate::saga::state::{Deadline, Phase, Saga, State};

/// The moment at which they begin.
pub const NOW: Timestamp = Timestamp(1_780_000_000_000_000);

/// An order for a harp.
pub fn order() -> Order {
    Order {
        id: OrderId(Uuid::from_u128(2)),
        saga: SagaId(Uuid::from_u128(1)),
        user: "ada".to_owned(),
        email: None,
        currency: Currency::DEFAULT,
        total: 999,
        status: OrderStatus::Pending,
        reason: None,
        created_at: NOW,
        updated_at: NOW,
        items: vec![Item { product: "harp".into(), quantity: 1, price: 999 }],
    }
}

/// An entry of a saga at this version, without events.
pub fn entry(saga: u128, version: u64) -> Entry {
    let birth = Birth {
        definition: DefinitionRef { name: "order".into(), version: 1 },
        key: String::new(),
        input: Json::null(),
        deadline: NOW,
        traceparent: None,
    };
    let state = State {
        version,
        phase: Phase::Forward,
        steps: Vec::new(),
        deadline: Deadline::Ahead(NOW),
        attention: Vec::new(),
    };
    Entry {
        expected: version,
        events: Vec::new(),
        saga: Saga { id: SagaId(Uuid::from_u128(saga)), birth: Arc::new(birth), state },
        status_before: None,
        order: None,
        inputs: Vec::new(),
    }
}
