//! All models, and how they fare with each known mistake.

use super::{Budget, Found, Model, check, unlike};
use crate::world::Setting;
use crate::world::step::Step;

/// In how many worlds of each model mistakes are looked for.
const NEAR: usize = 200_000;

/// In how many worlds of each model it is tried whether they are told apart.
const NEAREST: usize = 20_000;

const NONE: Budget = Budget { crashes: 0, doubles: 0, losses: 0, wishes: 0, expiries: 0, waits: 0 };

/// The settings that are checked, small ones first.
fn models() -> Vec<Model> {
    let one = Setting {
        nodes: 1,
        workers: 1,
        stock: 2,
        orders: vec![(1, true)],
        command_deliveries: 20,
        new: false,
    };
    let two_nodes = Setting { nodes: 2, ..one.clone() };
    let scarce = Setting { stock: 1, orders: vec![(1, true); 2], ..one.clone() };
    let plenty = Setting { stock: 2, ..scarce.clone() };
    let crash = Budget { crashes: 1, ..NONE };
    let takeover = Budget { expiries: 1, ..crash };
    let model = |name, setting: &Setting, budget| Model { name, setting: setting.clone(), budget };
    vec![
        model(
            "1 order, workers that were never there, a wish, time twice over",
            &Setting { new: true, ..one.clone() },
            Budget { wishes: 1, waits: 2, ..NONE },
        ),
        model(
            "1 order, 2 workers of each kind, a double",
            &Setting { workers: 2, ..one.clone() },
            Budget { doubles: 1, ..NONE },
        ),
        model("1 order, time four times over", &one, Budget { waits: 4, ..NONE }),
        model(
            "1 order, 2 nodes, a crash and takeover, a loss, time",
            &two_nodes,
            Budget { losses: 1, waits: 1, ..takeover },
        ),
        model(
            "2 orders, stock 1, 2 nodes, a crash and takeover",
            &Setting { nodes: 2, ..scarce.clone() },
            takeover,
        ),
        model(
            "1 order, 2 nodes, 2 crashes and takeovers, a loss",
            &two_nodes,
            Budget { crashes: 2, expiries: 2, losses: 1, ..NONE },
        ),
        model("2 orders, stock 2, a crash, a loss", &plenty, Budget { losses: 1, ..crash }),
        model("2 orders, stock 1, a crash, a double", &scarce, Budget { doubles: 1, ..crash }),
        model("2 orders, stock 1, a crash, a loss", &scarce, Budget { losses: 1, ..crash }),
        model(
            "1 order, 2 nodes, a crash and takeover, a double, a loss, a wish",
            &two_nodes,
            Budget { doubles: 1, losses: 1, wishes: 1, ..takeover },
        ),
        model("2 orders, stock 1, a crash, a wish", &scarce, Budget { wishes: 1, ..crash }),
    ]
}

/// Checks every model, of at most so many worlds each; tells whether all were seen, all promises are
/// kept and each known mistake is found.
pub fn all(most: usize) -> bool {
    let (mut clean, mut states, mut seconds) = (true, 0, 0.0);
    for model in models() {
        let found = check(&model, most);
        tell(&model, &found);
        clean &= found.broken.is_none() && found.complete && are_told_apart(&model);
        states += found.states;
        seconds += found.took.as_secs_f64();
    }
    let (known, missed) = mistakes();
    println!(
        "{states} states in {seconds:.1} s, {}; {} of {known} known mistakes found",
        if clean { "clean" } else { "NOT clean" },
        known - missed
    );
    clean && missed == 0
}

/// Checks the model at this place of the list.
pub fn one(most: usize, place: usize) -> bool {
    let Some(model) = models().into_iter().nth(place) else { return false };
    let found = check(&model, most);
    tell(&model, &found);
    found.broken.is_none() && are_told_apart(&model)
}

fn tell(model: &Model, found: &Found) {
    let Found { states, transitions, ends, depth, complete, took, broken } = found;
    let seen = if *complete { "all" } else { "not all" };
    println!(
        "{}: {states} states ({seen}), {transitions} transitions, {ends} ends, depth {depth}, {:.1} s",
        model.name,
        took.as_secs_f64()
    );
    if let Some((story, broken)) = broken {
        println!("  breaks a promise: {broken}");
        print(story);
    }
}

/// Whether those of the nearest worlds that count as the same lead on to the same worlds.
fn are_told_apart(model: &Model) -> bool {
    let Some([one, other]) = unlike(model, NEAREST) else { return true };
    println!("  two worlds count as the same and are not, after");
    print(&one);
    println!("  and after");
    print(&other);
    false
}

fn print(story: &[Step]) {
    for (n, step) in story.iter().enumerate() {
        println!("  {:>3} {step:?}", n + 1);
    }
}

/// Switches each known mistake on in turn. Returns how many there are, and how many were not found.
#[cfg(feature = "seeded-bugs")]
fn mistakes() -> (usize, usize) {
    use skald::seeded::{Bug, switch};
    let is_found = |bug: &Bug| {
        switch(Some(*bug));
        let found = models().into_iter().find_map(|model| {
            let Found { broken, states, .. } = check(&model, NEAR);
            let (story, broken) = broken?;
            Some((model.name, states, story.len(), broken))
        });
        match &found {
            Some((model, states, steps, broken)) => println!(
                "{bug:?}: found in \"{model}\" after {states} states, {steps} steps: {broken}"
            ),
            None => println!("{bug:?}: NOT found"),
        }
        found.is_some()
    };
    let found = Bug::ALL.iter().filter(|bug| is_found(bug)).count();
    switch(None);
    (Bug::ALL.len(), Bug::ALL.len() - found)
}

#[cfg(not(feature = "seeded-bugs"))]
fn mistakes() -> (usize, usize) {
    (0, 0)
}
