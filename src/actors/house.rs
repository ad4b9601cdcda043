//! What the actors of one shard share. They all live on one thread.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use actix::Addr;

use super::journal::{Journal, Shared};
use super::publisher::Publisher;
use super::report::StepMeters;
use super::timers::Timers;
use crate::ports::Clock;
use crate::ports::ledger::Shard;
use crate::saga::catalogue::Catalogue;
use crate::saga::id::QueueName;
use crate::saga::input::Ignored;
use crate::saga::outage::{Outstanding, QueueWatch};

/// What the actors of one shard share.
pub struct House {
    /// The shard.
    pub shard: Shard,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What can be run.
    pub catalogue: Catalogue,
    /// Where entries are committed.
    pub journal: Addr<Journal>,
    /// Where messages go out.
    pub publisher: Addr<Publisher>,
    /// What the journal shares.
    pub shared: Rc<Shared>,
    /// When each saga in memory is due.
    pub timers: RefCell<Timers>,
    /// How the workers' queues get on; shared by all shards of the node.
    pub queues: Rc<RefCell<QueueWatch>>,
    /// The commands of this shard's sagas that wait for their outcome.
    pub outstanding: RefCell<Outstanding>,
    /// Answers that changed nothing, by kind.
    pub ignored: RefCell<HashMap<Ignored, u64>>,
    /// What its sagas' steps are counted with.
    pub meters: StepMeters,
    /// Sagas in memory.
    pub awake: Cell<u64>,
    /// What all shards of the node come to.
    pub load: Rc<Load>,
    /// How many commands may be outstanding in one queue before orders are refused.
    pub max_outstanding: u64,
}

/// What all shards of a node come to, as of its last beat.
#[derive(Debug, Default)]
pub struct Load {
    /// Commands outstanding, by queue.
    pub outstanding: RefCell<BTreeMap<QueueName, u64>>,
}

impl House {
    /// Counts an answer that changed nothing.
    pub fn count_ignored(&self, kind: Ignored) {
        *self.ignored.borrow_mut().entry(kind).or_default() += 1;
        metrics::counter!("skald_answers_ignored_total", "kind" => ignored_as_str(kind))
            .increment(1);
    }
}

/// The name under which ignored answers are counted.
pub fn ignored_as_str(kind: Ignored) -> &'static str {
    match kind {
        Ignored::Settled => "settled",
        Ignored::NeverAsked => "never_asked",
        Ignored::Superseded => "superseded",
        Ignored::NothingDue => "nothing_due",
    }
}
