//! The order that a saga is about, and the idempotency key that it was submitted under.

use diesel::prelude::*;

use crate::orders::{Order, OrderId, OrderStatus};
use crate::ports::ledger::{Claim, StoredAnswer};
use crate::saga::event::Reason;
use crate::saga::id::Timestamp;
use crate::store::counters::Counters;
use crate::store::sqlite::encode::Id;
use crate::store::sqlite::failure::Failure;
use crate::store::sqlite::schema::orchestrator::{idempotency_keys, order_items, orders};
use crate::store::sqlite::update::update;

#[derive(Insertable)]
#[diesel(table_name = orders, treat_none_as_default_value = false)]
struct NewOrder<'a> {
    id: Id,
    saga: Id,
    user_id: &'a str,
    email: Option<&'a str>,
    currency: &'static str,
    total: i64,
    status: &'static str,
    reason_code: Option<&'a str>,
    reason_text: Option<&'a str>,
    created_at: i64,
    updated_at: i64,
}

#[derive(Insertable)]
#[diesel(table_name = order_items, treat_none_as_default_value = false)]
struct NewItem<'a> {
    order_id: Id,
    line: i64,
    product: &'a str,
    quantity: i64,
    price: i64,
}

#[derive(Insertable)]
#[diesel(table_name = idempotency_keys, treat_none_as_default_value = false)]
struct NewKey<'a> {
    key: &'a str,
    fingerprint: &'a [u8],
    order_id: Id,
    answer: &'a str,
    taken_at: i64,
}

/// Writes an order, its lines, and the key that it was submitted under.
pub(super) fn place(
    connection: &mut SqliteConnection,
    counters: &mut Counters,
    order: &Order,
    claim: Option<&Claim>,
) -> Result<(), Failure> {
    let row = NewOrder {
        id: Id(order.id.0),
        saga: Id(order.saga.0),
        user_id: &order.user,
        email: order.email.as_deref(),
        currency: order.currency.code(),
        total: order.total,
        status: order.status.as_str(),
        reason_code: order.reason.as_ref().map(|reason| reason.code.as_str()),
        reason_text: order.reason.as_ref().map(|reason| reason.text.as_str()),
        created_at: order.created_at.0,
        updated_at: order.updated_at.0,
    };
    diesel::insert_into(orders::table).values(&row).execute(connection)?;
    for (line, item) in (0..).zip(&order.items) {
        let row = NewItem {
            order_id: Id(order.id.0),
            line,
            product: &item.product,
            quantity: item.quantity.into(),
            price: item.price,
        };
        diesel::insert_into(order_items::table).values(&row).execute(connection)?;
    }
    if let Some(Claim { key, answer }) = claim {
        let row = NewKey {
            key,
            fingerprint: &answer.fingerprint,
            order_id: Id(answer.order.0),
            answer: &answer.body,
            taken_at: order.created_at.0,
        };
        diesel::insert_into(idempotency_keys::table).values(&row).execute(connection)?;
    }
    counters.order_placed(order.status);
    Ok(())
}

/// Gives a pending order its outcome.
pub(super) fn settle(
    connection: &mut SqliteConnection,
    counters: &mut Counters,
    id: OrderId,
    status: OrderStatus,
    reason: Option<&Reason>,
    at: Timestamp,
) -> Result<(), Failure> {
    let settled = update!(
        orders::table,
        (
            orders::status.eq(status.as_str()),
            orders::reason_code.eq(reason.map(|reason| reason.code.as_str())),
            orders::reason_text.eq(reason.map(|reason| reason.text.as_str())),
            orders::updated_at.eq(at.0),
        ),
        orders::id.eq(Id(id.0)).and(orders::status.eq(OrderStatus::Pending.as_str())),
    )
    .execute(connection)?;
    if settled == 0 {
        return Err(Failure::Refused(format!("there is no pending order {id} to settle")));
    }
    counters.order_settled(status, reason);
    Ok(())
}

/// The answer that was given under an idempotency key.
pub(in crate::store::sqlite) fn stored_answer(
    connection: &mut SqliteConnection,
    key: &str,
) -> QueryResult<Option<StoredAnswer>> {
    let found: Option<(Vec<u8>, Id, String)> = idempotency_keys::table
        .find(key)
        .select((
            idempotency_keys::fingerprint,
            idempotency_keys::order_id,
            idempotency_keys::answer,
        ))
        .first(connection)
        .optional()?;
    Ok(found.map(|(fingerprint, order, body)| StoredAnswer {
        fingerprint,
        order: OrderId(order.0),
        body,
    }))
}
