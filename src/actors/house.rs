//! What the actors of one shard share. They all live on one thread.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Addr;
use tokio::sync::Notify;

use super::journal::{Journal, Shared};
use super::publisher::Publisher;
use super::report::StepMeters;
use crate::journal::timers::Timers;
use crate::ports::Clock;
use crate::ports::ledger::Shard;
use crate::ports::spans::Spans;
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
    /// What was taken in and has no outcome yet.
    pub in_hand: Tally,
    /// What all shards of the node come to.
    pub load: Rc<Load>,
    /// How many commands may be outstanding in one queue before orders are refused.
    pub max_outstanding: u64,
    /// Where spans go.
    pub spans: Spans,
}

/// What all shards of a node come to, as of its last beat.
#[derive(Debug, Default)]
pub struct Load {
    /// Commands outstanding, by queue.
    pub outstanding: RefCell<BTreeMap<QueueName, u64>>,
}

/// Counts what is in hand.
#[derive(Clone, Debug, Default)]
pub struct Tally(Arc<Counted>);

/// Messages to actors can be sent between threads, so this can, too, though it never is.
#[derive(Debug, Default)]
struct Counted {
    count: AtomicU64,
    none_left: Notify,
}

/// Something in hand: an answer, a submission, a request. Dropped once its outcome is durable, or is
/// left to somebody else.
#[derive(Debug)]
pub struct InHand(Arc<Counted>);

impl Tally {
    /// Counts one more, for as long as the result lives.
    pub fn one_more(&self) -> InHand {
        self.0.count.fetch_add(1, Ordering::SeqCst);
        InHand(Arc::clone(&self.0))
    }

    /// Waits until nothing is in hand. Of those who wait at the same time, one is told.
    pub async fn none_left(&self) {
        while self.0.count.load(Ordering::SeqCst) > 0 {
            self.0.none_left.notified().await;
        }
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.none_left.notify_one();
        }
    }
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
