//! Customers, who ask again under the same key until they are told; and operators.

use skald::orders::money::Currency;
use skald::orders::{Item, Order, OrderId, OrderStatus};
use skald::ports::ledger::{Claim, StoredAnswer};
use skald::saga::id::{SagaId, Timestamp};

use super::broker::Connection;
use super::env::number;

/// A customer with one order.
#[derive(Clone, Debug)]
pub struct Customer {
    pub place: usize,
    pub items: Vec<Item>,
    pub email: Option<String>,
    pub key: String,
    pub state: Asking,
    pub tries: u32,
    /// What it was told once.
    pub told: Option<OrderId>,
}

/// Where a customer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asking {
    /// Not asked yet, or not told.
    Idle,
    /// Waits for an answer over this connection's node.
    Waiting(Connection),
    /// Was told that the order is accepted.
    Told,
}

impl Customer {
    /// The order as a node makes it of a submission, with new ids.
    pub fn order(&self, now: Timestamp) -> (Order, Claim) {
        let id = number(self.tries, self.place);
        let (id, saga) = (OrderId(id), SagaId(id));
        let order = Order {
            id,
            saga,
            user: self.key.clone(),
            email: self.email.clone(),
            currency: Currency::DEFAULT,
            total: self.items.iter().map(|item| item.price * i64::from(item.quantity)).sum(),
            status: OrderStatus::Pending,
            reason: None,
            created_at: now,
            updated_at: now,
            items: self.items.clone(),
        };
        let answer = StoredAnswer { fingerprint: Vec::new(), order: id, body: String::new() };
        (order, Claim { key: self.key.clone(), answer })
    }
}
