//! The inventory worker: reserves an order's goods, all or none, and gives them back.

pub mod command;
pub mod heat;
mod hints;
pub mod settle;

use std::collections::BTreeSet;
use std::sync::Arc;

use command::{InventoryCommand, Request};
use hints::Hints;
use metrics::counter;
use settle::settle;

use super::bisect::bisect;
use super::worker::{Answer, Poison, Worker, not_committed};
use crate::contract::command::IncomingCommand;
use crate::contract::reply::{ReplyBody, WorkOutcome};
use crate::ports::StoreError;
use crate::ports::inventory::InventoryStore;
use crate::ports::locks::Locks;
use crate::ports::work::RecordKey;
use crate::saga::id::{QueueName, Timestamp};

const RESERVED: &str = "inventory.reserved";
const RESERVATION_FAILED: &str = "inventory.reservation_failed";
const RELEASED: &str = "inventory.released";
const RETRYABLE: &str = "inventory.retryable";

/// Reserves and releases. A batch is one transaction.
pub struct InventoryWorker {
    store: Arc<dyn InventoryStore>,
    hints: Option<Hints>,
}

impl InventoryWorker {
    /// A worker on this store.
    pub fn new(store: Arc<dyn InventoryStore>) -> Self {
        Self { store, hints: None }
    }

    /// Keeps out of other workers' way where products are hot.
    pub fn with_hint_locks(self, locks: Arc<dyn Locks>) -> Self {
        Self { hints: Some(Hints::new(locks)), ..self }
    }

    fn commit(
        &self,
        commands: &[InventoryCommand],
        now: Timestamp,
    ) -> Result<Vec<Answer>, StoreError> {
        let keys = commands.iter().map(|command| RecordKey::from(&command.key)).collect();
        let mut wanted = BTreeSet::new();
        for command in commands {
            if let Request::Reserve(holding) = &command.request {
                wanted.extend(holding.keys().cloned());
            }
        }
        let _held = self.hints.as_ref().map(|hints| hints.hold(&wanted, now));
        let mut replies = Vec::new();
        self.store.transact(&keys, &wanted, &mut |view| {
            counter!("skald_inventory_conflicts_total").increment(view.contended.len() as u64);
            if let Some(hints) = &self.hints {
                hints.note(&view.contended, now);
            }
            let (change, settled) = settle(view, commands, now);
            replies = settled;
            change
        })?;
        let named = commands.iter().zip(replies);
        Ok(named.map(|(command, body)| Answer { name: name(command, &body), body }).collect())
    }
}

impl Worker for InventoryWorker {
    type Command = InventoryCommand;

    fn queue(&self) -> QueueName {
        "inventory.commands".into()
    }

    fn read(&self, command: IncomingCommand) -> Result<InventoryCommand, Poison> {
        InventoryCommand::read(command)
    }

    fn handle(&self, batch: &[InventoryCommand], now: Timestamp) -> Vec<Result<Answer, Poison>> {
        bisect(batch, &mut |commands| self.commit(commands, now))
            .into_iter()
            .map(|outcome| outcome.or_else(|error| not_committed(&error, RETRYABLE)))
            .collect()
    }
}

fn name(command: &InventoryCommand, body: &ReplyBody) -> &'static str {
    match (body, &command.request) {
        (ReplyBody::Retryable, _) => RETRYABLE,
        (ReplyBody::Settled(WorkOutcome::Success(_)), Request::Reserve(_)) => RESERVED,
        (ReplyBody::Settled(WorkOutcome::Failure(_)), Request::Reserve(_)) => RESERVATION_FAILED,
        (ReplyBody::Settled(_), Request::Release) => RELEASED,
    }
}
