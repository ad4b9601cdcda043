//! The orchestrator as other threads see it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use actix::dev::SendError;
use actix::prelude::*;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::{Notify, mpsc, oneshot};

use super::house::ignored_as_str;
use super::registry::{Knock, Registry};
use super::submit::Submit;
use crate::contract::poke;
use crate::ports::Clock;
use crate::ports::bus::{Bus, Receipt};
use crate::ports::ledger::Shard;
use crate::ports::orchestrator::{Activity, NewOrder, Orchestrator, SubmitError, Submitted};
use crate::saga::id::{DefinitionRef, SagaId};
use crate::shards::birthplace;

/// When a client that was turned away for want of shards should come back: nodes share them anew
/// within seconds.
const NO_SHARD_RETRY_AFTER_S: u32 = 2;

/// The orchestrator of one node.
#[derive(Clone)]
pub struct Handle {
    pub(super) board: Arc<Board>,
    pub(super) bus: Arc<dyn Bus>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) definition: DefinitionRef,
}

/// What a node tells other threads about itself.
#[derive(Default)]
pub(super) struct Board {
    shards: RwLock<BTreeMap<Shard, Post>>,
    troubles: RwLock<Vec<String>>,
    /// Told when a dead letter was requeued.
    pub requeued: Arc<Notify>,
}

/// Where one shard takes messages.
#[derive(Clone)]
pub(super) struct Post {
    /// Its registry.
    pub registry: Addr<Registry>,
    /// Whether its last transaction failed because the store was not available.
    pub store_is_away: Arc<AtomicBool>,
}

/// Tell what you are busy with.
#[derive(Message)]
#[rtype(result = "Activity")]
pub struct Observe;

impl Board {
    /// Puts up a shard that is ours now.
    pub fn put_up(&self, shard: Shard, post: Post) {
        self.shards.write().unwrap_or_else(PoisonError::into_inner).insert(shard, post);
    }

    /// Takes down a shard that is ours no more.
    pub fn take_down(&self, shard: Shard) {
        self.shards.write().unwrap_or_else(PoisonError::into_inner).remove(&shard);
    }

    /// Says why the node can't do its work; nothing where it can.
    pub fn complain(&self, troubles: Vec<String>) {
        *self.troubles.write().unwrap_or_else(PoisonError::into_inner) = troubles;
    }

    /// Where `shard` takes messages; none where it is not ours.
    pub fn post(&self, shard: Shard) -> Option<Post> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner).get(&shard).cloned()
    }

    fn posts(&self) -> Vec<Post> {
        self.shards.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The shard in which sagas are born just now.
    fn birthplace(&self, clock: &dyn Clock) -> Option<Post> {
        let shards = self.shards.read().unwrap_or_else(PoisonError::into_inner);
        let owned: Vec<Shard> = shards.keys().copied().collect();
        let shard = birthplace(&owned, clock.now().0.div_euclid(1_000_000))?;
        shards.get(&shard).cloned()
    }
}

/// Pokes the owner of `shard`, whoever that is.
pub(super) fn poke(bus: &dyn Bus, shard: Shard) {
    // Nobody wants to know what became of it.
    let (nobody, _) = mpsc::unbounded_channel();
    bus.publish(poke::write(shard), Receipt::new(nobody, 0));
}

impl Orchestrator for Handle {
    fn submit(&self, order: NewOrder) -> BoxFuture<'static, Result<Submitted, SubmitError>> {
        let refused = |what: &str, retry_after_s| {
            let what = what.to_owned();
            async move { Err(SubmitError::Busy { what, retry_after_s }) }.boxed()
        };
        let Some(post) = self.board.birthplace(self.clock.as_ref()) else {
            return refused("this node, which owns no shard,", NO_SHARD_RETRY_AFTER_S);
        };
        let (reply, answer) = oneshot::channel();
        let submit = Submit { order, definition: self.definition.clone(), reply };
        match post.registry.try_send(submit) {
            Ok(()) => async { answer.await.unwrap_or(Err(SubmitError::Unknown)) }.boxed(),
            Err(SendError::Full(_)) => refused("the orchestrator's mailbox", 1),
            Err(SendError::Closed(_)) => {
                refused("this node, which just gave up a shard,", NO_SHARD_RETRY_AFTER_S)
            }
        }
    }

    fn knock(&self, shard: Shard, saga: SagaId) -> BoxFuture<'static, ()> {
        let Some(post) = self.board.post(shard) else {
            poke(self.bus.as_ref(), shard);
            return async {}.boxed();
        };
        let (done, looked) = oneshot::channel();
        // Where the mailbox is full, the poller will find the input.
        let _ = post.registry.try_send(Knock(saga, done));
        async { drop(looked.await) }.boxed()
    }

    fn look_for_requeued(&self) {
        self.board.requeued.notify_one();
    }

    fn activity(&self) -> BoxFuture<'static, Activity> {
        let observed = self.board.posts().into_iter().map(|post| post.registry.send(Observe));
        let observed = join_all(observed);
        async { observed.await.into_iter().flatten().fold(Activity::default(), Activity::and) }
            .boxed()
    }

    fn troubles(&self) -> Vec<String> {
        let posts = self.board.posts();
        let stopped = posts.iter().any(|post| !post.registry.connected());
        let away = posts.iter().any(|post| post.store_is_away.load(Ordering::Relaxed));
        let mut troubles =
            self.board.troubles.read().unwrap_or_else(PoisonError::into_inner).clone();
        let found = [
            (posts.is_empty(), "this node owns no shard"),
            (stopped, "the orchestrator has stopped"),
            (away, "the store takes no transactions; trying again"),
        ];
        troubles.extend(found.into_iter().filter(|(is, _)| *is).map(|(_, what)| what.to_owned()));
        troubles
    }
}

impl Handler<Observe> for Registry {
    type Result = MessageResult<Observe>;

    fn handle(&mut self, _: Observe, _: &mut Self::Context) -> Self::Result {
        let house = &self.house;
        let work = house.shared.work.get();
        let open = house.outstanding.borrow();
        let outstanding = |queue: crate::saga::id::QueueName| (queue.to_string(), open.of(&queue));
        MessageResult(Activity {
            awake: house.awake.get(),
            outstanding: house.catalogue.queues().into_iter().map(outstanding).collect(),
            waiting: house.shared.waiting.get() as u64,
            commits: work.commits,
            transitions: work.transitions,
            ignored: house
                .ignored
                .borrow()
                .iter()
                .map(|(kind, count)| (ignored_as_str(*kind), *count))
                .collect(),
        })
    }
}
