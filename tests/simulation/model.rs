//! The exhaustive check: every world that a small setting can come to, with so much of each trouble.
//!
//! It goes through the worlds by breadth, so the first story that breaks a promise is a shortest one.
//! A world from which only faults or time lead on is calmed down, and must come to its end.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::fingerprint::{digest, fingerprint};
use crate::profile::rules;
use crate::world::broker::{DEAD, REPLIES};
use crate::world::desk::Luck;
use crate::world::env::Broken;
use crate::world::house::Fate;
use crate::world::rules::Patience;
use crate::world::step::{Step, unsteady_queues};
use crate::world::{Setting, World};

/// How much of each trouble is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Of processes that die, or are suspended.
    pub crashes: u8,
    /// Of messages that are doubled.
    pub doubles: u8,
    /// Of messages, or answers of a store, that are lost.
    pub losses: u8,
    /// Of wishes of customers or operators.
    pub wishes: u8,
    /// Of waits until the next moment that somebody waits for.
    pub waits: u8,
}

/// A setting, and what may go wrong in it.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: &'static str,
    pub setting: Setting,
    pub budget: Budget,
    /// Whether all of its worlds are seen; else it is too large for that.
    pub whole: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    pub states: usize,
    pub transitions: usize,
    pub ends: usize,
    pub depth: usize,
    /// Whether every world was seen.
    pub complete: bool,
    pub took: Duration,
    /// A shortest story that breaks a promise, and which.
    pub broken: Option<(Vec<Step>, Broken)>,
}

/// The settings that are checked.
pub fn models() -> Vec<Model> {
    let setting = |nodes, stock, orders| Setting {
        nodes,
        workers: 1,
        stock,
        orders: vec![(1, true); orders],
        command_deliveries: 20,
        new: false,
    };
    let none = Budget { crashes: 0, doubles: 0, losses: 0, wishes: 0, waits: 0 };
    let (crash, loss) = (Budget { crashes: 1, ..none }, Budget { losses: 1, ..none });
    let double = Budget { doubles: 1, ..none };
    let model = |name, setting, budget| Model { name, setting, budget, whole: true };
    let (two_nodes, one) = (setting(2, 2, 1), Budget { doubles: 1, losses: 1, wishes: 1, ..crash });
    vec![
        model("2 orders, stock 1, a crash", setting(1, 1, 2), crash),
        model("2 orders, stock 2, a crash", setting(1, 2, 2), crash),
        model("2 orders, stock 1, a loss", setting(1, 1, 2), loss),
        model("2 orders, stock 2, a double", setting(1, 2, 2), double),
        model(
            "1 order, 2 nodes, a crash, a loss, time",
            two_nodes.clone(),
            Budget { losses: 1, waits: 1, ..crash },
        ),
        model(
            "1 order, 2 nodes, a crash, a double, a loss",
            two_nodes.clone(),
            Budget { wishes: 0, ..one },
        ),
        model(
            "1 order, 2 nodes, a crash, a double, a wish",
            two_nodes.clone(),
            Budget { losses: 0, ..one },
        ),
        model(
            "1 order, 2 nodes, a crash, a loss, a wish",
            two_nodes.clone(),
            Budget { doubles: 0, ..one },
        ),
        model(
            "1 order, 2 nodes, a double, a loss, a wish",
            two_nodes.clone(),
            Budget { crashes: 0, ..one },
        ),
        Model {
            whole: false,
            ..model("1 order, 2 nodes, a crash, a double, a loss, a wish", two_nodes, one)
        },
    ]
}

/// A world on the edge of what was seen.
type Edge = (World, Budget, u64);

/// What is known of a world: where it came from.
type Seen = HashMap<u64, (u64, Step)>;

const SHELVES: usize = 64;

