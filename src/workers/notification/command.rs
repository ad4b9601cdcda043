//! What the notification worker is asked for.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::contract::command::IncomingCommand;
use crate::orders::money::Currency;
use crate::orders::submission::{MAX_EMAIL, MAX_ITEMS, MAX_QUANTITY, is_id};
use crate::orders::{OrderId, ProductId};
use crate::saga::definition::Direction;
use crate::saga::effect::IdempotencyKey;
use crate::saga::id::ReasonCode;
use crate::workers::worker::Poison;

/// What a mail is asked for by.
pub const SEND: &str = "notification.send";

/// A command to the notification worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationCommand {
    /// What makes repeats recognisable.
    pub key: IdempotencyKey,
    /// Where to write to, if anywhere; not checked.
    pub recipient: Option<String>,
    /// What to write.
    pub letter: Letter,
}

/// What a mail is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Which text.
    pub template: Template,
    /// The order.
    pub order_id: OrderId,
    /// What its amounts are in.
    pub currency: Currency,
    /// Its lines.
    pub lines: Vec<Line>,
    /// Their sum, in minor units.
    pub total: i64,
    /// Why it was cancelled, if it was.
    pub reason: Option<ReasonCode>,
}

/// One line of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What was ordered.
    pub product: ProductId,
    /// How many.
    pub quantity: u32,
    /// What one costs, in minor units.
    pub price: i64,
}

/// The texts that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Template {
    /// The goods are reserved.
    OrderConfirmed,
    /// The order came to nothing.
    OrderCancelled,
}

impl Template {
    /// Its name in commands and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderConfirmed => "ORDER_CONFIRMED",
            Self::OrderCancelled => "ORDER_CANCELLED",
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    template: Template,
    order_id: OrderId,
    #[serde(borrow, default)]
    email: Option<Cow<'a, str>>,
    currency: Currency,
    #[serde(borrow)]
    items: Vec<Item<'a>>,
    #[serde(borrow)]
    total_amount: &'a RawValue,
    #[serde(default)]
    reason: Option<Cause>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    quantity: u32,
    #[serde(borrow)]
    price: &'a RawValue,
}

#[derive(Deserialize)]
struct Cause {
    code: ReasonCode,
}

impl NotificationCommand {
    /// Reads a command.
    ///
    /// # Errors
    /// When it is not one of this worker's, or not about an order.
    pub fn read(command: IncomingCommand) -> Result<Self, Poison> {
        let IncomingCommand { name, key, body } = command;
        if name != SEND {
            return Err(Poison(format!("{name} is no command of the notification worker")));
        }
        if key.direction != Direction::Do {
            return Err(Poison("a mail can't be unsent".to_owned()));
        }
        let body: Body<'_> =
            body.read().map_err(|error| Poison(format!("the order can't be read: {error}")))?;
        if body.items.len() > MAX_ITEMS {
            return Err(Poison(format!("{} items, not up to {MAX_ITEMS}", body.items.len())));
        }
        if body.email.as_ref().is_some_and(|email| email.len() > MAX_EMAIL) {
            return Err(Poison(format!("the address is longer than {MAX_EMAIL} bytes")));
        }
        let currency = body.currency;
        let lines = body.items.iter().map(|item| item.line(currency)).collect::<Option<_>>();
        let letter = Letter {
            template: body.template,
            order_id: body.order_id,
            currency,
            lines: lines.ok_or_else(|| Poison("an item is none of an order".to_owned()))?,
            total: amount(currency, body.total_amount)
                .ok_or_else(|| Poison("the total is no amount".to_owned()))?,
            reason: body.reason.map(|cause| cause.code),
        };
        Ok(Self { key, recipient: body.email.map(Cow::into_owned), letter })
    }
}

impl Item<'_> {
    fn line(&self, currency: Currency) -> Option<Line> {
        let well_formed = is_id(&self.product_id) && (1..=MAX_QUANTITY).contains(&self.quantity);
        well_formed.then_some(Line {
            product: self.product_id.as_ref().into(),
            quantity: self.quantity,
            price: amount(currency, self.price)?,
        })
    }
}

