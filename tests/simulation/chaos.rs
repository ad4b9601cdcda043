//! What happens next, drawn by lot.

use fastrand::Rng;

use crate::profile::{Profile, Trouble};
use crate::world::World;
use crate::world::broker::DEAD;
use crate::world::desk::Luck;
use crate::world::env::Arrival;
use crate::world::house::Fate;
use crate::world::node::{Look, Node};
use crate::world::shared::Shared;
use crate::world::step::{Step, Version, unsteady_queues};

/// How many steps of a hundred are a node's look at its leases.
const BEATS: u32 = 6;

/// Draws the next step. `possible` is empty, and kept for its capacity.
pub fn draw(world: &World, profile: &Profile, rng: &mut Rng, possible: &mut Vec<Step>) -> Step {
    let lot = rng.u32(..100);
    if lot < profile.passing {
        return Step::Pass { millis: pause(world, rng) };
    }
    if lot < profile.passing + BEATS {
        let looks =
            [Look::Fails, Look::Unheard, Look::Stumbles, Look::Fine, Look::Fine, Look::Fine];
        let look = unlucky(profile, Trouble::Leases, &looks, rng);
        let node = rng.usize(..world.nodes.len());
        // Whoever was deposed goes on for a while before it notices.
        if !world.is_deposed(node) || rng.u8(..4) == 0 {
            return Step::Beat { node, look };
        }
    }
    if lot < profile.passing + BEATS + profile.trouble
        && let Some(step) = trouble(world, profile, rng)
    {
        return step;
    }
    world.possible(possible);
    if possible.is_empty() {
        // Down is only who was brought down.
        return idle(world, rng);
    }
    let step = possible[rng.usize(..possible.len())];
    vary(world, profile, step, rng)
}

/// How long nothing happens. While a node is suspended, or can't renew its lease, that is often longer
/// than its lease: then it goes on as one that was deposed.
fn pause(world: &World, rng: &mut Rng) -> u64 {
    let suspended = |node: &Shared<Node>| node.stalled || node.lease_is_cut;
    if world.nodes.iter().flatten().any(suspended) && rng.bool() {
        return rng.u64(10_000..25_000);
    }
    match rng.u8(..10) {
        0..5 => rng.u64(1..1_500),
        5..8 => rng.u64(1_500..12_000),
        8 => rng.u64(12_000..45_000),
        _ => rng.u64(45_000..120_000),
    }
}

fn idle(world: &World, rng: &mut Rng) -> Step {
    let down = world.nodes.iter().position(Option::is_none);
    let gone = world.workers.iter().position(Option::is_none);
    let stalled =
        world.nodes.iter().position(|node| node.as_ref().is_some_and(|node| node.stalled));
    match (rng.u8(..3), down, gone, stalled) {
        (0, Some(node), ..) => Step::StartNode { node },
        (_, _, Some(worker), _) => Step::StartWorker { worker },
        (_, _, _, Some(node)) => Step::Stall { node },
        (_, Some(node), ..) => Step::StartNode { node },
        _ => Step::Pass { millis: pause(world, rng) },
    }
}

fn troubled(profile: &Profile, trouble: Trouble, rng: &mut Rng) -> bool {
    profile.troubles.contains(&trouble) && rng.u32(..100) < profile.trouble
}

/// One of the places where the same can happen.
fn vary(world: &World, profile: &Profile, step: Step, rng: &mut Rng) -> Step {
    let broker = &world.env.broker;
    let mut overtake = |length: usize| match rng.u32(..100) < profile.reordering {
        true => rng.usize(..length.max(1)),
        false => 0,
    };
    match step {
        Step::Arrive { .. } => {
            let flight = overtake(broker.flights.len());
            Step::Arrive { flight, arrival: arrival(profile, rng) }
        }
        Step::Hear { .. } => Step::Hear { said: overtake(broker.said.len()) },
        Step::Reply { node, shard, .. } => {
            let queue = crate::world::broker::REPLIES + usize::from(shard);
            Step::Reply { node, shard, index: overtake(broker.queues[queue].ready.len()) }
        }
        Step::Collect { node, .. } => {
            let index = overtake(broker.queues[DEAD].ready.len());
            Step::Collect { node, index, luck: luck(profile, Trouble::Store, rng) }
        }
        Step::Command { worker, .. } => {
            let queue = world.trade(worker).queue();
            Step::Command { worker, index: overtake(broker.queues[queue].ready.len()) }
        }
        Step::Commit { node, shard, .. } => {
            let fates = [Fate::Away, Fate::Unheard, Fate::Vanished];
            let fate = unlucky(profile, Trouble::Store, &fates, rng);
            Step::Commit { node, shard, fate }
        }
        Step::TakePage { node, shard, .. } => {
            let kinds = [Luck::Fails, Luck::Unheard, Luck::Never];
            Step::TakePage { node, shard, luck: unlucky(profile, Trouble::Store, &kinds, rng) }
        }
        Step::Work { worker, .. } => {
            Step::Work { worker, luck: luck(profile, Trouble::WorkerStores, rng) }
        }
        Step::Claim { worker, .. } => {
            Step::Claim { worker, luck: luck(profile, Trouble::WorkerStores, rng) }
        }
        Step::Record { worker, .. } => {
            Step::Record { worker, luck: luck(profile, Trouble::WorkerStores, rng) }
        }
        Step::Post { worker, .. } => {
            let kinds = [Luck::Fails, Luck::Unheard, Luck::Never];
            Step::Post { worker, luck: unlucky(profile, Trouble::Mail, &kinds, rng) }
        }
        Step::EndLate { .. } => Step::EndLate { commits: rng.bool() },
        step => step,
    }
}

