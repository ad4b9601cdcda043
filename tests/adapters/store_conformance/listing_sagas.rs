//! Lists of sagas.

use skald::ports::queries::SagaFilter;
use skald::saga::id::SagaId;
use skald::saga::state::{Phase, SagaStatus};

use super::sample;
use super::stage::{Owner, Stage};

fn page(stage: &Stage, filter: &SagaFilter, before: Option<u64>, limit: u32) -> Vec<SagaId> {
    let sagas = stage.queries.sagas(filter, before.map(sample::saga_id), limit).unwrap();
    sagas.into_iter().map(|saga| saga.id).collect()
}

fn all(stage: &Stage, filter: &SagaFilter) -> Vec<SagaId> {
    page(stage, filter, None, 100)
}

fn ids<const N: usize>(numbers: [u64; N]) -> [SagaId; N] {
    numbers.map(sample::saga_id)
}

fn with_status(status: SagaStatus) -> SagaFilter {
    SagaFilter { status: Some(status), ..SagaFilter::default() }
}

fn with_definition(name: &str) -> SagaFilter {
    SagaFilter { definition: Some(name.into()), ..SagaFilter::default() }
}

fn with_text(text: &str) -> SagaFilter {
    SagaFilter { text: Some(text.to_owned()), ..SagaFilter::default() }
}

/// Writes a saga that has completed.
fn ended(owner: &Owner, n: u64, definition: &str, key: &str) {
    let entry = sample::born(n, definition, key);
    let saga = entry.saga.clone();
    owner.write(entry);
    owner.go_on(&saga, |saga| sample::changed(saga, |saga| saga.state.phase = Phase::Completed));
}

/// Eight sagas: odd ones are trips, even ones tours; 3, 4, 7 and 8 have completed.
fn eight_sagas(stage: &Stage) {
    let owner = stage.owner();
    for n in [5, 1, 8, 3, 7, 2, 4, 6] {
        let definition = if n % 2 == 1 { "trip" } else { "tour" };
        let key = format!("key-{n}");
        match n {
            3 | 4 | 7 | 8 => ended(&owner, n, definition, &key),
            _ => drop(owner.write(sample::born(n, definition, &key))),
        }
    }
}

pub fn sagas_come_newest_first_and_page_by_page(stage: Stage) {
    eight_sagas(&stage);
    let any = SagaFilter::default();
    assert_eq!(all(&stage, &any), ids([8, 7, 6, 5, 4, 3, 2, 1]));
    assert_eq!(page(&stage, &any, None, 3), ids([8, 7, 6]));
    assert_eq!(page(&stage, &any, Some(6), 3), ids([5, 4, 3]));
    assert_eq!(page(&stage, &any, Some(3), 3), ids([2, 1]));
}

pub fn sagas_are_found_by_status(stage: Stage) {
    eight_sagas(&stage);
    assert_eq!(all(&stage, &with_status(SagaStatus::Completed)), ids([8, 7, 4, 3]));
    assert_eq!(all(&stage, &with_status(SagaStatus::Running)), ids([6, 5, 2, 1]));
    assert_eq!(all(&stage, &with_status(SagaStatus::Cancelled)), []);
    assert_eq!(page(&stage, &with_status(SagaStatus::Completed), Some(8), 2), ids([7, 4]));
}

pub fn sagas_are_found_by_definition(stage: Stage) {
    eight_sagas(&stage);
    assert_eq!(all(&stage, &with_definition("trip")), ids([7, 5, 3, 1]));
    assert_eq!(page(&stage, &with_definition("tour"), Some(6), 1), ids([4]));
    assert_eq!(all(&stage, &with_definition("tou")), []);
}

pub fn sagas_are_found_by_definition_and_status(stage: Stage) {
    eight_sagas(&stage);
    let both = SagaFilter { status: Some(SagaStatus::Completed), ..with_definition("trip") };
    assert_eq!(all(&stage, &both), ids([7, 3]));
    assert_eq!(page(&stage, &both, Some(7), 10), ids([3]));
}

pub fn sagas_are_found_by_the_beginning_of_their_id(stage: Stage) {
    eight_sagas(&stage);
    let text = sample::saga_id(5).to_string();
    assert_eq!(all(&stage, &with_text(&text)), ids([5]));
    assert_eq!(all(&stage, &with_text(&text[..8])), ids([8, 7, 6, 5, 4, 3, 2, 1]));
    assert_eq!(page(&stage, &with_text(&text[..13]), Some(5), 2), ids([4, 3]));
    assert_eq!(all(&stage, &with_text(&text[1..])), []);
}

pub fn sagas_are_found_by_the_beginning_of_their_key(stage: Stage) {
    let owner = stage.owner();
    for (n, key) in [(1, "Straße 1"), (2, "Straße 2"), (3, "Strasse"), (4, "str"), (5, "Straße")]
    {
        owner.write(sample::born(n, "trip", key));
    }
    assert_eq!(all(&stage, &with_text("Straß")), ids([5, 2, 1]));
    assert_eq!(all(&stage, &with_text("Straße ")), ids([2, 1]));
    assert_eq!(page(&stage, &with_text("Str"), Some(5), 2), ids([3, 2]));
    assert_eq!(all(&stage, &with_text("traße")), []);
    assert_eq!(all(&stage, &with_text("")), ids([5, 4, 3, 2, 1]));
}

pub fn a_text_is_taken_literally(stage: Stage) {
    let owner = stage.owner();
    for (n, key) in [(1, "100%"), (2, "100"), (3, "a_b"), (4, "axb"), (5, "c\\d"), (6, "c*")] {
        owner.write(sample::born(n, "trip", key));
    }
    assert_eq!(all(&stage, &with_text("100%")), ids([1]));
    assert_eq!(all(&stage, &with_text("a_")), ids([3]));
    assert_eq!(all(&stage, &with_text("c\\")), ids([5]));
    assert_eq!(all(&stage, &with_text("c*")), ids([6]));
    assert_eq!(all(&stage, &with_text("%")), []);
}

pub fn a_text_narrows_the_other_conditions(stage: Stage) {
    eight_sagas(&stage);
    let id = sample::saga_id(1).to_string();
    for text in ["key-", &id[..8]] {
        let trips = SagaFilter { text: Some(text.into()), ..with_definition("trip") };
        assert_eq!(all(&stage, &trips), ids([7, 5, 3, 1]), "{text}");
        let ended = SagaFilter { status: Some(SagaStatus::Completed), ..trips };
        assert_eq!(all(&stage, &ended), ids([7, 3]), "{text}");
        assert_eq!(page(&stage, &ended, Some(7), 1), ids([3]), "{text}");
    }
}

pub fn a_key_that_very_many_sagas_share_is_listed_page_by_page(stage: Stage) {
    let owner = stage.owner();
    let entries = (1..=2_500).map(|n| {
        let key = if n % 2 == 0 { "shared" } else { "own" };
        sample::born(n, if n % 3 == 0 { "trip" } else { "tour" }, key)
    });
    owner.commit(entries.collect()).unwrap();
    assert_eq!(page(&stage, &with_text("shar"), None, 3), ids([2500, 2498, 2496]));
    assert_eq!(page(&stage, &with_text("shar"), Some(5), 3), ids([4, 2]));
    let trips = SagaFilter { text: Some("shar".into()), ..with_definition("trip") };
    assert_eq!(page(&stage, &trips, Some(2_490), 3), ids([2484, 2478, 2472]));
}
