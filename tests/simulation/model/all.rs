//! All models, and how they fare with each known mistake.

use super::{Budget, Found, Model, check, unlike};
use crate::world::step::Step;
use crate::world::{Also, Setting};

/// In how many worlds of each model mistakes are looked for.
const NEAR: usize = 200_000;

/// In how many worlds of each model it is tried whether they are told apart.
const NEAREST: usize = 20_000;

const NONE: Budget = Budget { crashes: 0, doubles: 0, losses: 0, wishes: 0, expiries: 0, waits: 0 };

/// The smallest setting.
fn one_order() -> Setting {
    Setting {
        nodes: 1,
        workers: 1,
        stock: 2,
        orders: vec![(1, Also::Nothing, true)],
        command_deliveries: 20,
        new: false,
    }
}

/// The settings that are checked, small ones first.
fn models() -> Vec<Model> {
    let one = one_order();
    let two_nodes = Setting { nodes: 2, ..one.clone() };
    let scarce = Setting { stock: 1, orders: vec![(1, Also::Nothing, true); 2], ..one.clone() };
    let plenty = Setting { stock: 2, ..scarce.clone() };
    let crash = Budget { crashes: 1, ..NONE };
    let takeover = Budget { expiries: 1, ..crash };
    let model = |name, setting: &Setting, budget| Model::new(name, setting.clone(), budget);
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
            "1 order, 2 nodes, a crash and takeover, a loss",
            &two_nodes,
            Budget { losses: 1, ..takeover },
        ),
        model(
            "1 order, 2 nodes, a crash and takeover, time",
            &two_nodes,
            Budget { waits: 1, ..takeover },
        ),
        model(
            "1 order, 2 nodes, a crash and takeover, a double, a loss",
            &two_nodes,
            Budget { doubles: 1, losses: 1, ..takeover },
        ),
        model(
            "1 order, 2 nodes, 2 crashes and takeovers",
            &two_nodes,
            Budget { crashes: 2, expiries: 2, ..NONE },
        ),
        model(
            "1 order, 2 nodes, a crash, a double, a loss, a wish",
            &two_nodes,
            Budget { doubles: 1, losses: 1, wishes: 1, ..crash },
        ),
        model(
            "1 order, 2 nodes, a crash and takeover, a double, a wish",
            &two_nodes,
            Budget { doubles: 1, wishes: 1, ..takeover },
        ),
        model(
            "1 order, 2 nodes, a crash and takeover, a loss, a wish",
            &two_nodes,
            Budget { losses: 1, wishes: 1, ..takeover },
        ),
        model("2 orders, stock 2, a crash, a loss", &plenty, Budget { losses: 1, ..crash }),
        model("2 orders, stock 1, a crash, a double", &scarce, Budget { doubles: 1, ..crash }),
        model("2 orders, stock 1, a crash, a loss", &scarce, Budget { losses: 1, ..crash }),
        model("2 orders, stock 1, a crash, a wish", &scarce, Budget { wishes: 1, ..crash }),
        model(
            "2 orders, stock 1, 2 nodes, a crash and takeover",
            &Setting { nodes: 2, ..scarce.clone() },
            takeover,
        ),
    ]
}

/// The setting with every trouble at once. It takes as long as all others together, several times over.
fn with_every_trouble() -> Model {
    let setting = Setting { nodes: 2, ..one_order() };
    let budget = Budget { crashes: 1, doubles: 1, losses: 1, wishes: 1, expiries: 1, waits: 0 };
    let name = "1 order, 2 nodes, a crash and takeover, a double, a loss, a wish";
    Model::new(name, setting, budget)
}

/// One that has too many worlds to see them all. Mistakes are looked for in the nearest.
#[cfg(feature = "seeded-bugs")]
fn wide() -> Model {
    let setting = Setting { nodes: 2, orders: vec![(1, Also::Nothing, true); 2], ..one_order() };
    let budget = Budget { crashes: 1, losses: 1, expiries: 1, ..NONE };
    let name = "2 orders, stock 2, 2 nodes, a crash and takeover, a loss";
    Model::new(name, setting, budget)
}

/// Checks every model, of at most so many worlds each; tells whether all were seen, all promises are
/// kept and each known mistake is found.
pub fn all(most: usize) -> bool {
    let (mut clean, mut states, mut seconds) = (true, 0, 0.0);
    for model in models() {
        let found = check(&model, most);
        clean &= is_clean(&model, &found);
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
    models().get(place).is_some_and(|model| is_clean(model, &check(model, most)))
}

/// Checks the model with every trouble at once.
pub fn everything(most: usize) -> bool {
    let model = with_every_trouble();
    is_clean(&model, &check(&model, most))
}

/// Tells what was found, and whether all was seen and is as it has to be.
fn is_clean(model: &Model, found: &Found) -> bool {
    tell(model, found);
    found.broken.is_none() && is_whole(model, found) && are_told_apart(model)
}

/// Whether every world was seen, and all that can go wrong in this model went wrong in some.
fn is_whole(model: &Model, found: &Found) -> bool {
    let taken_over = found.taken_over > 0 || model.budget.expiries == 0;
    if !taken_over {
        println!("  no shard was ever taken over");
    }
    if found.spent == 0 {
        println!("  not all troubles ever came");
    }
    found.complete && taken_over && found.spent > 0
}

fn tell(model: &Model, found: &Found) {
    let Found { states, transitions, ends, taken_over, complete, took, broken, .. } = found;
    let seen = if *complete { "all" } else { "not all" };
    println!(
        "{}: {states} states ({seen}), {transitions} transitions, {taken_over} taken over, {} ends, {:.1} s",
        model.name,
        ends.len(),
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

/// Switches each known mistake on in turn. Returns how many there are that can be found, and how many
/// were not.
#[cfg(feature = "seeded-bugs")]
fn mistakes() -> (usize, usize) {
    use skald::seeded::{Bug, switch};
    let is_found = |bug: &Bug| {
        if let Some(why) = beyond(*bug) {
            println!("{bug:?}: can't be expressed: {why}");
            return false;
        }
        switch(Some(*bug));
        let found = models().into_iter().chain([wide()]).find_map(|model| {
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
    let only = std::env::var("SIM_BUG").ok();
    let wanted = |bug: &&Bug| only.as_ref().is_none_or(|only| *only == format!("{bug:?}"));
    let tried: Vec<_> = Bug::ALL.iter().filter(wanted).collect();
    let found = tried.iter().filter(|bug| is_found(bug)).count();
    let expressible = tried.iter().filter(|bug| beyond(***bug).is_none()).count();
    switch(None);
    (expressible, expressible - found)
}

/// Why no model can express a mistake.
#[cfg(feature = "seeded-bugs")]
fn beyond(bug: skald::seeded::Bug) -> Option<&'static str> {
    use skald::seeded::Bug;
    match bug {
        Bug::EventsHoldUpCommands => Some("every queue takes events sooner or later"),
        Bug::FullPageIsLast => Some("no history is longer than a page"),
        Bug::VersionIgnored | Bug::VersionRefused => Some("nobody wishes anything of a version"),
        Bug::ShardKeptIdle => Some("no time passes between the end of trust and that of the lease"),
        _ => None,
    }
}

#[cfg(not(feature = "seeded-bugs"))]
fn mistakes() -> (usize, usize) {
    (0, 0)
}
