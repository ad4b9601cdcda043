//! What stays the same during a run.

use std::time::Duration;

use skald::journal::batcher::Limits;
use skald::journal::feed::Bounds;
use skald::orders::definition::{RESERVE, definition};
use skald::orders::script::OrderScript;
use skald::ports::ledger::Shard;
use skald::saga::catalogue::{Catalogue, Runnable};
use skald::saga::check::Checked;
use skald::saga::definition::Definition;

/// How long a lease holds.
pub const LEASE: Duration = Duration::from_secs(10);

/// How a reservation is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// After as many attempts as shipped.
    Shipped,
    /// After two.
    Short,
}

/// How much a shard's journal and publisher take at a time: as shipped, or so little that a few orders
/// fill it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    pub limits: Limits,
    pub bounds: Bounds,
}

/// What stays the same during a run.
#[derive(Clone)]
pub struct Rules {
    pub catalogue: Catalogue,
    pub runnable: Runnable,
    pub patience: Patience,
    pub shards: Shard,
    /// Commands done in one transaction at most.
    pub batch_size: usize,
    pub room: Room,
}

impl Rules {
    pub fn new(patience: Patience, shards: Shard, batch_size: usize, room: Room) -> Self {
        let definition = order_saga(patience);
        let reference = definition.reference();
        let catalogue = Catalogue::default().with(definition, OrderScript);
        let runnable = catalogue.get(&reference).expect("it was just added").clone();
        Self { catalogue, runnable, patience, shards, batch_size, room }
    }

    pub fn definition(&self) -> &Checked {
        &self.runnable.definition
    }
}

fn order_saga(patience: Patience) -> Checked {
    let shipped = definition().expect("the shipped definition is fine");
    if patience == Patience::Shipped {
        return shipped;
    }
    let mut definition = Definition::clone(&shipped);
    for step in definition.steps.iter_mut().filter(|step| step.name.as_str() == RESERVE) {
        step.retry.max_attempts = 2;
    }
    definition.check().expect("fewer attempts are fine, too")
}
