//! Every saga comes to one end, by a history without gaps.

use std::collections::BTreeSet;

use skald::saga::event::Event;
use uuid::Uuid;

use super::Violations;
use super::books::{Books, Saga};

pub fn check(books: &Books, violations: &mut Violations) {
    let mut carried = BTreeSet::new();
    for (id, order) in &books.orders {
        violations.unless(carried.insert(order.saga), id, "shares its saga with another order");
        let Some(saga) = books.sagas.get(&order.saga) else {
            violations.note(id, "its saga is not there");
            continue;
        };
        let fits = match saga.status.as_str() {
            "COMPLETED" => order.status == "CONFIRMED",
            "CANCELLED" => order.status == "CANCELLED",
            _ => false,
        };
        violations.unless(fits, order.saga, format!("{}, its order {}", saga.status, order.status));
    }
    for (id, saga) in &books.sagas {
        violations.unless(carried.contains(id), id, "a saga without an order");
        violations.unless(!saga.is_due, id, "has ended and is still due");
        has_one_end(id, saga, violations);
    }
}

fn has_one_end(id: &Uuid, saga: &Saga, violations: &mut Violations) {
    let positions = saga.history.iter().map(|(position, _)| *position);
    let gapless = positions.eq(1..=saga.version);
    violations.unless(gapless, id, format!("a gap up to version {}: {saga:?}", saga.version));
    let is_end =
        |event: &Event| matches!(event, Event::SagaCompleted | Event::SagaCancelled { .. });
    let ends = saga.history.iter().filter(|(_, event)| is_end(event)).count();
    let ends_last = saga.history.last().is_some_and(|(_, event)| is_end(event));
    violations.unless(ends == 1 && ends_last, id, format!("{ends} ends: {saga:?}"));
    let begins = saga.history.iter().filter(|(_, event)| matches!(event, Event::SagaStarted(_)));
    violations.unless(begins.count() == 1, id, format!("not one beginning: {saga:?}"));
    let is_confirmed = |event: &Event| matches!(event, Event::StepSucceeded { step, .. } if step.as_str() == "confirm-order");
    let confirmed = saga.history.iter().any(|(_, event)| is_confirmed(event));
    let undone = saga.history.iter().any(|(_, event)| matches!(event, Event::RolledBack { .. }));
    let fits = [confirmed, undone] == [saga.status == "COMPLETED", saga.status == "CANCELLED"];
    violations.unless(fits, id, format!("two outcomes or none: {saga:?}"));
}
