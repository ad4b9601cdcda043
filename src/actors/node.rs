//! The node: owns a share of the shards, proves that it lives, and follows as nodes come and go.
//!
//! ```text
//!  every second: renew the leases ──▶ census ──▶ shards::plan ──▶ claim, take over │ drain, release
//! ```
//!
//! It stops using its shards before their leases can have run out, counted on the monotonic clock from
//! before the last renewal that was answered. Whoever is too slow for that (a process that was
//! suspended) is stopped by the epoch in the store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::prelude::*;
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::blocking::Blocking;
use super::dead_letters;
use super::deadlines::Deadlines;
use super::handle::{Board, Post};
use super::handover::{Handover, Taken};
use super::house::{House, Load};
use super::journal::Deposed;
use super::recovery::RecoveryError;
use super::requeue::send_requeued;
use super::shard::{OwnedShard, Surroundings, TakeOverError, Ties, guarded};
use crate::contract::names::dead_letter_queue;
use crate::panic::AbortOnPanic;
use crate::ports::StoreError;
use crate::ports::leases::{Census, Leases, Node as Identity};
use crate::ports::ledger::Shard;
use crate::ports::source::Source;
use crate::saga::id::Timestamp;
use crate::saga::outage::QueueWatch;
use crate::shards::{Changes, Known, follow, renewal, trust};

/// How long idempotency keys are remembered.
const CLAIMS_LAST: Duration = Duration::from_secs(24 * 60 * 60);
/// How often old idempotency keys are forgotten, and how many at a time: a short transaction.
const FORGET: Duration = Duration::from_secs(10);
const FORGET_AT_ONCE: u32 = 2_000;

/// How a node takes part in sharing the shards.
#[derive(Clone)]
pub struct Membership {
    /// The leases.
    pub leases: Arc<dyn Leases>,
    /// Who the node is.
    pub identity: Identity,
    /// How long a lease holds if it is not renewed.
    pub lease: Duration,
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A shard could not be taken over.
    #[error(transparent)]
    TakeOver(#[from] TakeOverError),
    /// The thread ended.
    #[error("the orchestrator's thread ended while it started; the log says why")]
    Gone,
}

/// Owns shards.
pub(super) struct Node {
    membership: Membership,
    surroundings: Surroundings,
    board: Arc<Board>,
    deadlines: Addr<Deadlines>,
    /// How the workers' queues get on, by what any shard here hears of them.
    queues: Rc<RefCell<QueueWatch>>,
    /// Renewals go apart from everything else, so that nothing holds them up.
    beat: Blocking,
    errands: Blocking,
    owned: BTreeMap<Shard, Owned>,
    /// Shards that could not be taken over, and why. Left to others.
    refused: BTreeMap<Shard, String>,
    /// Whether old keys are being forgotten.
    forgetting: bool,
    load: Rc<Load>,
    trusted_until: Instant,
    beating: bool,
    /// Whether shards are being claimed or given up.
    changing: bool,
    /// Whether the node is about to end, and wants nothing any more.
    leaving: bool,
    starting: Option<oneshot::Sender<Result<(), StartError>>>,
    _guard: AbortOnPanic,
}

/// Give up everything in good order; the sender is dropped once that is done.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Leave(pub std::sync::mpsc::Sender<()>);

/// Why a shard is ours no more.
#[derive(Clone, Copy)]
enum Loss {
    /// Given up, so that others may have it.
    Released,
    /// The lease could not be renewed in time.
    Expired,
    /// Another node has it.
    Deposed,
}

/// A shard of this node.
struct Owned {
    epoch: i64,
    since: Instant,
    shard: OwnedShard,
}

impl Loss {
    /// The name under which losses are counted.
    fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Deposed => "deposed",
        }
    }
}

impl Node {
    /// A node without shards, which shows those that it gets on `board`. `started` is told how its
    /// first look went.
    pub fn new(
        membership: Membership,
        surroundings: Surroundings,
        board: Arc<Board>,
        deadlines: Addr<Deadlines>,
        started: oneshot::Sender<Result<(), StartError>>,
    ) -> Self {
        Self {
            beat: Blocking::new(1),
            errands: Blocking::new(1),
            owned: BTreeMap::new(),
            refused: BTreeMap::new(),
            forgetting: false,
            load: Rc::default(),
            trusted_until: Instant::now(),
            beating: false,
            changing: false,
            leaving: false,
            starting: Some(started),
            queues: Rc::default(),
            membership,
            surroundings,
            board,
            deadlines,
            _guard: AbortOnPanic("node"),
        }
    }

