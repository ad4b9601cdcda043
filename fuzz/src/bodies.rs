//! Bodies of requests.

use bytes::Bytes;
use serde_json::{Value, json};
use skald::http::reading::{JsonBody, cancellation, fingerprint, on_hand, reason};
use skald::orders::submission::{MAX_ITEMS, Submission};
use skald::orders::{Order, OrderId};
use skald::saga::id::{SagaId, Timestamp};
use uuid::Uuid;

/// The longest reason that people may give, in characters.
const LONGEST_REASON: usize = 500;

pub fn check(data: &[u8]) {
    let (resource, body) = super::head(data);
    let body = JsonBody::from(Bytes::copy_from_slice(body));
    let refused = match resource.as_str() {
        "orders" => order(&body).map(|order| reads_the_same(&order)),
        "cancel" => cancellation(&body).map(|reason| is_fit_to_print(&reason.text)),
        "retry" => reason(&body).map(|reason| {
            assert!(!reason.trim().is_empty());
            is_fit_to_print(&reason);
        }),
        "stock" => {
            on_hand(&body).map(|on_hand| assert!((0..=1_000_000_000_000).contains(&on_hand)))
        }
        _ => return,
    };
    if let Err(problem) = refused {
        super::is_told(&problem);
    }
}

fn order(body: &JsonBody) -> Result<Order, skald::http::reading::Problem> {
    let submission: Submission<'_> = body.parse()?;
    submission
        .into_order(OrderId(Uuid::nil()), SagaId(Uuid::nil()), Timestamp(0))
        .map_err(skald::http::reading::Problem::invalid_fields)
}

/// An order that is accepted makes sense, and is the same when it is sent as it was understood.
fn reads_the_same(accepted: &Order) {
    assert!((1..=MAX_ITEMS).contains(&accepted.items.len()));
    let total: i64 = accepted.items.iter().map(|item| item.price * i64::from(item.quantity)).sum();
    assert_eq!(accepted.total, total);
    let items: Vec<Value> = accepted
        .items
        .iter()
        .map(|item| {
            json!({
                "productId": item.product,
                "quantity": item.quantity,
                "price": accepted.currency.format_amount(item.price),
            })
        })
        .collect();
    let (user, currency) = (&accepted.user, accepted.currency.code());
    let written = json!({"userId": user, "currency": currency, "items": items});
    let mut written = written;
    if let Some(email) = &accepted.email {
        written["email"] = json!(email);
    }
    let body = JsonBody::from(Bytes::from(written.to_string()));
    let again = order(&body).unwrap_or_else(|problem| panic!("{problem:?}: {written}"));
    assert_eq!(fingerprint(&again), fingerprint(accepted));
    assert_eq!(&again, accepted);
}

fn is_fit_to_print(reason: &str) {
    assert!(reason.chars().count() <= LONGEST_REASON && !reason.chars().any(char::is_control));
}
