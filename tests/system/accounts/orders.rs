//! Orders against what customers were told of them.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::Violations;
use super::books::{Books, Order};
use crate::customer::{Fate, Log, Submission};

pub fn check(books: &Books, log: &Log, first: usize, violations: &mut Violations) {
    let mut by_user: BTreeMap<&str, Vec<(Uuid, &Order)>> = BTreeMap::new();
    for (id, order) in &books.orders {
        by_user.entry(&order.user).or_default().push((*id, order));
        has_ended(id, order, violations);
    }
    for submission in &log.submissions()[first..] {
        let orders = by_user.remove(submission.user.as_str()).unwrap_or_default();
        is_explained(books, submission, &orders, violations);
    }
    for (user, orders) in by_user {
        violations.note(user, format!("orders that nobody submitted: {orders:?}"));
    }
    for (order, status, what) in log.promises().iter() {
        if let Some(found) = books.orders.get(order) {
            violations.unless(found.status == *status, order, format!("{what}, now {found:?}"));
        }
    }
}

fn has_ended(id: &Uuid, order: &Order, violations: &mut Violations) {
    let ended = match order.status.as_str() {
        "CONFIRMED" => order.reason.is_none(),
        "CANCELLED" => order.reason.is_some(),
        _ => false,
    };
    violations.unless(ended, id, format!("not ended, or without its reason: {order:?}"));
}

/// Accepted: there once. Refused: not there. Never answered: either.
fn is_explained(
    books: &Books,
    submission: &Submission,
    found: &[(Uuid, &Order)],
    violations: &mut Violations,
) {
    let Submission { key, items, fate, told, .. } = submission;
    let expected = match fate {
        Fate::Accepted => found.len() == 1,
        Fate::InDoubt => found.len() <= 1,
        Fate::Refused => found.is_empty(),
    };
    violations.unless(expected, key, format!("{fate:?}, but in the books {found:?}"));
    for (id, order) in found {
        violations.unless(order.items == *items, id, format!("ordered {items:?}, got {order:?}"));
        let stands_for = books.keys.get(&format!("orders:{key}"));
        violations.unless(stands_for == Some(id), key, format!("stands for {stands_for:?}"));
    }
    for id in told {
        let there = found.iter().any(|(found, _)| found == id);
        violations.unless(there, key, format!("told of {id}, which is not there"));
    }
}
