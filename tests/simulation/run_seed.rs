//! One run from one seed; and the shortest story of how it fails.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use fastrand::Rng;

use crate::chaos;
use crate::faults::Faults;
use crate::fingerprint::fingerprint;
use crate::profile::Profile;
use crate::world::World;
use crate::world::env::Broken;
use crate::world::step::Step;

/// What came of a run.
pub struct Run {
    pub profile: Profile,
    pub trace: Vec<Step>,
    pub faults: Faults,
    /// Steps in all, those of the calm end included.
    pub steps: u64,
    pub broken: Option<Broken>,
    /// How the orders ended: nothing where they are confirmed, or else why not.
    pub ends: Vec<String>,
    /// Changes with every step and whatever it did.
    pub hash: u64,
}

/// Runs a seed: trouble first, then calm until everything has come to its end.
pub fn run(seed: u64) -> Run {
    let mut rng = Rng::with_seed(seed);
    let profile = Profile::draw(&mut rng);
    let mut world = profile.world();
    let mut trace = Vec::with_capacity(profile.steps as usize);
    let mut hasher = DefaultHasher::new();
    let ended = unless_it_panics(|| {
        let mut possible = Vec::new();
        while world.env.broken.is_none() && trace.len() < profile.steps as usize {
            possible.clear();
            let step = chaos::draw(&world, &profile, &mut rng, &mut possible);
            trace.push(step);
            world.take(step);
            mark(&world, step, &mut hasher);
        }
        world.env.broken.take().map_or_else(|| world.come_to_an_end(), Err)
    });
    let steps = trace.len() as u64 + ended.as_ref().unwrap_or(&0);
    let broken = ended.err();
    mark(&world, Step::Pass { millis: steps }, &mut hasher);
    (&broken, fingerprint(&world)).hash(&mut hasher);
    let ends = world.env.store.sagas.values().map(|row| {
        row.saga.state.rollback_reason().map_or(String::new(), |reason| reason.code.to_string())
    });
    let ends = ends.collect();
    Run { profile, trace, faults: world.env.faults, steps, broken, ends, hash: hasher.finish() }
}

/// A promise is broken, too, where the code that is tried panics.
fn unless_it_panics<T>(call: impl FnOnce() -> Result<T, Broken>) -> Result<T, Broken> {
    let panicked = |panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without a word")))
    };
    // What was broken halfway is looked at no more.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(panicked)
}

fn mark(world: &World, step: Step, hasher: &mut impl Hasher) {
    step.hash(hasher);
    let env = &world.env;
    let positions = env.store.shards.iter().map(|row| row.last_seq()).sum::<u64>();
    (positions, env.now, env.store.inputs.len(), env.broker.parcels, env.broker.flights.len())
        .hash(hasher);
}

/// Tells a story in a profile's world from its beginning; tells what it breaks, if anything.
pub fn retell(profile: &Profile, story: &[Step]) -> Option<Broken> {
    let mut world = profile.world();
    let ended = unless_it_panics(|| {
        for &step in story {
            world.take(step);
            if let Some(broken) = world.env.broken.take() {
                return Err(broken);
            }
        }
        world.come_to_an_end()
    });
    ended.err()
}

/// How often a story is told again to find a shorter one: some seconds' worth.
const RETELLINGS: u32 = 2_000;

/// The shortest story like this one that can be found by leaving steps out, and what it breaks.
pub fn shorten(profile: &Profile, story: &[Step]) -> (Vec<Step>, Broken) {
    let mut story = story.to_vec();
    let mut broken = retell(profile, &story).unwrap_or_default();
    let mut piece = story.len().div_ceil(2);
    let mut told = 0;
    while piece > 0 {
        let (mut at, before) = (0, story.len());
        while at < story.len() && told < RETELLINGS {
            told += 1;
            let mut shorter = story.clone();
            shorter.drain(at..(at + piece).min(story.len()));
            match retell(profile, &shorter) {
                Some(found) if kind(&found) == kind(&broken) => (story, broken) = (shorter, found),
                _ => at += piece,
            }
        }
        // What could not be left out may be once something else is.
        let again = piece == 1 && story.len() < before && told < RETELLINGS;
        piece = if again { 1 } else { piece / 2 };
    }
    (story, broken)
}

/// What kind of promise was broken: the words before the colon.
pub fn kind(broken: &str) -> &str {
    let kind = broken.split(':').next().unwrap_or_default();
    if kind.starts_with("saga ") { "saga" } else { kind }
}

/// A failed run, as it is printed.
pub fn report(seed: u64, run: &Run) -> String {
    let (story, broken) = shorten(&run.profile, &run.trace);
    let Profile { setting, patience, shards, .. } = &run.profile;
    let mut text = format!(
        "seed {seed} breaks a promise (hash {:016x}): {broken}\nin {setting:?}, {shards} shards, {patience:?} patience; {} of {} steps bring it about:\n",
        run.hash,
        story.len(),
        run.trace.len()
    );
    for (n, step) in story.iter().enumerate() {
        text.push_str(&format!("  {:>3} {step:?}\n", n + 1));
    }
    text.push_str("  then all is calm\n");
    text
}
