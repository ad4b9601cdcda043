//! Counters that are kept up with every batch, so that nobody has to count rows.

use std::collections::HashMap;

use diesel::prelude::*;

use crate::orders::OrderStatus;
use crate::saga::event::Reason;
use crate::saga::id::{DefinitionName, ReasonCode};
use crate::saga::state::SagaStatus;
use crate::store::sqlite::schema::orchestrator::{cancellation_counts, order_counts, saga_counts};
use crate::store::sqlite::update::update;

/// By how much a batch changes the counters.
#[derive(Default)]
pub(super) struct Counters {
    sagas: HashMap<(DefinitionName, SagaStatus), i64>,
    orders: HashMap<OrderStatus, i64>,
    cancellations: HashMap<ReasonCode, i64>,
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

    /// Adds the changes to what is stored.
    pub fn write(self, connection: &mut SqliteConnection) -> QueryResult<()> {
        for ((definition, status), change) in self.sagas {
            add_sagas(connection, definition.as_str(), status.as_str(), change)?;
        }
        for (status, change) in self.orders {
            add_orders(connection, status.as_str(), change)?;
        }
        for (code, change) in self.cancellations {
            add_cancellations(connection, code.as_str(), change)?;
        }
        Ok(())
    }
}

fn add_sagas(
    connection: &mut SqliteConnection,
    definition: &str,
    status: &str,
    change: i64,
) -> QueryResult<()> {
    use saga_counts as counts;
    let found = update!(
        counts::table,
        counts::count.eq(counts::count + change),
        counts::definition.eq(definition).and(counts::status.eq(status)),
    )
    .execute(connection)?;
    if found == 0 {
        diesel::insert_into(counts::table)
            .values((
                counts::definition.eq(definition),
                counts::status.eq(status),
                counts::count.eq(change),
            ))
            .execute(connection)?;
    }
    Ok(())
}

fn add_orders(connection: &mut SqliteConnection, status: &str, change: i64) -> QueryResult<()> {
    use order_counts as counts;
    let found = update!(
        counts::table,
        counts::count.eq(counts::count + change),
        counts::status.eq(status),
    )
    .execute(connection)?;
    if found == 0 {
        diesel::insert_into(counts::table)
            .values((counts::status.eq(status), counts::count.eq(change)))
            .execute(connection)?;
    }
    Ok(())
}

fn add_cancellations(
    connection: &mut SqliteConnection,
    code: &str,
    change: i64,
) -> QueryResult<()> {
    use cancellation_counts as counts;
    let found =
        update!(counts::table, counts::count.eq(counts::count + change), counts::code.eq(code))
            .execute(connection)?;
    if found == 0 {
        diesel::insert_into(counts::table)
            .values((counts::code.eq(code), counts::count.eq(change)))
            .execute(connection)?;
    }
    Ok(())
}
