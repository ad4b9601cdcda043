//! What the inventory worker is asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

use crate::contract::command::IncomingCommand;
use crate::orders::ProductId;
use crate::orders::submission::{MAX_ITEMS, MAX_QUANTITY, is_id};
use crate::ports::inventory::Holding;
use crate::saga::definition::Direction;
use crate::saga::effect::IdempotencyKey;
use crate::workers::worker::Poison;

/// What an order's reservation is asked for by.
pub const RESERVE: &str = "inventory.reserve";
/// What gives it back.
pub const RELEASE: &str = "inventory.release";

/// A command to the inventory worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InventoryCommand {
    /// What makes repeats recognisable.
    pub key: IdempotencyKey,
    /// What it asks for.
    pub request: Request,
}

/// What a command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Reserve all of this or nothing.
    Reserve(Holding),
    /// Give back whatever the step holds.
    Release,
}

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    items: Vec<Line<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    quantity: u32,
}

impl InventoryCommand {
    /// Reads a command.
    ///
    /// # Errors
    /// When it is not one of this worker's, or asks for something that no order can hold.
    pub fn read(command: IncomingCommand) -> Result<Self, Poison> {
        let IncomingCommand { name, key, body } = command;
        let request = match (name.as_str(), key.direction) {
            (RESERVE, Direction::Do) => {
                let body: Body<'_> = body
                    .read()
                    .map_err(|error| Poison(format!("the items can't be read: {error}")))?;
                Request::Reserve(wanted(&body.items)?)
            }
            // What to release stands in the record, not in the command.
            (RELEASE, Direction::Undo) => Request::Release,
            (RESERVE | RELEASE, direction) => {
                return Err(Poison(format!("{name} under the key of a {direction:?}")));
            }
            _ => return Err(Poison(format!("{name} is no command of the inventory worker"))),
        };
        Ok(Self { key, request })
    }
}

/// The lines summed by product.
fn wanted(items: &[Line<'_>]) -> Result<Holding, Poison> {
    if items.is_empty() || items.len() > MAX_ITEMS {
        return Err(Poison(format!("{} items, not 1 to {MAX_ITEMS}", items.len())));
    }
    let mut wanted = BTreeMap::new();
    for (n, Line { product_id, quantity }) in items.iter().enumerate() {
        if !is_id(product_id) {
            return Err(Poison(format!("the product's id of item {n} is none")));
        }
        if !(1..=MAX_QUANTITY).contains(quantity) {
            return Err(Poison(format!("the quantity of item {n} is not 1 to {MAX_QUANTITY}")));
        }
        // The bounds above keep the sum of one order within 64 bits.
        *wanted.entry(ProductId::from(product_id.as_ref())).or_insert(0) += i64::from(*quantity);
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::saga::id::SagaId;
    use crate::saga::json::Json;

    fn read(name: &str, direction: Direction, body: &str) -> Result<InventoryCommand, Poison> {
        let saga = SagaId(Uuid::from_u128(1));
        let key = IdempotencyKey { saga, step: "reserve".into(), generation: 1, direction };
        let body: Json = serde_json::from_str(body).unwrap();
        InventoryCommand::read(IncomingCommand { name: name.to_owned(), key, body })
    }

    #[test]
    fn lines_of_the_same_product_are_summed() {
        let body = r#"{"orderId":"o","items":[{"productId":"a","quantity":2,"price":1.5},
            {"productId":"b","quantity":1},{"productId":"a","quantity":3}]}"#;
        let command = read(RESERVE, Direction::Do, body).unwrap();
        let expected = Holding::from([("a".into(), 5), ("b".into(), 1)]);
        assert_eq!(command.request, Request::Reserve(expected));
    }

    #[test]
    fn a_release_needs_no_items() {
        let command = read(RELEASE, Direction::Undo, "{}").unwrap();
        assert_eq!(command.request, Request::Release);
    }

    #[test]
    fn what_no_order_can_hold_is_poison() {
        let item = |product: &str, quantity: &str| {
            format!(r#"{{"items":[{{"productId":{product},"quantity":{quantity}}}]}}"#)
        };
        let many = format!(
            r#"{{"items":[{}]}}"#,
            vec![r#"{"productId":"a","quantity":1}"#; MAX_ITEMS + 1].join(",")
        );
        for body in [
            item("\"a\"", "0"),
            item("\"a\"", "-1"),
            item("\"a\"", "1.5"),
            item("\"a\"", "\"1\""),
            item("\"a\"", "null"),
            item("\"a\"", "1000001"),
            item("\"a\"", "99999999999999999999"),
            item("\"\"", "1"),
            item("\"a\\u0000\"", "1"),
            item("7", "1"),
            r#"{"items":[{"productId":"a"}]}"#.to_owned(),
            r#"{"items":[]}"#.to_owned(),
            "{}".to_owned(),
            "null".to_owned(),
            many,
        ] {
            assert!(read(RESERVE, Direction::Do, &body).is_err(), "{body}");
        }
    }

    #[test]
    fn the_largest_order_is_read() {
        let line = format!(r#"{{"productId":"a","quantity":{MAX_QUANTITY}}}"#);
        let body = format!(r#"{{"items":[{}]}}"#, vec![line; MAX_ITEMS].join(","));
        let pieces = i64::from(MAX_QUANTITY) * MAX_ITEMS as i64;
        let command = read(RESERVE, Direction::Do, &body).unwrap();
        assert_eq!(command.request, Request::Reserve(Holding::from([("a".into(), pieces)])));
    }

    #[test]
    fn a_command_of_another_worker_or_direction_is_poison() {
        let body = r#"{"items":[{"productId":"a","quantity":1}]}"#;
        for (name, direction, expected) in [
            ("inventory.count", Direction::Do, "no command of the inventory worker"),
            (RESERVE, Direction::Undo, "under the key of a Undo"),
            (RELEASE, Direction::Do, "under the key of a Do"),
        ] {
            let Poison(text) = read(name, direction, body).unwrap_err();
            assert!(text.contains(expected), "{text}");
        }
    }
}
