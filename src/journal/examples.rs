//! What the tests of several machines begin with.

use uuid::Uuid;

use super::turn;
use crate::orders::definition::definition;
use crate::orders::money::Currency;
use crate::orders::{Item, Order, OrderId, OrderStatus};
use crate::ports::ledger::Entry;
use crate::saga::id::{SagaId, Timestamp};

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
