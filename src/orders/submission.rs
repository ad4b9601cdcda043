//! From what a customer sent to an order: every field is checked before anything happens.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::money::Currency;
use super::order::{Item, Order, OrderId, OrderStatus, ProductId};
use crate::saga::id::{SagaId, Timestamp};

/// The most lines in one order. It bounds the rows of one transaction and the size of a command.
pub const MAX_ITEMS: usize = 500;
/// The most pieces in one line; more is taken for a mistake.
pub const MAX_QUANTITY: u32 = 1_000_000;
/// The highest price of one piece, in minor units. With [`MAX_ITEMS`] and [`MAX_QUANTITY`] a total
/// stays within 64 bits.
pub const MAX_PRICE: i64 = 10_000_000_000;
/// The longest user or product id, in bytes; both are index keys.
pub const MAX_ID: usize = 64;
/// The longest mail address (RFC 5321, 4.5.3.1.3).
pub const MAX_EMAIL: usize = 254;

/// An order as a customer writes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Submission<'a> {
    #[serde(borrow)]
    user_id: Cow<'a, str>,
    #[serde(borrow, default)]
    email: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    currency: Option<Cow<'a, str>>,
    #[serde(borrow)]
    items: Vec<SubmittedItem<'a>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SubmittedItem<'a> {
    #[serde(borrow)]
    product_id: Cow<'a, str>,
    #[serde(borrow)]
    quantity: &'a RawValue,
    #[serde(borrow)]
    price: &'a RawValue,
}

/// A field that can't be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// Where it is, as a JSON Pointer (RFC 6901).
    pub pointer: String,
    /// What is wrong with it and what would be right.
    pub detail: String,
}

impl Submission<'_> {
    /// Checks every field and computes the total.
    ///
    /// # Errors
    /// All faults at once, each with its place.
    pub fn into_order(
        self,
        id: OrderId,
        saga: SagaId,
        now: Timestamp,
    ) -> Result<Order, Vec<FieldFault>> {
        let mut faults = Faults::default();
        faults.check_id("/userId", &self.user_id);
        if let Some(email) = &self.email {
            faults.check_email(email);
        }
        let currency = match &self.currency {
            None => Currency::DEFAULT,
            Some(code) => Currency::parse(code).unwrap_or_else(|| {
                faults.add("/currency", "must be an ISO 4217 code such as USD");
                Currency::DEFAULT
            }),
        };
        if self.items.is_empty() || self.items.len() > MAX_ITEMS {
            faults.add("/items", format!("must hold 1 to {MAX_ITEMS} items"));
            return Err(faults.0);
        }
        let items: Vec<Item> = self
            .items
            .iter()
            .enumerate()
            .map(|(n, item)| item.check(n, currency, &mut faults))
            .collect();
        if !faults.0.is_empty() {
            return Err(faults.0);
        }
        let total = items.iter().map(|item| item.price * i64::from(item.quantity)).sum();
        Ok(Order {
            id,
            saga,
            user: self.user_id.into_owned(),
            email: self.email.map(Cow::into_owned),
            currency,
            total,
            status: OrderStatus::Pending,
            reason: None,
            created_at: now,
            updated_at: now,
            items,
        })
    }
}

impl SubmittedItem<'_> {
    fn check(&self, n: usize, currency: Currency, faults: &mut Faults) -> Item {
        faults.check_id(&format!("/items/{n}/productId"), &self.product_id);
        let quantity = self
            .quantity
            .get()
            .parse()
            .ok()
            .filter(|quantity| (1..=MAX_QUANTITY).contains(quantity));
        if quantity.is_none() {
            faults.add(
                format!("/items/{n}/quantity"),
                format!("must be a whole number from 1 to {MAX_QUANTITY}"),
            );
        }
        let price =
            currency.parse_amount(self.price.get()).filter(|price| (0..=MAX_PRICE).contains(price));
        if price.is_none() {
            let highest = currency.format_amount(MAX_PRICE);
            let decimals = currency.decimals();
            faults.add(
                format!("/items/{n}/price"),
                format!(
                    "must be a plain number from 0 to {highest} with at most {decimals} decimals"
                ),
            );
        }
        Item {
            product: ProductId::from(self.product_id.as_ref()),
            quantity: quantity.unwrap_or_default(),
            price: price.unwrap_or_default(),
        }
    }
}

#[derive(Default)]
struct Faults(Vec<FieldFault>);

