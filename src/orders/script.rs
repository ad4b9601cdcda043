//! What the order saga says: the bodies of its commands, its events, and what it makes of the order.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::definition::{CONFIRM, RESERVE, SEND_CANCELLATION, SEND_CONFIRMATION};
use super::money::{Amount, Currency};
use super::notification::Notified;
use super::order::{Item, Order, OrderId};
use crate::saga::cause::Cause;
use crate::saga::effect::{Announcement, Command, Script, ScriptError};
use crate::saga::event::{Doubt, Event, Reason, Recorded};
use crate::saga::id::StepName;
use crate::saga::json::Json;
use crate::saga::state::Saga;

/// The order saga's script.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrderScript;

/// What an order's saga works on.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderInput<'a> {
    /// The order.
    pub order_id: OrderId,
    /// Who ordered.
    #[serde(borrow)]
    pub user_id: std::borrow::Cow<'a, str>,
    /// Where to write to.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub email: Option<std::borrow::Cow<'a, str>>,
    /// What the amounts are in.
    pub currency: Currency,
    /// The lines, `[{"productId","quantity","price"}]`.
    #[serde(borrow)]
    pub items: &'a RawValue,
    /// The sum, a number with the currency's decimals.
    #[serde(borrow)]
    pub total_amount: &'a RawValue,
}

/// Writes the input of an order's saga.
///
/// # Errors
/// Never for an order that came through [`submission`](super::submission).
pub fn input(order: &Order) -> Result<Json, serde_json::Error> {
    let items = serde_json::value::to_raw_value(&lines(order))?;
    let total = serde_json::value::to_raw_value(&order.currency.format_amount(order.total))?;
    Json::of(&OrderInput {
        order_id: order.id,
        user_id: order.user.as_str().into(),
        email: order.email.as_deref().map(Into::into),
        currency: order.currency,
        items: &items,
        total_amount: &total,
    })
}

/// One line of an order as it is written everywhere outside.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Line<'a> {
    product_id: &'a str,
    quantity: u32,
    price: Amount,
}

/// The lines of an order as they are written everywhere outside.
pub fn lines(order: &Order) -> Vec<Line<'_>> {
    order
        .items
        .iter()
        .map(|Item { product, quantity, price }| Line {
            product_id: product,
            quantity: *quantity,
            price: order.currency.format_amount(*price),
        })
        .collect()
}

/// The body of `inventory.reserve` and `inventory.release`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InventoryBody<'a> {
    order_id: OrderId,
    items: &'a RawValue,
}

/// The body of `notification.send`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NotificationBody<'a> {
    template: &'static str,
    #[serde(flatten)]
    order: OrderInput<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
}

/// The body of every event about an order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderFact<'a> {
    order_id: OrderId,
    user_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<Currency>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total_amount: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notification: Option<Notified>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<&'a StepName>,
    #[serde(flatten)]
    cause: Option<Cause<'a>>,
}

impl Script for OrderScript {
    fn source(&self) -> &'static str {
        "/skald/orders"
    }

    fn command(&self, command: &Command<'_>) -> Result<Json, ScriptError> {
        let order: OrderInput<'_> = command.saga.birth.input.read()?;
        Ok(match command.step.name.as_str() {
            SEND_CONFIRMATION => {
                Json::of(&NotificationBody { template: "ORDER_CONFIRMED", order, reason: None })?
            }
            SEND_CANCELLATION => Json::of(&NotificationBody {
                template: "ORDER_CANCELLED",
                order,
                reason: command.saga.state.rollback_reason(),
            })?,
            _ => Json::of(&InventoryBody { order_id: order.order_id, items: order.items })?,
        })
    }

    fn announcement(
        &self,
        saga: &Saga,
        recorded: &Recorded,
    ) -> Result<Option<Announcement>, ScriptError> {
        let Some(name) = announced_as(&recorded.event) else { return Ok(None) };
        let order: OrderInput<'_> = saga.birth.input.read()?;
        let mut fact = OrderFact {
            order_id: order.order_id,
            user_id: &order.user_id,
            currency: None,
            items: None,
            total_amount: None,
            reason: None,
            notification: None,
            step: None,
            cause: None,
        };
        match &recorded.event {
            Event::SagaStarted(_) => {
                fact.currency = Some(order.currency);
                fact.items = Some(order.items);
                fact.total_amount = Some(order.total_amount);
            }
            Event::StepFailed { reason, .. }
            | Event::StepGivenUp { doubt: Doubt::RefusedLate(reason), .. }
            | Event::RolledBack { reason } => fact.reason = Some(reason),
            Event::StepSucceeded { result, .. } if name == "notification.sent" => {
                fact.notification = Some(Notified::of(result))
            }
            Event::AttentionRaised { step, cause } => {
                fact.step = step.as_ref();
                fact.cause = Some(cause.into());
            }
            _ => {}
        }
        if matches!(name, "inventory.reserved" | "inventory.released") {
            fact.items = Some(order.items);
        }
        if name == "order.confirmed" {
            fact.currency = Some(order.currency);
            fact.total_amount = Some(order.total_amount);
        }
        Ok(Some(Announcement { name, subject: order.order_id.to_string(), data: Json::of(&fact)? }))
    }
}

/// The routing key under which the world hears of `event`; none where it does not.
fn announced_as(event: &Event) -> Option<&'static str> {
    match event {
        Event::SagaStarted(_) => Some("order.created"),
        Event::StepSucceeded { step, .. } => match step.as_str() {
            RESERVE => Some("inventory.reserved"),
            CONFIRM => Some("order.confirmed"),
            SEND_CONFIRMATION | SEND_CANCELLATION => Some("notification.sent"),
            _ => None,
        },
        Event::StepFailed { step, .. }
        | Event::StepGivenUp { step, doubt: Doubt::RefusedLate(_) }
            if step.as_str() == RESERVE =>
        {
            Some("inventory.reservation_failed")
        }
        Event::StepUndone { step, .. } if step.as_str() == RESERVE => Some("inventory.released"),
        Event::RolledBack { .. } => Some("order.cancelled"),
        Event::AttentionRaised { .. } => Some("saga.needs_attention"),
        _ => None,
    }
}
