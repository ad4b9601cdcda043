//! Orders as clients see them.

use serde::Serialize;

use super::time::Moment;
use crate::orders::money::{Amount, Currency};
use crate::orders::script::{Line, lines};
use crate::orders::{Order, OrderId, OrderStatus};
use crate::saga::event::Reason;
use crate::saga::id::SagaId;

/// The answer to an order that was accepted. It is stored with its idempotency key, and repeats get
/// the very same text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AcceptedView {
    order_id: OrderId,
    saga_id: SagaId,
    status: OrderStatus,
    total_amount: Amount,
    currency: Currency,
    created_at: Moment,
}

impl AcceptedView {
    /// The answer to `order`.
    pub fn of(order: &Order) -> Self {
        Self {
            order_id: order.id,
            saga_id: order.saga,
            status: order.status,
            total_amount: order.currency.format_amount(order.total),
            currency: order.currency,
            created_at: Moment(order.created_at),
        }
    }
}

/// An order in full.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderView<'a> {
    order_id: OrderId,
    saga_id: SagaId,
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    status: OrderStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    total_amount: Amount,
    currency: Currency,
    created_at: Moment,
    updated_at: Moment,
    items: Vec<Line<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellation: Option<Cancellation>,
}

impl<'a> OrderView<'a> {
    /// Shows `order`.
    pub fn of(order: &'a Order) -> Self {
        Self {
            order_id: order.id,
            saga_id: order.saga,
            user_id: &order.user,
            email: order.email.as_deref(),
            status: order.status,
            reason: order.reason.as_ref(),
            total_amount: order.currency.format_amount(order.total),
            currency: order.currency,
            created_at: Moment(order.created_at),
            updated_at: Moment(order.updated_at),
            items: lines(order),
            cancellation: None,
        }
    }

    /// Adds how far its cancellation has come.
    pub fn with_cancellation(mut self, stage: Stage) -> Self {
        self.cancellation = Some(Cancellation { state: stage, detail: stage.detail() });
        self
    }
}

/// How far a cancellation has come.
#[derive(Serialize)]
struct Cancellation {
    state: Stage,
    detail: &'static str,
}

/// The stages of a cancellation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Stage {
    /// It is stored; whether it comes in time is not known yet.
    Requested,
    /// It came in time; what was done is being undone.
    InProgress,
    /// The order is cancelled.
    Done,
}

impl Stage {
    /// The stage of an order whose cancellation came in time.
    pub fn of(order: &Order) -> Self {
        if order.status == OrderStatus::Cancelled { Self::Done } else { Self::InProgress }
    }

    fn detail(self) -> &'static str {
        match self {
            Self::Requested => {
                "the request is stored and will be decided on; read the order again to see how"
            }
            Self::InProgress => {
                "what was done for the order is being undone; it becomes CANCELLED after that"
            }
            Self::Done => "the order is cancelled",
        }
    }
}
