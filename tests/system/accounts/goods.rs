//! Goods: what is reserved is what confirmed orders hold.

use std::collections::BTreeMap;

use super::Violations;
use super::books::Books;
use crate::customer::on_hand;

pub fn check(books: &Books, violations: &mut Violations) {
    for product in &books.products {
        let fits = product.reserved == product.held;
        violations.unless(
            fits,
            &product.id,
            format!("its reservations do not add up: {product:?}"),
        );
        let possible = (0..=product.on_hand).contains(&product.reserved);
        violations.unless(
            possible,
            &product.id,
            format!("more is reserved than there is: {product:?}"),
        );
        let number = product.id.strip_prefix('p').and_then(|number| number.parse().ok());
        let put = number.map(on_hand);
        let kept = put.is_none_or(|put| put == product.on_hand);
        violations.unless(kept, &product.id, format!("{put:?} were put there: {product:?}"));
    }
    let nothing = BTreeMap::new();
    let mut held = books.held.clone();
    for (id, order) in &books.orders {
        let held = held.remove(&order.saga).unwrap_or_default();
        let expected = if order.status == "CONFIRMED" { &order.items } else { &nothing };
        violations.unless(held == *expected, id, format!("{order:?} holds {held:?}"));
    }
    for (saga, held) in held {
        violations.note(saga, format!("holds {held:?} and has no order"));
    }
}