/// Goes through every world of a model, up to `most`, on so many threads.
pub fn check(model: &Model, most: usize, threads: usize) -> Found {
    let began = Instant::now();
    let mut first = World::new(rules(Patience::Short, 1, 4), &model.setting);
    settle_down(&mut first);
    let root = key(&first, &model.budget);
    let seen: Vec<Mutex<Seen>> = (0..SHELVES).map(|_| Mutex::default()).collect();
    shelf(&seen, root).lock().unwrap().insert(root, (root, Step::EndLate { commits: false }));
    let (states, transitions, ends) =
        (AtomicUsize::new(1), AtomicUsize::new(0), AtomicUsize::new(0));
    let broken: Mutex<Option<(u64, Option<Step>, Broken)>> = Mutex::new(None);
    let mut edge: Vec<Edge> = vec![(first, model.budget, root)];
    let mut depth = 0;
    while !edge.is_empty() && broken.lock().unwrap().is_none() {
        if states.load(Ordering::Relaxed) >= most {
            break;
        }
        let size = edge.len().div_ceil(threads).max(1);
        let parts: Vec<Vec<Edge>> = split(edge, size);
        let nexts: Vec<Vec<Edge>> = std::thread::scope(|scope| {
            let walks: Vec<_> = parts
                .into_iter()
                .map(|part| {
                    let bug = current_bug();
                    let (seen, broken) = (&seen, &broken);
                    let (states, transitions, ends) = (&states, &transitions, &ends);
                    scope.spawn(move || {
                        switch_to(bug);
                        let mut next = Vec::new();
                        for (world, budget, from) in part {
                            if broken.lock().unwrap().is_some() {
                                break;
                            }
                            let mut steps = Vec::new();
                            successors(&world, budget, &mut steps);
                            if !steps.iter().any(|(_, left)| *left == budget) {
                                ends.fetch_add(1, Ordering::Relaxed);
                                if let Err(found) = world.clone().come_to_an_end() {
                                    *broken.lock().unwrap() = Some((from, None, found));
                                }
                            }
                            for (step, budget) in steps {
                                transitions.fetch_add(1, Ordering::Relaxed);
                                let mut world = world.clone();
                                world.take(step);
                                settle_down(&mut world);
                                if let Some(found) = world.env.broken.take() {
                                    *broken.lock().unwrap() = Some((from, Some(step), found));
                                    break;
                                }
                                let to = key(&world, &budget);
                                let mut known = shelf(seen, to).lock().unwrap();
                                if let std::collections::hash_map::Entry::Vacant(free) =
                                    known.entry(to)
                                {
                                    free.insert((from, step));
                                    drop(known);
                                    states.fetch_add(1, Ordering::Relaxed);
                                    next.push((world, budget, to));
                                }
                            }
                        }
                        next
                    })
                })
                .collect();
            walks.into_iter().map(|walk| walk.join().expect("a walk ends")).collect()
        });
        edge = nexts.into_iter().flatten().collect();
        depth += 1;
    }
    let broken = broken.into_inner().unwrap().map(|(at, step, broken)| {
        let mut story = path(&seen, root, at);
        story.extend(step);
        (story, broken)
    });
    Found {
        states: states.into_inner(),
        transitions: transitions.into_inner(),
        ends: ends.into_inner(),
        depth,
        complete: edge.is_empty() && broken.is_none(),
        took: began.elapsed(),
        broken,
    }
}

fn key(world: &World, budget: &Budget) -> u64 {
    digest(&(fingerprint(world), budget))
}

fn shelf(seen: &[Mutex<Seen>], key: u64) -> &Mutex<Seen> {
    &seen[(key >> 58) as usize % SHELVES]
}

fn split(mut edge: Vec<Edge>, size: usize) -> Vec<Vec<Edge>> {
    let mut parts = Vec::new();
    while !edge.is_empty() {
        parts.push(edge.split_off(edge.len().saturating_sub(size)));
    }
    parts
}

fn path(seen: &[Mutex<Seen>], root: u64, mut at: u64) -> Vec<Step> {
    let mut story = Vec::new();
    while at != root {
        let Some((from, step)) = shelf(seen, at).lock().unwrap().get(&at).copied() else { break };
        story.push(step);
        at = from;
    }
    story.reverse();
    story
}

/// Takes the steps that need no choice, because what could come between them comes between others as
/// well: messages arrive (they can still be lost, and come in any order), confirmations are heard (a
/// node that dies before it has stored its marks sends again all the same), a node hears of its commit
/// (one that dies before leaves a transaction that may be carried out late), sagas are loaded; and the
/// marks are written once nothing else is to be done.
fn settle_down(world: &mut World) {
    let mut possible = Vec::new();
    loop {
        possible.clear();
        world.possible(&mut possible);
        let quick = possible.iter().find(|step| {
            matches!(
                step,
                Step::Arrive { .. }
                    | Step::Hear { .. }
                    | Step::Settle { .. }
                    | Step::Load { .. }
                    | Step::Resume { .. }
                    | Step::ReadHistory { .. }
            )
        });
        let idle = possible.iter().all(|step| matches!(step, Step::Flush { .. }));
        match quick.or(possible.first().filter(|_| idle)) {
            Some(step) => drop(world.take(*step)),
            None => return,
        }
    }
}

