//! Orders with their lines.

use std::cmp::Reverse;
use std::collections::HashMap;

use diesel::prelude::*;
use uuid::Uuid;

use crate::orders::money::Currency;
use crate::orders::{Item, Order, OrderId, OrderStatus};
use crate::ports::queries::OrderFilter;
use crate::saga::event::Reason;
use crate::saga::id::SagaId;
use crate::store::postgres::encode::{Moment, corrupt};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::schema::orchestrator::{order_items, orders};

#[derive(Queryable, Selectable)]
#[diesel(table_name = orders)]
struct Row {
    id: Uuid,
    saga: Uuid,
    user_id: String,
    email: Option<String>,
    currency: String,
    total: i64,
    status: String,
    reason_code: Option<String>,
    reason_text: Option<String>,
    created_at: Moment,
    updated_at: Moment,
}

/// Reads an order.
pub(super) fn one(connection: &mut PgConnection, id: OrderId) -> Result<Option<Order>, Failure> {
    let row: Option<Row> =
        orders::table.find(id.0).select(Row::as_select()).first(connection).optional()?;
    Ok(with_lines(connection, row.into_iter().collect())?.pop())
}

/// Reads orders, newest first, from the one before `before`.
///
/// Each status is a range of an index; a list of all of a user's orders merges the three.
pub(super) fn page(
    connection: &mut PgConnection,
    filter: &OrderFilter,
    before: Option<OrderId>,
    limit: u32,
) -> Result<Vec<Order>, Failure> {
    let before = before.map_or(Uuid::max(), |id| id.0);
    let newest = || {
        orders::table
            .select(Row::as_select())
            .filter(orders::id.lt(before))
            .order(orders::id.desc())
            .limit(i64::from(limit))
            .into_boxed()
    };
    let mut rows: Vec<Row> = Vec::new();
    match (&filter.user, filter.status) {
        (None, None) => rows = newest().load(connection)?,
        (None, Some(status)) => {
            rows = newest().filter(orders::status.eq(status.as_str())).load(connection)?;
        }
        (Some(user), status) => {
            for status in OrderStatus::ALL.iter().filter(|each| status.is_none_or(|s| s == **each))
            {
                rows.extend(
                    newest()
                        .filter(orders::user_id.eq(user))
                        .filter(orders::status.eq(status.as_str()))
                        .load::<Row>(connection)?,
                );
            }
        }
    }
    rows.sort_unstable_by_key(|row| Reverse(row.id));
    rows.truncate(limit as usize);
    with_lines(connection, rows)
}

/// Adds the lines, with one query for all orders.
fn with_lines(connection: &mut PgConnection, rows: Vec<Row>) -> Result<Vec<Order>, Failure> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let lines: Vec<(Uuid, String, i64, i64)> = order_items::table
        .filter(order_items::order_id.eq_any(&ids))
        .order((order_items::order_id, order_items::line))
        .select((
            order_items::order_id,
            order_items::product,
            order_items::quantity,
            order_items::price,
        ))
        .load(connection)?;
    let mut items: HashMap<Uuid, Vec<Item>> = HashMap::new();
    for (order, product, quantity, price) in lines {
        let quantity = u32::try_from(quantity)
            .map_err(|error| corrupt(format!("a line of order {order}"), error))?;
        items.entry(order).or_default().push(Item { product: product.into(), quantity, price });
    }
    rows.into_iter()
        .map(|row| {
            let items = items.remove(&row.id).unwrap_or_default();
            row.order(items)
        })
        .collect()
}

impl Row {
    fn order(self, items: Vec<Item>) -> Result<Order, Failure> {
        let currency = Currency::parse(&self.currency).ok_or_else(|| {
            corrupt(format!("order {}", self.id), format!("{} is no currency", self.currency))
        })?;
        Ok(Order {
            id: OrderId(self.id),
            saga: SagaId(self.saga),
            user: self.user_id,
            email: self.email,
            currency,
            total: self.total,
            status: status(&self.status)?,
            reason: self.reason_code.map(|code| Reason {
                code: code.as_str().into(),
                text: self.reason_text.unwrap_or_default(),
            }),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            items,
        })
    }
}

/// Reads an order's status.
pub(super) fn status(text: &str) -> Result<OrderStatus, Failure> {
    OrderStatus::parse(text)
        .ok_or_else(|| corrupt("an order's status", format!("{text} is no status")))
}