    fn beat(&mut self, ctx: &mut Context<Self>) {
        if Instant::now() >= self.trusted_until && !self.owned.is_empty() {
            tracing::error!("the leases could not be renewed in time; giving up all shards");
            self.lose_all(Loss::Expired).into_iter().for_each(OwnedShard::halt);
        }
        self.show();
        if self.leaving || std::mem::replace(&mut self.beating, true) {
            return;
        }
        let Membership { leases, identity, lease } = self.membership.clone();
        let asked = Instant::now();
        let (beat, board) = (self.beat.clone(), Arc::clone(&self.board));
        let renewed = async move { beat.run(move || leases.renew(&identity, lease)).await };
        ctx.spawn(renewed.into_actor(self).map(move |renewed, node, ctx| {
            node.beating = false;
            match renewed {
                Ok(Ok(census)) => {
                    node.trusted_until = asked + trust(lease);
                    board.complain(node.refused.values().cloned().collect());
                    node.follow(&census, asked, ctx);
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "the leases can't be renewed");
                    metrics::counter!("skald_lease_renewal_failures_total").increment(1);
                    board.complain(vec![format!("the leases can't be renewed: {error}")]);
                    node.started(Err(error.into()));
                }
                Err(_) => node.started(Err(StartError::Gone)),
            }
        }));
    }

    /// What it knows of shards by itself beside a census that was `asked` for then.
    fn known(&self, asked: Instant) -> Known {
        let taken_since = self.owned.iter().filter(|(_, owned)| owned.since >= asked);
        Known {
            running: self.owned.keys().copied().collect(),
            taken_since: taken_since.map(|(shard, _)| *shard).collect(),
            refused: self.refused.keys().copied().collect(),
        }
    }

    /// Gives up what is ours no more, and changes towards the even share. The census was `asked` for
    /// then.
    fn follow(&mut self, census: &Census, asked: Instant, ctx: &mut Context<Self>) {
        let me = self.membership.identity.id;
        metrics::gauge!("skald_nodes").set(census.nodes.len() as f64);
        let unowned = census.owners.iter().filter(|owner| owner.is_none()).count();
        metrics::gauge!("skald_shards_unowned").set(unowned as f64);
        let Changes { lost, claim, release } = follow(me, census, &self.known(asked));
        for shard in lost {
            tracing::warn!(shard, "another node owns the shard by now");
            self.halt(shard, Loss::Deposed);
        }
        if self.changing || self.leaving {
            return;
        }
        if claim.is_empty() && release.is_empty() {
            return self.started(Ok(()));
        }
        self.changing = true;
        let handover = Handover {
            membership: self.membership.clone(),
            errands: self.errands.clone(),
            leaving: release.iter().filter_map(|shard| self.lose(*shard, Loss::Released)).collect(),
            release,
            claim,
        };
        let ties = Ties {
            deadlines: self.deadlines.clone(),
            deposed: ctx.address().recipient(),
            queues: Rc::clone(&self.queues),
            load: Rc::clone(&self.load),
        };
        let taken = handover.carry_out(self.surroundings.clone(), ties);
        ctx.spawn(taken.into_actor(self).map(|taken, node, _| {
            node.changing = false;
            match taken {
                Ok(taken) => node.take_in(taken),
                Err(error) => {
                    tracing::error!(%error, "shards can't be claimed");
                    node.started(Err(error.into()));
                }
            }
        }));
    }

    fn take_in(&mut self, taken: Taken) {
        let count = taken.iter().filter(|(_, _, owned)| owned.is_ok()).count();
        if count > 0 {
            let all = self.owned.len() + count;
            tracing::info!(taken = count, owned = all, "shards are ours");
            metrics::counter!("skald_shards_taken_total").increment(count as u64);
        }
        for (shard, epoch, owned) in taken {
            match owned {
                Ok(owned) => {
                    let post = Post {
                        registry: owned.registry.clone(),
                        store_is_away: Arc::clone(&owned.house.shared.store_is_away),
                    };
                    let since = Instant::now();
                    self.owned.insert(shard, Owned { epoch, since, shard: owned });
                    self.board.put_up(shard, post);
                }
                Err(error) => {
                    tracing::error!(shard, %error, "a shard can't be taken over");
                    // Whatever else stands in the way may be gone the next time.
                    if let TakeOverError::Recovery(RecoveryError::UnknownDefinition { .. }) = &error
                    {
                        self.refused.insert(shard, format!("shard {shard}: {error}"));
                    }
                    self.started(Err(error.into()));
                }
            }
        }
        self.started(Ok(()));
    }

    /// Tells whoever started the node; only the first time.
    fn started(&mut self, result: Result<(), StartError>) {
        if let Some(starting) = self.starting.take() {
            let _ = starting.send(result);
        }
    }

    /// Takes a shard off the board; nobody brings it anything from now on.
    fn lose(&mut self, shard: Shard, why: Loss) -> Option<OwnedShard> {
        let owned = self.owned.remove(&shard)?.shard;
        metrics::counter!("skald_shards_lost_total", "reason" => why.as_str()).increment(1);
        self.board.take_down(shard);
        Some(owned)
    }

    fn lose_all(&mut self, why: Loss) -> Vec<OwnedShard> {
        let owned: Vec<Shard> = self.owned.keys().copied().collect();
        owned.into_iter().filter_map(|shard| self.lose(shard, why)).collect()
    }

    fn halt(&mut self, shard: Shard, why: Loss) {
        if let Some(owned) = self.lose(shard, why) {
            owned.halt();
        }
    }

    /// Adds up what the shards are busy with, and sets the gauges.
    fn show(&self) {
        let houses = || self.owned.values().map(|owned| &owned.shard.house);
        let sum = |count: &dyn Fn(&Rc<House>) -> u64| houses().map(count).sum::<u64>() as f64;
        metrics::gauge!("skald_shards_owned").set(self.owned.len() as f64);
        metrics::gauge!("skald_sagas_awake").set(sum(&|house| house.awake.get()));
        metrics::gauge!("skald_journal_waiting")
            .set(sum(&|house| house.shared.waiting.get() as u64));
        metrics::gauge!("skald_mark_lag", "kind" => "commands")
            .set(sum(&|house| house.shared.lag.get().commands));
        metrics::gauge!("skald_mark_lag", "kind" => "events")
            .set(sum(&|house| house.shared.lag.get().events));
        let mut outstanding = self.load.outstanding.borrow_mut();
        for queue in self.surroundings.catalogue.queues() {
            let count = houses().map(|house| house.outstanding.borrow().of(&queue)).sum();
            metrics::gauge!("skald_commands_outstanding", "queue" => queue.to_string())
                .set(count as f64);
            outstanding.insert(queue, count);
        }
    }

    /// Forgets old keys, batch by batch until one is not full; once at a time, so that a backlog takes
    /// one errand and not one more with every interval.
    fn forget_claims(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.forgetting, true) {
            return;
        }
        let age = i64::try_from(CLAIMS_LAST.as_micros()).unwrap_or(i64::MAX);
        let before = Timestamp(self.surroundings.clock.now().0.saturating_sub(age));
        let (ledger, errands) = (Arc::clone(&self.surroundings.ledger), self.errands.clone());
        let forget =
            async move { errands.run(move || ledger.forget_claims(before, FORGET_AT_ONCE)).await };
        ctx.spawn(forget.into_actor(self).map(|forgotten, node, ctx| {
            node.forgetting = false;
            match forgotten {
                Ok(Ok(count)) if count >= FORGET_AT_ONCE as usize => node.forget_claims(ctx),
                Ok(Err(error)) => tracing::warn!(%error, "old idempotency keys can't be forgotten"),
                Ok(Ok(_)) | Err(_) => {}
            }
        }));
    }
}

