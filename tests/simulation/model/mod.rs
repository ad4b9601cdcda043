//! The exhaustive check: every world that a small setting can come to, with so much of each trouble.
//!
//! A world from which only faults or time lead on is calmed down, and must come to its end.
//!
//! | file | holds |
//! |---|---|
//! | `next` | what can happen next, and what needs no choice |
//! | `search` | the way through all worlds |
//! | `alike` | whether worlds that count as the same are the same |
//! | `all` | the program of `make model`: all settings, and all known mistakes |

mod alike;
#[allow(dead_code)]
pub mod all;
mod next;
mod search;

pub use alike::unlike;
pub use search::{Found, check};

use crate::profile::rules;
use crate::world::rules::{Patience, Room};
use crate::world::{Setting, World};
use next::Place;

/// How much of each trouble is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Of processes that die, or are suspended.
    pub crashes: u8,
    /// Of messages that are doubled.
    pub doubles: u8,
    /// Of messages, confirmations, or answers of a store, that are lost.
    pub losses: u8,
    /// Of wishes of customers or operators.
    pub wishes: u8,
    /// Of leases that run out because their node is gone or suspended.
    pub expiries: u8,
    /// Of waits until the next moment that somebody waits for.
    pub waits: u8,
}

macro_rules! less {
    ($($name:ident: $trouble:ident,)*) => {
        impl Budget {
            $(fn $name(self) -> Option<Self> {
                Some(Self { $trouble: self.$trouble.checked_sub(1)?, ..self })
            })*
        }
    };
}

less! {
    less_a_crash: crashes,
    less_a_double: doubles,
    less_a_loss: losses,
    less_a_wish: wishes,
    less_an_expiry: expiries,
    less_a_wait: waits,
}

impl Budget {
    /// Whether nothing dies, is lost or is late any more.
    fn is_over(self) -> bool {
        self.crashes == 0 && self.losses == 0 && self.expiries == 0 && self.waits == 0
    }
}

/// A setting, and what may go wrong in it.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: &'static str,
    pub setting: Setting,
    pub budget: Budget,
    /// Whether steps are chosen that need no choice once all troubles are over.
    pub thorough: bool,
}

impl Model {
    pub fn new(name: &'static str, setting: Setting, budget: Budget) -> Self {
        Self { name, setting, budget, thorough: false }
    }

    fn first(&self) -> Place {
        let world = World::new(rules(Patience::Short, 1, 4, Room::default()), &self.setting);
        Place::new(world, self.budget, self.thorough)
    }
}
