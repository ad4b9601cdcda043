//! What holds for any definition in any world.
//!
//! Every run takes the same cases. `PROPTEST_RNG_SEED=n` takes others, `PROPTEST_CASES=n` takes
//! more; a failure prints its smallest story, and both numbers bring it back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use skald::saga::event::Event;

use crate::blueprint::{Blueprint, blueprint};
use crate::invariants::Broken;
use crate::simulated_worker::Verdict;
use crate::world::{Fate, Happening, World};

/// The seed where none is given; any number does.
const SEED: u64 = 1179;

/// The number of cases where none is given: a few seconds' worth.
const CASES: u32 = 2_500;

/// Takes the number of cases and the seed from the environment, where they are given there.
pub fn config() -> ProptestConfig {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    config
}

/// A definition and what happens to one saga of it.
#[derive(Clone)]
struct Story {
    blueprint: Blueprint,
    happenings: Vec<Happening>,
    is_reasked: bool,
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        12 => Just(Verdict::Obeys),
        3 => Just(Verdict::Refuses),
        3 => Just(Verdict::IsBusy),
        1 => Just(Verdict::DiesBefore),
        1 => Just(Verdict::DiesAfter),
        1 => Just(Verdict::Stammers),
        1 => Just(Verdict::StammersAfter),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        8 => Just(Fate::Lives),
        1 => Just(Fate::CrashesBeforeCommit),
        1 => Just(Fate::CrashesAfterCommit),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        30 => (any::<u8>(), verdict(), fate()).prop_map(|(n, v, f)| Happening::Arrives(n, v, f)),
        4 => any::<u8>().prop_map(Happening::IsDoubled),
        3 => any::<u8>().prop_map(Happening::IsLost),
        1 => any::<u8>().prop_map(Happening::IsReturned),
        6 => (1..300_u64).prop_map(Happening::Passes),
        6 => fate().prop_map(Happening::IsDue),
        3 => any::<u8>().prop_map(Happening::QueueMoves),
        1 => fate().prop_map(Happening::Cancels),
        2 => fate().prop_map(Happening::Retries),
        2 => Just(Happening::IsReasked),
        2 => any::<u8>().prop_map(Happening::IsResent),
    ]
}

fn story() -> impl Strategy<Value = Story> {
    (blueprint(), vec(happening(), 0..120), any::<bool>())
        .prop_map(|(blueprint, happenings, is_reasked)| Story { blueprint, happenings, is_reasked })
}

impl Story {
    fn unfold(&self) -> Result<World, String> {
        let mut world = World::new(self.blueprint.build())?;
        match self.unfold_in(&mut world) {
            Ok(()) => Ok(world),
            Err(broken) => Err(format!("{broken}\n{}", told(&world))),
        }
    }

    fn unfold_in(&self, world: &mut World) -> Result<(), Broken> {
        for happening in &self.happenings {
            world.happen(*happening).map_err(|broken| format!("{happening:?}: {broken}"))?;
        }
        world.must_end(self.is_reasked)
    }
}

fn told(world: &World) -> String {
    let lines = world.history.iter().map(|r| format!("  {:>3} {:?}\n", r.sequence, r.event));
    format!("the history:\n{}", lines.collect::<String>())
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.blueprint)?;
        for happening in &self.happenings {
            writeln!(f, "  - {happening:?}")?;
        }
        writeln!(f, "  then all is calm, re-asked: {}", self.is_reasked)
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_a_saga_keeps_its_promises_and_ends(story in story()) {
        story.unfold().map_err(TestCaseError::fail)?;
    }
}

/// Guards the property above against stories in which nothing much happens.
#[test]
fn the_stories_tell_of_every_kind_of_event_often() {
    const STORIES: usize = 500;
    let mut runner = TestRunner::new(config());
    let mut stories_with: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..STORIES {
        let story = story().new_tree(&mut runner).expect("there is a story").current();
        let world = story.unfold().unwrap_or_else(|broken| panic!("{broken}"));
        let kinds: BTreeSet<String> = world.history.iter().map(|r| kind(&r.event)).collect();
        kinds.into_iter().for_each(|kind| *stories_with.entry(kind).or_default() += 1);
    }
    assert_eq!(stories_with.len(), 15, "{stories_with:?}");
    let rarest = stories_with.values().min().expect("there are kinds");
    assert!(*rarest >= STORIES / 20, "{stories_with:?}");
}

/// The name that an event is stored under.
fn kind(event: &Event) -> String {
    let stored = serde_json::to_string(event).expect("it has a JSON form");
    stored.split('"').nth(1).expect("it has a name").to_owned()
}
