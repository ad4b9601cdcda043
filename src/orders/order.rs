//! An order, as it is stored and shown.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::money::Currency;
use crate::saga::event::Reason;
use crate::saga::id::{SagaId, Timestamp};

/// Identifies an order. A UUIDv7, so that ids sort by birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub Uuid);

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// What the shop calls a product.
pub type ProductId = compact_str::CompactString;

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Item {
    /// Which product.
    pub product: ProductId,
    /// How many, at least 1.
    pub quantity: u32,
    /// What one of them costs, in minor units.
    pub price: i64,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The saga that carries it through.
    pub saga: SagaId,
    /// Who ordered.
    pub user: String,
    /// Where to write to, if anywhere.
    pub email: Option<String>,
    /// What its amounts are in.
    pub currency: Currency,
    /// The sum over its lines, in minor units.
    pub total: i64,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was cancelled, if it was.
    pub reason: Option<Reason>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
    /// Its lines, in the customer's order.
    pub items: Vec<Item>,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OrderStatus {
    /// Accepted; its saga is under way.
    Pending,
    /// Its goods are reserved; nothing takes that back.
    Confirmed,
    /// Everything done for it is undone.
    Cancelled,
}

impl OrderStatus {
    /// Every status, in the order of an order's life.
    pub const ALL: [Self; 3] = [Self::Pending, Self::Confirmed, Self::Cancelled];

    /// The name used in the API and the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Reads the name used in the API and the store.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_name_everywhere() {
        for (status, name) in
            OrderStatus::ALL.into_iter().zip(["PENDING", "CONFIRMED", "CANCELLED"])
        {
            assert_eq!(status.as_str(), name);
            assert_eq!(serde_json::to_value(status).unwrap(), name);
            assert_eq!(OrderStatus::parse(name), Some(status));
        }
        assert_eq!(OrderStatus::parse("pending"), None);
    }
}