impl Faults {
    fn add(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldFault { pointer: pointer.into(), detail: detail.into() });
    }

    fn check_id(&mut self, pointer: &str, text: &str) {
        if !is_id(text) {
            self.add(pointer, format!("must be 1 to {MAX_ID} bytes without control characters"));
        }
    }

    /// Rough on purpose: only the mail server knows. It keeps out what could break a header.
    fn check_email(&mut self, email: &str) {
        let well_formed = email.len() <= MAX_EMAIL
            && email.split_once('@').is_some_and(|(local, domain)| {
                !local.is_empty() && !domain.is_empty() && !domain.contains('@')
            })
            && email.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"(),:;\\[]".contains(&b));
        if !well_formed {
            self.add("/email", "must be a mail address such as ada@example.org");
        }
    }
}

/// Whether `text` may be a user's or a product's id.
pub fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(body: &str) -> Result<Order, Vec<FieldFault>> {
        let submission: Submission<'_> = serde_json::from_str(body).unwrap();
        let id = uuid::Uuid::nil();
        submission.into_order(OrderId(id), SagaId(id), Timestamp(0))
    }

    fn pointers(body: &str) -> Vec<String> {
        order(body).unwrap_err().into_iter().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn the_total_is_computed_from_the_lines() {
        let order = order(
            r#"{"userId":"u","items":[{"productId":"a","quantity":2,"price":9.99},{"productId":"b","quantity":3,"price":0.5}]}"#,
        )
        .unwrap();
        assert_eq!((order.total, order.currency.code()), (2148, "USD"));
    }

    #[test]
    fn every_bad_field_is_named_by_its_pointer() {
        let body = r#"{"userId":"a\u0000b","email":"x","currency":"XX",
            "items":[{"productId":"","quantity":0,"price":-1},{"productId":"b","quantity":1.5,"price":0.001},
                     {"productId":"c","quantity":"2","price":1e9},{"productId":"d","quantity":-1,"price":null}]}"#;
        let expected = [
            "/userId",
            "/email",
            "/currency",
            "/items/0/productId",
            "/items/0/quantity",
            "/items/0/price",
            "/items/1/quantity",
            "/items/1/price",
            "/items/2/quantity",
            "/items/2/price",
            "/items/3/quantity",
            "/items/3/price",
        ];
        assert_eq!(pointers(body), expected);
    }

    #[test]
    fn the_largest_order_has_a_total_that_fits() {
        let total = i128::from(MAX_PRICE) * i128::from(MAX_QUANTITY) * MAX_ITEMS as i128;
        assert!(total <= i128::from(i64::MAX), "{total}");
    }

    /// The faults of an order by this user, with so many lines, each of this quantity and price.
    fn faults(user: &str, lines: usize, quantity: &str, price: &str) -> Vec<String> {
        let line = format!(r#"{{"productId":"a","quantity":{quantity},"price":{price}}}"#);
        let items = vec![line; lines].join(",");
        let order = order(&format!(r#"{{"userId":"{user}","items":[{items}]}}"#));
        order.err().into_iter().flatten().map(|fault| fault.pointer).collect()
    }

    #[test]
    fn every_bound_belongs_to_what_is_allowed() {
        let longest = "u".repeat(MAX_ID);
        let quantity = MAX_QUANTITY.to_string();
        let price = |minor| Currency::DEFAULT.format_amount(minor).to_string();
        for (fault, found) in [
            ("", faults(&longest, MAX_ITEMS, &quantity, &price(MAX_PRICE))),
            ("", faults("u", 1, "1", "0")),
            ("/userId", faults(&format!("{longest}u"), 1, "1", "0")),
            ("/userId", faults("", 1, "1", "0")),
            ("/items", faults("u", MAX_ITEMS + 1, "1", "0")),
            ("/items", faults("u", 0, "1", "0")),
            ("/items/0/quantity", faults("u", 1, &(MAX_QUANTITY + 1).to_string(), "0")),
            ("/items/0/price", faults("u", 1, "1", &price(MAX_PRICE + 1))),
        ] {
            assert_eq!(found.join(" "), fault);
        }
    }

    #[test]
    fn an_address_is_one_that_breaks_no_header() {
        let longest = format!("{}@x", "a".repeat(MAX_EMAIL - 2));
        let is_one = |email: &str| {
            let mut faults = Faults::default();
            faults.check_email(email);
            faults.0.is_empty()
        };
        for good in ["ada@example.org", "a+b@x", &longest] {
            assert!(is_one(good), "{good}");
        }
        let longer = format!("a{longest}");
        for bad in ["", "ada", "@x", "ada@", "a@b@c", "a b@x", "a\n@x", "<a@x", "é@x", &longer] {
            assert!(!is_one(bad), "{bad}");
        }
    }
}
