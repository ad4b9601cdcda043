//! The order that a saga is about, on the saga's page.

use super::words;
use crate::orders::Order;

/// An order's facts.
pub struct OrderFacts {
    /// Where the API shows it.
    pub href: String,
    /// Where it stands.
    pub status: &'static str,
    /// Why it was cancelled, if it was.
    pub reason: Option<String>,
    /// Who ordered.
    pub user: String,
    /// Where the mail goes, if anywhere.
    pub email: Option<String>,
    /// The sum, with its currency.
    pub total: String,
    /// Its lines.
    pub lines: Vec<LineFacts>,
}

/// A line of an order.
pub struct LineFacts {
    /// Which product.
    pub product: String,
    /// How many.
    pub quantity: u32,
    /// What one of them costs.
    pub price: String,
}

impl From<Order> for OrderFacts {
    fn from(order: Order) -> Self {
        let money = |minor| order.currency.format_amount(minor).to_string();
        let lines = order.items.iter().map(|item| LineFacts {
            product: item.product.to_string(),
            quantity: item.quantity,
            price: money(item.price),
        });
        Self {
            href: format!("/v1/orders/{}", order.id),
            status: order.status.as_str(),
            reason: order.reason.as_ref().map(words::reason),
            total: format!("{} {}", money(order.total), order.currency.code()),
            lines: lines.collect(),
            user: order.user,
            email: order.email,
        }
    }
}
