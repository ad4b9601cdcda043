//! Counters that are kept up with every batch, so that nobody has to count rows. Pure.

use std::collections::HashMap;

use crate::orders::OrderStatus;
use crate::saga::event::Reason;
use crate::saga::id::{DefinitionName, ReasonCode};
use crate::saga::state::SagaStatus;

/// By how much a batch changes the counters.
#[derive(Default)]
pub(super) struct Counters {
    /// Sagas by definition and status.
    pub sagas: HashMap<(DefinitionName, SagaStatus), i64>,
    /// Orders by status.
    pub orders: HashMap<OrderStatus, i64>,
    /// Cancelled orders by reason.
    pub cancellations: HashMap<ReasonCode, i64>,
}

impl Counters {
    /// A saga has another status, or is new.
    pub fn saga_moved(
        &mut self,
        definition: &DefinitionName,
        before: Option<SagaStatus>,
        after: SagaStatus,
    ) {
        if before == Some(after) {
            return;
        }
        *self.sagas.entry((definition.clone(), after)).or_default() += 1;
        if let Some(before) = before {
            *self.sagas.entry((definition.clone(), before)).or_default() -= 1;
        }
    }

    /// An order is new.
    pub fn order_placed(&mut self, status: OrderStatus) {
        *self.orders.entry(status).or_default() += 1;
    }

    /// A pending order has its outcome.
    pub fn order_settled(&mut self, status: OrderStatus, reason: Option<&Reason>) {
        *self.orders.entry(OrderStatus::Pending).or_default() -= 1;
        *self.orders.entry(status).or_default() += 1;
        if let (OrderStatus::Cancelled, Some(reason)) = (status, reason) {
            *self.cancellations.entry(reason.code.clone()).or_default() += 1;
        }
    }
}
