//! Whether worlds that count as the same are the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::Model;
use super::next::Place;
use super::search::{Seen, key};
use crate::fingerprint::digest;
use crate::world::step::Step;

/// Goes through the worlds of a model, up to `most`, and looks whether those that count as the same lead
/// on to the same worlds. Returns the stories of two that don't.
pub fn unlike(model: &Model, most: usize) -> Option<[Vec<Step>; 2]> {
    let first = model.first();
    let root = key(&first);
    let mut seen = Seen::default();
    let mut ahead = HashMap::from([(root, look_ahead(&first, LOOK_AHEAD))]);
    let (mut edge, mut steps) = (vec![(first, root)], Vec::new());
    while !edge.is_empty() && ahead.len() < most {
        let mut next = Vec::new();
        for (place, from) in std::mem::take(&mut edge) {
            steps.clear();
            place.next(&mut steps);
            for &(step, left) in &steps {
                let to = place.after((step, left));
                let (key, view) = (key(&to), look_ahead(&to, LOOK_AHEAD));
                match ahead.entry(key) {
                    Entry::Vacant(free) => {
                        free.insert(view);
                        seen.insert(key, from, step);
                        next.push((to, key));
                    }
                    Entry::Occupied(known) if *known.get() != view => {
                        let mut other = seen.story(from);
                        other.push(step);
                        return Some([seen.story(key), other]);
                    }
                    Entry::Occupied(_) => {}
                }
            }
        }
        edge = next;
    }
    None
}

/// How many steps [`mistaken`] looks ahead.
const LOOK_AHEAD: u32 = 2;

/// All worlds that can be reached in so many steps.
fn look_ahead(place: &Place, depth: u32) -> u64 {
    if depth == 0 {
        return key(place);
    }
    let mut steps = Vec::new();
    place.next(&mut steps);
    let views = steps.iter().map(|step| digest(&look_ahead(&place.after(*step), depth - 1)));
    digest(&(key(place), views.fold(0, u64::wrapping_add)))
}
