//! What can happen next in a model's world, with what is left of its troubles then.

use skald::ports::leases::NodeId;
use skald::ports::ledger::{Batch, Shard};
use skald::store::postgres::ledger::doubt::Doubt;

use super::Budget;
use crate::world::World;
use crate::world::broker::{DEAD, Parcel, REPLIES};
use crate::world::desk::Luck;
use crate::world::env::{Arrival, Env};
use crate::world::house::Fate;
use crate::world::node::{Look, Node, millis};
use crate::world::rules::LEASE;
use crate::world::shared::Shared;
use crate::world::step::{Step, Version, unsteady_queues};

/// Workers where there is one of each trade.
const TRADES: usize = 2;

/// A world, and what is left of its troubles.
pub struct Place {
    pub world: World,
    pub left: Budget,
    /// Whether steps are chosen that need no choice once all troubles are over.
    pub thorough: bool,
}

impl Place {
    pub fn new(world: World, left: Budget, thorough: bool) -> Self {
        let mut place = Self { world, left, thorough };
        place.settle_down();
        place
    }

    /// Where a step leads.
    pub fn after(&self, (step, left): (Step, Budget)) -> Self {
        let mut world = self.world.clone();
        world.take(step);
        Self::new(world, left, self.thorough)
    }

    /// Takes the steps that need no choice, because what could come between them comes between others
    /// as well: confirmations are heard (a node that dies before it has stored its marks sends again
    /// all the same), a node hears of its commit (one that dies before leaves a transaction that may be
    /// carried out late), sagas are loaded, messages and pages of the history arrive where nothing can
    /// be lost any more; and the marks are written once nothing else is to be done.
    fn settle_down(&mut self) {
        let mut possible = Vec::new();
        while self.world.env.broken.is_none() {
            if self.left.doubles == 0 && self.left.losses == 0 {
                keep_all(&mut self.world);
            } else if undecided(&self.world).is_some() {
                return;
            }
            possible.clear();
            self.world.possible(&mut possible);
            let quick = possible.iter().find(|step| self.needs_no_choice(**step));
            let idle = possible.iter().all(|step| matches!(step, Step::Flush { .. }));
            match quick.or(possible.first().filter(|_| idle)) {
                Some(step) => drop(self.world.take(*step)),
                None => return,
            }
        }
    }

    fn needs_no_choice(&self, step: Step) -> bool {
        let Self { world, left, thorough } = self;
        let over = left.is_over() && !thorough;
        match step {
            Step::Hear { .. }
            | Step::Settle { .. }
            | Step::Load { .. }
            | Step::Resume { .. }
            | Step::ReadHistory { .. } => true,
            Step::Arrive { .. } | Step::TakePage { .. } => left.losses == 0,
            // Whoever has begun does not die any more, nobody else is at it, and nobody hears of it
            // before what it leads to is delivered, which is a choice of its own.
            Step::Answer { .. } | Step::Post { .. } | Step::Record { .. } => {
                over && world.workers.len() == TRADES
            }
            Step::Commit { shard, .. } => over && is_settled(world, shard),
            // The fence of a new owner lets nothing of it through.
            Step::EndLate { .. } => over && world.env.loose.first().is_some_and(is_fenced(world)),
            _ => false,
        }
    }

    /// All that can happen next.
    pub fn next(&self, steps: &mut Vec<(Step, Budget)>) {
        let Self { world, left, .. } = self;
        // Nobody can tell when a message was lost or doubled on its way to whom it is delivered: it is
        // decided as soon as it lies there.
        if let Some((queue, index)) = undecided(world) {
            steps.push((Step::Keep { queue, index }, *left));
            steps.extend(left.less_a_loss().map(|left| (Step::Lose { queue, index }, left)));
            steps.extend(left.less_a_double().map(|left| (Step::Double { queue, index }, left)));
            return;
        }
        if !world.env.broker.flights.is_empty() {
            let arrive = |arrival| Step::Arrive { flight: 0, arrival };
            steps.push((arrive(Arrival::Fine), *left));
            if let Some(left) = left.less_a_loss() {
                steps.extend([Arrival::Lost, Arrival::Unheard].map(|kind| (arrive(kind), left)));
            }
            return;
        }
        let mut possible = Vec::new();
        world.possible(&mut possible);
        for step in possible.into_iter().filter(|step| !matches!(step, Step::Flush { .. })) {
            everywhere(world, step, *left, steps);
        }
        nodes(world, *left, steps);
        workers(world, *left, steps);
        wishes(world, *left, steps);
        time(world, *left, steps);
    }
}

/// Whether a shard is one node's, and stays so while no time passes.
fn is_settled(world: &World, shard: Shard) -> bool {
    let mut owners = world.nodes.iter().flatten().filter(|node| node.houses.contains_key(&shard));
    let only = owners.next().filter(|_| owners.next().is_none());
    only.is_some_and(|node| {
        let owner = world.env.store.shards[usize::from(shard)].owner;
        owner == Some(node.id) && world.env.store.lives(node.id, world.env.now)
    })
}

