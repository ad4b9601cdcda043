//! How a batch of reservations is settled. Pure.
//!
//! Commands are settled in their order against a working copy of what the transaction locked, so a
//! batch comes to the same as its commands one by one.

use std::collections::BTreeMap;

use serde::Serialize;

use super::command::{InventoryCommand, Request};
use crate::contract::reply::{ReplyBody, WorkOutcome};
use crate::orders::ProductId;
use crate::orders::definition::reason::{ALREADY_RELEASED, INSUFFICIENT_STOCK, UNKNOWN_PRODUCT};
use crate::ports::inventory::{Holding, InventoryChange, InventoryView};
use crate::ports::work::{RecordKey, WorkRecord};
use crate::saga::event::Reason;
use crate::saga::id::Timestamp;
use crate::saga::json::Json;
use crate::workers::records::{Standing, answer, consult};

/// How many products a refusal names. Their ids are at most 64 bytes long, and a reason's text is
/// cut off at 200 characters.
const NAMED: usize = 2;

/// Settles `commands` in their order: what has to be written, and what each is answered.
pub fn settle(
    view: &InventoryView,
    commands: &[InventoryCommand],
    now: Timestamp,
) -> (InventoryChange, Vec<ReplyBody>) {
    let mut books = Books { view, change: InventoryChange::default() };
    let replies = commands.iter().map(|command| books.settle(command, now)).collect();
    books.change.reserved.retain(|_, amount| *amount != 0);
    (books.change, replies)
}

/// What was locked, and what has changed since.
struct Books<'a> {
    view: &'a InventoryView,
    change: InventoryChange,
}

impl Books<'_> {
    fn settle(&mut self, command: &InventoryCommand, now: Timestamp) -> ReplyBody {
        let step = RecordKey::from(&command.key);
        let mut record = self.record(&step);
        match consult(&record, &command.key, now) {
            Standing::Repeat(outcome) => ReplyBody::Settled(outcome),
            Standing::Refused => {
                ReplyBody::Settled(WorkOutcome::Failure(Reason::of(ALREADY_RELEASED)))
            }
            Standing::Busy(_) => ReplyBody::Retryable,
            Standing::Fresh => {
                let outcome = self.apply(&step, &record, command);
                answer(&mut record, &command.key, outcome.clone());
                self.change.records.insert(step, record);
                ReplyBody::Settled(outcome)
            }
        }
    }

    fn apply(
        &mut self,
        step: &RecordKey,
        record: &WorkRecord,
        command: &InventoryCommand,
    ) -> WorkOutcome {
        match &command.request {
            Request::Reserve(wanted) => {
                // What an older generation still holds is superseded.
                self.let_go(step);
                match self.obstacle(wanted) {
                    Some(reason) => WorkOutcome::Failure(reason),
                    None => {
                        self.hold(step, wanted);
                        success(&Reserved { reserved: Amount::of(wanted) })
                    }
                }
            }
            Request::Release => {
                let newest = record.done.as_ref().map(|done| done.generation);
                // An undo says nothing about what was done after what it undoes.
                let released = match newest {
                    Some(newest) if newest > command.key.generation => Holding::new(),
                    _ => self.let_go(step),
                };
                success(&Released { released: Amount::of(&released) })
            }
        }
    }

    fn record(&self, step: &RecordKey) -> WorkRecord {
        let changed = self.change.records.get(step);
        changed.or_else(|| self.view.records.get(step)).cloned().unwrap_or_default()
    }

    /// How many of a product nobody holds; none where it is unknown.
    fn available(&self, product: &ProductId) -> Option<i64> {
        let known = self.view.products.get(product)?;
        let newly_reserved = self.change.reserved.get(product).copied().unwrap_or(0);
        Some(known.on_hand.saturating_sub(known.reserved).saturating_sub(newly_reserved))
    }

    /// Why `wanted` can't be reserved as a whole.
    fn obstacle(&self, wanted: &Holding) -> Option<Reason> {
        let unknown = wanted.keys().filter(|product| self.available(product).is_none());
        let short = wanted
            .iter()
            .filter(|(product, amount)| self.available(product).is_some_and(|left| left < **amount))
            .map(|(product, _)| product);
        reason(UNKNOWN_PRODUCT, "unknown", unknown.collect())
            .or_else(|| reason(INSUFFICIENT_STOCK, "not enough of", short.collect()))
    }

    fn hold(&mut self, step: &RecordKey, wanted: &Holding) {
        self.reserve(wanted, 1);
        self.change.released.remove(step);
        self.change.held.insert(step.clone(), wanted.clone());
    }

    /// Gives back what a step holds.
    fn let_go(&mut self, step: &RecordKey) -> Holding {
        let view = self.view;
        let before = view.holdings.get(step).filter(|_| !self.change.released.contains(step));
        let held = self.change.held.remove(step).or_else(|| before.cloned()).unwrap_or_default();
        if before.is_some() && !seeded!(HoldingStays) {
            self.change.released.insert(step.clone());
        }
        self.reserve(&held, -1);
        held
    }

    fn reserve(&mut self, amounts: &Holding, sign: i64) {
        for (product, amount) in amounts {
            *self.change.reserved.entry(product.clone()).or_insert(0) += sign * amount;
        }
    }
}

/// A refusal that names the first of the products it is about.
fn reason(code: &str, what: &str, products: Vec<&ProductId>) -> Option<Reason> {
    if products.is_empty() {
        return None;
    }
    let mut text = what.to_owned();
    for (n, product) in products.iter().take(NAMED).enumerate() {
        text.push_str(if n == 0 { " " } else { ", " });
        text.push_str(product);
    }
    match products.len().saturating_sub(NAMED) {
        0 => {}
        more => text.push_str(&format!(" and {more} more")),
    }
    Some(Reason { code: code.into(), text })
}

/// The result of a reservation. Sums only: results are kept with each saga, and the lines stand in
/// its order.
#[derive(Serialize)]
struct Reserved {
    reserved: Amount,
}

/// The result of a release.
#[derive(Serialize)]
struct Released {
    released: Amount,
}

#[derive(Serialize)]
struct Amount {
    products: usize,
    pieces: i64,
}

impl Amount {
    fn of(holding: &BTreeMap<ProductId, i64>) -> Self {
        Self { products: holding.len(), pieces: holding.values().sum() }
    }
}

fn success(result: &impl Serialize) -> WorkOutcome {
    // Structs of numbers always have a JSON form.
    WorkOutcome::Success(Json::of(result).unwrap_or_else(|_| Json::null()))
}

#[cfg(test)]
mod tests;
