//! All models, and how they fare with each known mistake.

use crate::model::{Found, Model, check, models};

/// Checks every model, of at most so many worlds each; tells whether all keep their promises and each
/// known mistake that can be told in one of them is found.
pub fn all(most: usize) -> bool {
    let threads = std::env::var("SIM_THREADS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let mut clean = true;
    let (mut states, mut seconds) = (0, 0.0);
    for model in models() {
        let found = check(&model, most, threads);
        tell(&model, &found);
        clean &= found.broken.is_none() && (found.complete || !model.whole);
        states += found.states;
        seconds += found.took.as_secs_f64();
    }
    let mistakes = mistakes(most / 10, threads);
    println!(
        "{states} states in {seconds:.1} s, {}; {mistakes}",
        if clean { "clean" } else { "NOT clean" }
    );
    clean
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
        for (n, step) in story.iter().enumerate() {
            println!("  {:>3} {step:?}", n + 1);
        }
    }
}

/// Switches each known mistake on in turn.
#[cfg(feature = "seeded-bugs")]
fn mistakes(most: usize, threads: usize) -> String {
    use skald::seeded::{Bug, switch};
    let mut found = Vec::new();
    let mut missed = Vec::new();
    for &bug in Bug::ALL {
        switch(Some(bug));
        let story = models().iter().find_map(|model| {
            let Found { broken, states, .. } = check(model, most, threads);
            let (story, broken) = broken?;
            println!(
                "{bug:?}: found in \"{}\" after {states} states, {} steps: {broken}",
                model.name,
                story.len()
            );
            Some(())
        });
        match story {
            Some(()) => found.push(bug),
            None => missed.push(bug),
        }
    }
    switch(None);
    format!("{} of {} known mistakes found, not {missed:?}", found.len(), Bug::ALL.len())
}

#[cfg(not(feature = "seeded-bugs"))]
fn mistakes(_: usize, _: usize) -> String {
    "no known mistake is built in".to_owned()
}
