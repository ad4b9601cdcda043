//! Every message was processed or is a dead letter; nothing waits to be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use skald::saga::event::{Doubt, Event};

use super::books::Books;
use super::{Violations, saga_of};

/// How often each event was heard.
pub type Heard = BTreeMap<String, usize>;

pub fn check(books: &Books, heard: Option<&Heard>, violations: &mut Violations) {
    for shard in &books.shards {
        let all_sent = [shard.commands_mark, shard.events_mark] == [shard.last_seq; 2];
        violations.unless(all_sent, shard.shard, format!("messages are not confirmed: {shard:?}"));
        violations.unless(shard.rows == shard.last_seq, shard.shard, format!("a gap: {shard:?}"));
    }
    violations.unless(books.undone == 0, books.undone, "wishes or decisions are not carried out");
    for letter in &books.letters {
        let known = saga_of(&letter.message_id);
        let known = known.is_some_and(|it| books.since.is_some() || books.sagas.contains_key(&it));
        violations.unless(known, &letter.message_id, format!("a letter of nobody: {letter:?}"));
    }
    let Some(heard) = heard else { return };
    let expected = expected(books);
    let found: BTreeSet<&String> = heard.keys().filter(|id| saga_of(id) > books.since).collect();
    for id in expected.iter().filter(|id| !found.contains(id)) {
        violations.note(id, "an event that was not heard");
    }
    for id in found.into_iter().filter(|id| !expected.contains(*id)) {
        violations.note(id, "was heard and never happened");
    }
}

/// The ids of the events that the histories have to tell of.
pub fn expected(books: &Books) -> BTreeSet<String> {
    let histories = books.sagas.iter();
    histories
        .flat_map(|(saga, it)| {
            let told = it.history.iter().filter(|(_, event)| is_told(event));
            told.map(move |(position, _)| format!("{saga}:{position}"))
        })
        .collect()
}

/// Whether the world hears of it (docs/contracts.md).
fn is_told(event: &Event) -> bool {
    match event {
        Event::SagaStarted(_)
        | Event::StepSucceeded { .. }
        | Event::StepFailed { .. }
        | Event::StepUndone { .. }
        | Event::RolledBack { .. }
        | Event::AttentionRaised { .. } => true,
        Event::StepGivenUp { doubt, .. } => matches!(doubt, Doubt::RefusedLate(_)),
        _ => false,
    }
}

/// The events in the file of a listener.
pub fn heard_in(file: &Path) -> Heard {
    let text = fs::read_to_string(file).unwrap();
    let mut heard = Heard::new();
    for event in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        *heard.entry(event["id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    heard
}