fn unlucky<T: Copy + Default>(profile: &Profile, kind: Trouble, of: &[T], rng: &mut Rng) -> T {
    match troubled(profile, kind, rng) {
        true => of[rng.usize(..of.len())],
        false => T::default(),
    }
}

fn luck(profile: &Profile, kind: Trouble, rng: &mut Rng) -> Luck {
    unlucky(profile, kind, &[Luck::Fails, Luck::Unheard], rng)
}

fn arrival(profile: &Profile, rng: &mut Rng) -> Arrival {
    let kinds = [Arrival::Lost, Arrival::Unheard, Arrival::Full];
    unlucky(profile, Trouble::Wires, &kinds, rng)
}

/// A piece of trouble of the profile's kinds, if one can happen.
fn trouble(world: &World, profile: &Profile, rng: &mut Rng) -> Option<Step> {
    let kind = *rng.choice(&profile.troubles)?;
    let node = rng.usize(..world.nodes.len());
    let worker = rng.usize(..world.workers.len());
    let order = rng.usize(..world.env.customers.len());
    let step = match kind {
        Trouble::Nodes => match (&world.nodes[node], rng.u8(..6)) {
            (None, _) => Step::StartNode { node },
            (Some(_), 0) => Step::Leave { node },
            (Some(_), _) => Step::CrashNode { node },
        },
        Trouble::Leases if rng.u8(..3) == 0 => Step::CutLease { node },
        Trouble::Leases => Step::Stall { node },
        Trouble::Workers => match &world.workers[worker] {
            None => Step::StartWorker { worker },
            Some(_) => Step::CrashWorker { worker },
        },
        Trouble::Cuts if rng.bool() => Step::CutNode { node },
        Trouble::Cuts => Step::CutWorker { worker },
        Trouble::Loss => {
            let (queue, index) = message(world, rng)?;
            Step::Lose { queue, index }
        }
        Trouble::Full if rng.bool() => Step::Deafen,
        Trouble::Full => Step::Fill { queue: rng.usize(..world.env.broker.queues.len()) },
        Trouble::Doubling => {
            let (queue, index) = message(world, rng)?;
            Step::Double { queue, index }
        }
        Trouble::Clocks => {
            let ahead_ms = rng.i64(-3_600_000..3_600_000);
            match rng.bool() {
                true => Step::SetNodeClock { node, ahead_ms },
                false => Step::SetWorkerClock { worker, ahead_ms },
            }
        }
        Trouble::People => {
            let of = [Version::Any, Version::Any, Version::Newest, Version::Older];
            let (of, poke) = (of[rng.usize(..4)], rng.bool());
            let waits = world.env.customers.iter().position(|customer| customer.told.is_some());
            match rng.u8(..5) {
                4 => Step::Submit { customer: order, node },
                0 => Step::Retry { order, of, poke },
                1 => Step::Cancel { order, of, poke },
                _ => Step::Cancel { order: waits.unwrap_or(order), of, poke },
            }
        }
        Trouble::Sleep => {
            let house = world.nodes[node].as_ref()?.houses.keys().next()?;
            Step::Sleep { node, shard: *house }
        }
        Trouble::Wires | Trouble::Store | Trouble::WorkerStores | Trouble::Mail => return None,
    };
    Some(step)
}

/// Some message in a queue.
fn message(world: &World, rng: &mut Rng) -> Option<(usize, usize)> {
    let queues = &world.env.broker.queues;
    let filled: Vec<usize> = unsteady_queues(world.env.rules.shards)
        .filter(|queue| !queues[*queue].ready.is_empty())
        .collect();
    let queue = *rng.choice(&filled)?;
    Some((queue, rng.usize(..queues[queue].ready.len())))
}
