//! Values that are carried along: JSON, ids, names.

use std::collections::HashSet;

use skald::saga::json::Json;
use skald::saga::state::SagaStatus;

use crate::scenario::SAGA;

#[test]
fn values_are_told_apart_by_their_texts() {
    let texts = [Json::of(&1).unwrap(), Json::of(&"1").unwrap(), Json::null()];
    assert_ne!(texts[0], texts[1]);
    assert_eq!(texts[0], Json::of(&1).unwrap());
    let digests: HashSet<u64> = texts.iter().map(digest).collect();
    assert_eq!(digests.len(), texts.len());
    assert_eq!(format!("{:?}", texts[1]), r#""1""#);
}

fn digest(value: &Json) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(value)
}

#[test]
fn an_id_is_shown_as_it_is_written() {
    assert_eq!(format!("{SAGA:?}"), SAGA.to_string());
}

#[test]
fn a_status_is_found_by_its_name() {
    for status in SagaStatus::ALL {
        assert_eq!(SagaStatus::parse(status.as_str()), Some(status));
    }
    assert_eq!(SagaStatus::parse("running"), None);
}
