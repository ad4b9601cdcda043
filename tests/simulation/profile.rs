//! Swarm profiles: each seed has a world of its own, and its own choice of what goes wrong.

use std::cell::RefCell;
use std::sync::Arc;

use fastrand::Rng;

use skald::journal::batcher::Limits;
use skald::journal::feed::Bounds;

use crate::world::rules::{Patience, Room, Rules};
use crate::world::{Also, Setting, World};

/// What goes wrong together in one run, or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Nodes,
    Leases,
    Workers,
    Cuts,
    Loss,
    Doubling,
    Wires,
    Full,
    Store,
    WorkerStores,
    Mail,
    Clocks,
    People,
    Sleep,
}

impl Trouble {
    pub const ALL: [Self; 14] = [
        Self::Nodes,
        Self::Leases,
        Self::Workers,
        Self::Cuts,
        Self::Loss,
        Self::Doubling,
        Self::Wires,
        Self::Full,
        Self::Store,
        Self::WorkerStores,
        Self::Mail,
        Self::Clocks,
        Self::People,
        Self::Sleep,
    ];
}

/// What one run is like.
#[derive(Clone, Debug)]
pub struct Profile {
    pub setting: Setting,
    pub patience: Patience,
    pub shards: u16,
    pub batch_size: usize,
    pub room: Room,
    pub troubles: Vec<Trouble>,
    /// How many of a hundred steps are trouble.
    pub trouble: u32,
    /// How many of a hundred steps let time pass.
    pub passing: u32,
    /// How many of a hundred messages overtake others.
    pub reordering: u32,
    pub steps: u32,
}

impl Profile {
    /// The profile of a seed, which begins `rng`.
    pub fn draw(rng: &mut Rng) -> Self {
        let stock = [1, 2, 2, 1_000][rng.usize(..4)];
        let troubles = Trouble::ALL.into_iter().filter(|_| rng.u8(..2) == 0).collect();
        let also =
            [Also::Nothing, Also::Nothing, Also::Nothing, Also::Lute, Also::Lute, Also::Kazoo];
        let order = |rng: &mut Rng| (rng.u32(1..3), also[rng.usize(..6)], rng.u8(..5) > 0);
        let orders = (0..rng.usize(1..4)).map(|_| order(rng)).collect();
        Self {
            setting: Setting {
                nodes: rng.usize(1..4),
                workers: rng.usize(1..3),
                stock,
                orders,
                command_deliveries: [1, 3, 20][rng.usize(..3)],
                new: rng.u8(..8) == 0,
            },
            patience: [Patience::Short, Patience::Short, Patience::Shipped][rng.usize(..3)],
            shards: rng.u16(1..4),
            batch_size: rng.usize(1..5),
            room: if rng.u8(..4) == 0 { tight(rng) } else { Room::default() },
            troubles,
            trouble: [3, 8, 15, 25][rng.usize(..4)],
            passing: [1, 3, 8][rng.usize(..3)],
            reordering: [0, 20, 60][rng.usize(..3)],
            steps: rng.u32(100..260),
        }
    }

    pub fn world(&self) -> World {
        World::new(rules(self.patience, self.shards, self.batch_size, self.room), &self.setting)
    }
}

fn tight(rng: &mut Rng) -> Room {
    Room {
        limits: Limits { batch: rng.usize(1..3), waiting: rng.usize(1..4) },
        bounds: Bounds { window: rng.usize(1..4), page: rng.u32(1..4) },
    }
}

thread_local! {
    static RULES: RefCell<Vec<Arc<Rules>>> = const { RefCell::new(Vec::new()) };
}

/// Rules are made once a thread: checking a definition takes longer than a world.
pub fn rules(patience: Patience, shards: u16, batch_size: usize, room: Room) -> Arc<Rules> {
    RULES.with_borrow_mut(|known| {
        let same = |rules: &&Arc<Rules>| {
            (rules.patience, rules.shards, rules.batch_size, rules.room)
                == (patience, shards, batch_size, room)
        };
        if let Some(rules) = known.iter().find(same) {
            return Arc::clone(rules);
        }
        let rules = Arc::new(Rules::new(patience, shards, batch_size, room));
        known.push(Arc::clone(&rules));
        rules
    })
}
