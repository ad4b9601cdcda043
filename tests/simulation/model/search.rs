//! Goes through the worlds of a model, breadth first.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::{Duration, Instant};

use super::Model;
use super::next::Place;
use crate::fingerprint::{digest, fingerprint};
use crate::world::env::Broken;
use crate::world::step::Step;

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
    edge: Vec<(Place, u64)>,
    transitions: usize,
    ends: usize,
}

/// Goes through every world of a model, up to `most`.
pub fn check(model: &Model, most: usize) -> Found {
    let began = Instant::now();
    let first = model.first();
    let root = key(&first);
    let edge = vec![(first, root)];
    let mut search = Search { root, seen: Seen::default(), edge, transitions: 0, ends: 0 };
    let (mut depth, mut broken) = (0, None);
    while broken.is_none() && !search.edge.is_empty() && search.states() < most {
        broken = search.widen().err();
        depth += 1;
    }
    Found {
        states: search.states(),
        transitions: search.transitions,
        ends: search.ends,
        depth,
        complete: search.edge.is_empty() && broken.is_none(),
        took: began.elapsed(),
        broken,
    }
}

impl Search {
    fn states(&self) -> usize {
        self.seen.0.len() + 1
    }

    /// Goes one step on from each world of the edge; those that are new are the next edge.
    fn widen(&mut self) -> Result<(), (Vec<Step>, Broken)> {
        let mut steps = Vec::new();
        for (place, from) in std::mem::take(&mut self.edge) {
            steps.clear();
            place.next(&mut steps);
            if !steps.iter().any(|(_, left)| *left == place.left) {
                self.ends += 1;
                let ended = place.world.clone().come_to_an_end();
                ended.map_err(|broken| (self.seen.story(from), broken))?;
            }
            self.transitions += steps.len();
            for &(step, left) in &steps {
                let mut to = place.after((step, left));
                if let Some(broken) = to.world.env.broken.take() {
                    let mut story = self.seen.story(from);
                    story.push(step);
                    return Err((story, broken));
                }
                let key = key(&to);
                if key != self.root && self.seen.insert(key, from, step) {
                    self.edge.push((to, key));
                }
            }
        }
        Ok(())
    }
}