impl Actor for Node {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let Surroundings { bus, door, letters, clock, .. } = self.surroundings.clone();
        let board = Arc::clone(&self.board);
        let requeued = Arc::clone(&board.requeued);
        let send = send_requeued(letters, Arc::clone(&bus), Arc::clone(&clock), requeued);
        actix::spawn(guarded("sender of requeued letters", send));
        // Nothing waits for dead letters, so they need not hold up the start.
        let dead = Source::of(Arc::clone(&bus), dead_letter_queue(), dead_letters::PREFETCH);
        let collect = dead_letters::collect(dead, bus, door, clock, board);
        actix::spawn(guarded("dead letter consumer", collect));
        self.beat(ctx);
        ctx.run_interval(renewal(self.membership.lease), Self::beat);
        ctx.run_interval(FORGET, Self::forget_claims);
    }
}

impl Handler<Deposed> for Node {
    type Result = ();

    fn handle(&mut self, Deposed { shard, epoch }: Deposed, _: &mut Self::Context) {
        if self.owned.get(&shard).is_some_and(|owned| owned.epoch == epoch) {
            tracing::warn!(shard, epoch, "another node took the shard over");
            self.halt(shard, Loss::Deposed);
        }
    }
}

impl Handler<Leave> for Node {
    type Result = ();

    fn handle(&mut self, Leave(left): Leave, ctx: &mut Self::Context) {
        self.leaving = true;
        let drained = join_all(self.lose_all(Loss::Released).into_iter().map(OwnedShard::drain));
        let Membership { leases, identity, .. } = self.membership.clone();
        let beat = self.beat.clone();
        let leave = async move {
            drained.await;
            match beat.run(move || leases.leave(identity.id)).await {
                Ok(Ok(())) => {}
                failed => tracing::warn!(?failed, "the leases can't be given up; they run out"),
            }
            drop(left);
        };
        ctx.spawn(leave.into_actor(self).map(|(), _, ctx| ctx.stop()));
    }
}
