//! Goes through the worlds of a model: breadth first, as long as there is room for the edge.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::num::NonZero;
use std::time::{Duration, Instant};

use super::next::Place;
use super::{Budget, Model};
use crate::fingerprint::{digest, fingerprint};
use crate::world::env::Broken;
use crate::world::step::Step;
use crate::world::store::ShardRow;

/// What was found.
#[derive(Debug)]
pub struct Found {
    pub states: usize,
    pub transitions: usize,
    /// Keys of worlds from which only troubles lead on.
    pub ends: BTreeSet<u64>,
    /// Worlds in which all troubles came.
    pub spent: usize,
    /// Worlds in which a shard has had a second owner.
    pub taken_over: usize,
    /// Whether every world was seen.
    pub complete: bool,
    pub took: Duration,
    /// A story that breaks a promise, and which; a shortest one, unless the edge was too wide.
    pub broken: Option<(Vec<Step>, Broken)>,
}

/// By the keys of the worlds that were seen: from which world and by which step each was reached.
#[derive(Default)]
pub struct Seen(HashMap<u64, (u64, Step)>);

impl Seen {
    /// Whether a world is new.
    pub fn insert(&mut self, key: u64, from: u64, step: Step) -> bool {
        match self.0.entry(key) {
            Entry::Vacant(free) => {
                free.insert((from, step));
                true
            }
            Entry::Occupied(_) => false,
        }
    }

    /// How a world was reached. Nothing leads to the first one.
    pub fn story(&self, mut at: u64) -> Vec<Step> {
        let mut story = Vec::new();
        while let Some((from, step)) = self.0.get(&at) {
            story.push(*step);
            at = *from;
        }
        story.reverse();
        story
    }
}

/// Tells a world, and what is left of its troubles, from all others.
pub fn key(place: &Place) -> u64 {
    digest(&(fingerprint(&place.world), place.left))
}

/// A search under way.
struct Search {
    root: u64,
    seen: Seen,
    /// Worlds from which nobody went on so far, with their keys.
    edge: VecDeque<(Place, u64)>,
    transitions: usize,
    ends: BTreeSet<u64>,
    spent: usize,
    taken_over: usize,
}

/// Worlds from which all threads together go on before what they found is put together.
const AT_A_TIME: usize = 4_096;

/// As many worlds wait at the edge as a few gigabytes hold.
const WIDE: usize = 150_000;

/// What a world is, and where it leads to.
struct Ways {
    spent: bool,
    taken_over: bool,
    /// What comes of it without troubles, if only they lead on.
    end: Option<Result<(), Broken>>,
    onward: Vec<(Step, Way)>,
}

enum Way {
    Broken(Broken),
    Known,
    New(u64, Box<Place>),
}

/// Goes through every world of a model, up to `most`.
pub fn check(model: &Model, most: usize) -> Found {
    let began = Instant::now();
    let first = model.first();
    let root = key(&first);
    let edge = VecDeque::from([(first, root)]);
    let mut search = Search {
        root,
        seen: Seen::default(),
        edge,
        transitions: 0,
        ends: BTreeSet::new(),
        spent: 0,
        taken_over: 0,
    };
    let mut broken = None;
    while broken.is_none() && !search.edge.is_empty() && search.states() < most {
        broken = search.go_on().err();
    }
    Found {
        states: search.states(),
        transitions: search.transitions,
        spent: search.spent,
        taken_over: search.taken_over,
        ends: search.ends,
        complete: search.edge.is_empty() && broken.is_none(),
        took: began.elapsed(),
        broken,
    }
}

impl Search {
    fn states(&self) -> usize {
        self.seen.0.len() + 1
    }

    /// Goes one step on from the oldest worlds of the edge; from the newest if it is wide, so that it
    /// does not get wider.
    fn go_on(&mut self) -> Result<(), (Vec<Step>, Broken)> {
        let some = AT_A_TIME.min(self.edge.len());
        let places: Vec<_> = match self.edge.len() > WIDE {
            true => self.edge.drain(self.edge.len() - some..).collect(),
            false => self.edge.drain(..some).collect(),
        };
        for (from, ways) in self.ways_from(&places) {
            self.add(from, ways)?;
        }
        Ok(())
    }

    /// Where each of these worlds leads to, in their order, by as many threads as there are cores.
    fn ways_from(&self, places: &[(Place, u64)]) -> Vec<(u64, Ways)> {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        #[cfg(feature = "seeded-bugs")]
        let bug = skald::seeded::on();
        std::thread::scope(|scope| {
            let parts = places.chunks(places.len().div_ceil(threads));
            let parts = parts.map(|part| {
                scope.spawn(move || {
                    #[cfg(feature = "seeded-bugs")]
                    skald::seeded::switch(bug);
                    part.iter().map(|(place, from)| (*from, self.ways(place))).collect::<Vec<_>>()
                })
            });
            let parts: Vec<_> = parts.collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        })
    }

    fn ways(&self, place: &Place) -> Ways {
        let mut steps = Vec::new();
        place.next(&mut steps);
        let ends = steps.iter().all(|(_, left)| *left != place.left);
        let end = ends.then(|| place.world.clone().come_to_an_end().map(drop));
        let onward = steps.iter().map(|&(step, left)| {
            let mut to = place.after((step, left));
            if let Some(broken) = to.world.env.broken.take() {
                return (step, Way::Broken(broken));
            }
            let key = key(&to);
            let known = key == self.root || self.seen.0.contains_key(&key);
            (step, if known { Way::Known } else { Way::New(key, Box::new(to)) })
        });
        let owned_again = |shard: &ShardRow| shard.epoch > 1;
        Ways {
            spent: place.left == Budget::default(),
            taken_over: place.world.env.store.shards.iter().any(owned_again),
            end,
            onward: onward.collect(),
        }
    }

    fn add(&mut self, from: u64, ways: Ways) -> Result<(), (Vec<Step>, Broken)> {
        let Ways { spent, taken_over, end, onward } = ways;
        self.spent += usize::from(spent);
        self.taken_over += usize::from(taken_over);
        if let Some(ended) = end {
            self.ends.insert(from);
            ended.map_err(|broken| (self.seen.story(from), broken))?;
        }
        self.transitions += onward.len();
        for (step, way) in onward {
            match way {
                Way::Broken(broken) => {
                    let mut story = self.seen.story(from);
                    story.push(step);
                    return Err((story, broken));
                }
                Way::New(key, to) if self.seen.insert(key, from, step) => {
                    self.edge.push_back((*to, key));
                }
                Way::New(..) | Way::Known => {}
            }
        }
        Ok(())
    }
}