/// All that can happen next, with what is left of the troubles then.
fn successors(world: &World, left: Budget, steps: &mut Vec<(Step, Budget)>) {
    let mut possible = Vec::new();
    world.possible(&mut possible);
    for step in possible.into_iter().filter(|step| !matches!(step, Step::Flush { .. })) {
        everywhere(world, step, left, steps);
    }
    for (node, at) in world.nodes.iter().enumerate() {
        match at {
            None => steps.push((Step::StartNode { node }, left)),
            Some(at) if at.stalled => steps.push((Step::Stall { node }, left)),
            Some(at) => {
                let owner = |shard: u16| world.env.store.shards[usize::from(shard)].epoch;
                let stale =
                    at.houses.iter().any(|(shard, house)| owner(*shard) != house.writer.epoch());
                if stale || at.trusted_until <= world.env.now {
                    steps.push((Step::Beat { node, fails: false }, left));
                }
                if left.crashes > 0 {
                    let left = Budget { crashes: left.crashes - 1, ..left };
                    steps.extend([(Step::CrashNode { node }, left), (Step::Stall { node }, left)]);
                }
            }
        }
    }
    for (worker, at) in world.workers.iter().enumerate() {
        match at {
            None => steps.push((Step::StartWorker { worker }, left)),
            Some(_) if left.crashes > 0 => {
                let left = Budget { crashes: left.crashes - 1, ..left };
                steps.push((Step::CrashWorker { worker }, left));
            }
            Some(_) => {}
        }
    }
    for queue in unsteady_queues(world.env.rules.shards) {
        for index in 0..world.env.broker.queues[queue].ready.len() {
            if left.doubles > 0 {
                let left = Budget { doubles: left.doubles - 1, ..left };
                steps.push((Step::Double { queue, index }, left));
            }
            if left.losses > 0 {
                let left = Budget { losses: left.losses - 1, ..left };
                steps.push((Step::Lose { queue, index }, left));
            }
        }
    }
    if left.wishes > 0 {
        let left = Budget { wishes: left.wishes - 1, ..left };
        for (order, customer) in world.env.customers.iter().enumerate() {
            if customer.told.is_some() {
                steps.push((Step::Cancel { order, stale: false, poke: true }, left));
            }
        }
    }
    if left.waits > 0 {
        let left = Budget { waits: left.waits - 1, ..left };
        let moments = world.nodes.iter().flatten().filter_map(|node| node.next_moment(&world.env));
        let next = moments.min().map(|at| (at.0 - world.env.now.0) as u64 / 1_000 + 1);
        steps.extend(next.map(|millis| (Step::Pass { millis }, left)));
        // Long enough for a lease to run out.
        steps.push((Step::Pass { millis: 10_001 }, left));
    }
}

/// A step at each of the places where it can happen, and with each of its fates.
fn everywhere(world: &World, step: Step, left: Budget, steps: &mut Vec<(Step, Budget)>) {
    let broker = &world.env.broker;
    let loss = (left.losses > 0).then(|| Budget { losses: left.losses - 1, ..left });
    match step {
        Step::Reply { node, shard, .. } => {
            let count = broker.queues[REPLIES + usize::from(shard)].ready.len();
            steps.extend((0..count).map(|index| (Step::Reply { node, shard, index }, left)));
        }
        Step::Collect { node, .. } => {
            let count = broker.queues[DEAD].ready.len();
            steps.extend((0..count).map(|index| (Step::Collect { node, index }, left)));
        }
        Step::Command { worker, .. } => {
            let count = broker.queues[world.trade(worker).queue()].ready.len();
            steps.extend((0..count).map(|index| (Step::Command { worker, index }, left)));
        }
        Step::Commit { node, shard, .. } => {
            steps.push((step, left));
            steps
                .extend(loss.map(|left| (Step::Commit { node, shard, fate: Fate::Unheard }, left)));
        }
        Step::Work { worker, .. } => {
            steps.push((step, left));
            steps.extend(loss.map(|left| (Step::Work { worker, luck: Luck::Unheard }, left)));
        }
        Step::Claim { worker, .. } => {
            steps.push((step, left));
            steps.extend(loss.map(|left| (Step::Claim { worker, luck: Luck::Unheard }, left)));
        }
        Step::Post { worker, .. } => {
            steps.push((step, left));
            steps.extend(loss.map(|left| (Step::Post { worker, luck: Luck::Unheard }, left)));
        }
        Step::Record { worker, .. } => {
            steps.push((step, left));
            steps.extend(loss.map(|left| (Step::Record { worker, luck: Luck::Unheard }, left)));
        }
        Step::EndLate { .. } => {
            steps.extend([true, false].map(|commits| (Step::EndLate { commits }, left)));
        }
        step => steps.push((step, left)),
    }
}

#[cfg(feature = "seeded-bugs")]
fn current_bug() -> Option<skald::seeded::Bug> {
    skald::seeded::Bug::ALL.iter().copied().find(|bug| skald::seeded::is_on(*bug))
}

#[cfg(feature = "seeded-bugs")]
fn switch_to(bug: Option<skald::seeded::Bug>) {
    skald::seeded::switch(bug);
}

#[cfg(not(feature = "seeded-bugs"))]
fn current_bug() {}

#[cfg(not(feature = "seeded-bugs"))]
fn switch_to((): ()) {}