fn is_fenced(world: &World) -> impl Fn(&(Batch, Doubt)) -> bool {
    |(batch, _)| batch.epoch != world.env.store.shards[usize::from(batch.shard)].epoch
}

/// A message of which it is not decided whether the broker keeps it.
fn undecided(world: &World) -> Option<(usize, usize)> {
    unsteady_queues(world.env.rules.shards).find_map(|queue| {
        let ready = world.env.broker.queues[queue].ready.iter().enumerate();
        let undecided = ready.filter(|(_, parcel)| !parcel.kept);
        // Whichever came there first.
        let (index, _) = undecided.min_by(|(_, a), (_, b)| rank(a).cmp(&rank(b)))?;
        Some((queue, index))
    })
}

fn rank(parcel: &Parcel) -> (&str, u32) {
    (&parcel.message.id, parcel.redeliveries)
}

fn keep_all(world: &mut World) {
    for queue in unsteady_queues(world.env.rules.shards) {
        world.env.broker.queues[queue].ready.iter_mut().for_each(|parcel| parcel.kept = true);
    }
}

fn nodes(world: &World, left: Budget, steps: &mut Vec<(Step, Budget)>) {
    let Env { store, now, .. } = &world.env;
    let lives = |owner: NodeId| store.lives(owner, *now);
    let free = store.shards.iter().any(|row| !row.owner.is_some_and(lives));
    for (node, at) in world.nodes.iter().enumerate() {
        match at {
            None => steps.push((Step::StartNode { node }, left)),
            Some(at) if at.stalled => steps.push((Step::Stall { node }, left)),
            Some(at) => {
                if world.is_deposed(node) || at.trusted_until <= world.env.now || free {
                    steps.push((Step::Beat { node, look: Look::Fine }, left));
                }
                if let Some(left) = left.less_a_crash() {
                    steps.extend([(Step::CrashNode { node }, left), (Step::Stall { node }, left)]);
                }
            }
        }
    }
}

fn workers(world: &World, left: Budget, steps: &mut Vec<(Step, Budget)>) {
    for (worker, at) in world.workers.iter().enumerate() {
        match at {
            None => steps.push((Step::StartWorker { worker }, left)),
            Some(_) => {
                let crash = left.less_a_crash();
                steps.extend(crash.map(|left| (Step::CrashWorker { worker }, left)));
            }
        }
    }
}

fn wishes(world: &World, left: Budget, steps: &mut Vec<(Step, Budget)>) {
    let Some(left) = left.less_a_wish() else { return };
    for (order, customer) in world.env.customers.iter().enumerate() {
        if customer.told.is_some() {
            steps.push((Step::Cancel { order, of: Version::Any, poke: true }, left));
        }
    }
}

fn time(world: &World, left: Budget, steps: &mut Vec<(Step, Budget)>) {
    let runs = |node: &Shared<Node>| !node.stalled && node.trusted_until > world.env.now;
    let is_there =
        |id: &NodeId| world.nodes.iter().flatten().any(|node| node.id == *id && runs(node));
    let mut owners = world.env.store.shards.iter().filter_map(|row| row.owner.as_ref());
    if let Some(left) = left.less_an_expiry().filter(|_| owners.any(|owner| !is_there(owner))) {
        steps.push((Step::Pass { millis: millis(LEASE) + 1 }, left));
    }
    if let Some(left) = left.less_a_wait() {
        let next = world.until_next_moment();
        steps.extend(next.map(|millis| (Step::Pass { millis }, left)));
    }
}

/// A step at each of the places where it can happen, and with each of its fates.
fn everywhere(world: &World, step: Step, left: Budget, steps: &mut Vec<(Step, Budget)>) {
    let mut at_each = |queue: usize, at: &dyn Fn(usize) -> Step| {
        let count = world.env.broker.queues[queue].ready.len();
        steps.extend((0..count).map(|index| (at(index), left)));
    };
    match step {
        Step::Reply { node, shard, .. } => {
            at_each(REPLIES + usize::from(shard), &|index| Step::Reply { node, shard, index });
        }
        Step::Collect { node, luck, .. } => {
            at_each(DEAD, &|index| Step::Collect { node, index, luck });
        }
        Step::Command { worker, .. } => {
            at_each(world.trade(worker).queue(), &|index| Step::Command { worker, index });
        }
        Step::EndLate { .. } => {
            steps.extend([true, false].map(|commits| (Step::EndLate { commits }, left)));
        }
        step => {
            steps.push((step, left));
            steps.extend(unheard(step).zip(left.less_a_loss()));
        }
    }
}

/// The same step, done without anybody being told.
fn unheard(step: Step) -> Option<Step> {
    let luck = Luck::Unheard;
    match step {
        Step::Commit { node, shard, .. } => Some(Step::Commit { node, shard, fate: Fate::Unheard }),
        Step::Work { worker, .. } => Some(Step::Work { worker, luck }),
        Step::Claim { worker, .. } => Some(Step::Claim { worker, luck }),
        Step::Post { worker, .. } => Some(Step::Post { worker, luck }),
        Step::Record { worker, .. } => Some(Step::Record { worker, luck }),
        _ => None,
    }
}