fn amount(currency: Currency, number: &RawValue) -> Option<i64> {
    currency.parse_amount(number.get()).filter(|minor| *minor >= 0)
}

#[cfg(test)]
pub(super) mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::saga::id::SagaId;
    use crate::saga::json::Json;

    pub const BODY: &str = r#"{"template":"ORDER_CANCELLED",
        "orderId":"018bcfe5-6800-7000-8000-000000000002","userId":"u","email":"ada@example.org",
        "currency":"EUR","items":[{"productId":"tea <&>","quantity":3,"price":4.50},
        {"productId":"pot","quantity":1,"price":20}],"totalAmount":33.50,
        "reason":{"code":"INSUFFICIENT_STOCK","text":"not enough of tea"}}"#;

    fn read(name: &str, direction: Direction, body: &str) -> Result<NotificationCommand, Poison> {
        let saga = SagaId(Uuid::from_u128(1));
        let key =
            IdempotencyKey { saga, step: "send-cancellation".into(), generation: 1, direction };
        let body: Json = serde_json::from_str(body).unwrap();
        NotificationCommand::read(IncomingCommand { name: name.to_owned(), key, body })
    }

    pub fn command(body: &str) -> NotificationCommand {
        read(SEND, Direction::Do, body).unwrap()
    }

    #[test]
    fn an_order_is_read_with_its_amounts() {
        let command = command(BODY);
        assert_eq!(command.recipient.as_deref(), Some("ada@example.org"));
        let lines: Vec<_> =
            command.letter.lines.iter().map(|line| (line.quantity, line.price)).collect();
        assert_eq!((lines, command.letter.total), (vec![(3, 450), (1, 2000)], 3350));
        assert_eq!(command.letter.reason, Some("INSUFFICIENT_STOCK".into()));
    }

    #[test]
    fn what_is_about_no_order_is_poison() {
        let breakages = [
            ("ORDER_CANCELLED", "ORDER_LOST"),
            ("018bcfe5-", "\\r\\n"),
            ("EUR", "XXXX"),
            ("\"quantity\":3", "\"quantity\":-3"),
            ("\"quantity\":3", "\"quantity\":0"),
            ("4.50", "-4.50"),
            ("4.50", "4.505"),
            ("4.50", "\"4.50\""),
            ("33.50", "1e99"),
            ("tea <&>", "tea\\u0000"),
            ("\"email\":\"ada", "\"email\":7,\"x\":\"ada"),
        ];
        for (from, to) in breakages {
            let broken = BODY.replacen(from, to, 1);
            assert_ne!(broken, BODY);
            assert!(read(SEND, Direction::Do, &broken).is_err(), "{to}");
        }
    }

    #[test]
    fn an_order_is_read_up_to_the_bounds_of_one() {
        let read = |email: usize, lines: usize| {
            let address = format!("{}@x", "a".repeat(email - 2));
            let line = r#"{"productId":"pot","quantity":1,"price":20},"#;
            let body = BODY.replacen("ada@example.org", &address, 1);
            let body =
                body.replacen("\"items\":[", &format!("\"items\":[{}", line.repeat(lines - 2)), 1);
            read(SEND, Direction::Do, &body)
        };
        let command = read(MAX_EMAIL, MAX_ITEMS).unwrap();
        assert_eq!(command.letter.lines.len(), MAX_ITEMS);
        assert!(read(MAX_EMAIL + 1, MAX_ITEMS).is_err());
        assert!(read(MAX_EMAIL, MAX_ITEMS + 1).is_err());
    }

    #[test]
    fn a_template_is_stored_under_the_name_that_commands_use() {
        for template in [Template::OrderConfirmed, Template::OrderCancelled] {
            let name = format!("\"{}\"", template.as_str());
            assert_eq!(serde_json::from_str::<Template>(&name).unwrap(), template);
        }
    }

    #[test]
    fn a_command_of_another_worker_or_direction_is_poison() {
        assert!(read("notification.recall", Direction::Do, BODY).is_err());
        assert!(read(SEND, Direction::Undo, BODY).is_err());
    }
}
