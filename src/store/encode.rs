//! How values are written into columns and read back, whatever the database.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::saga::event::{EVENT_FORMAT, Event};
use crate::saga::id::Sequence;
use crate::saga::state::{STATE_FORMAT, State};

/// Writes a count or a version as databases know it.
pub(super) fn integer(value: u64) -> Result<i64, Failure> {
    i64::try_from(value).map_err(|_| Failure::Refused(format!("{value} is too large to store")))
}

/// Reads what [`integer`] wrote.
pub(super) fn natural(value: i64) -> Result<Sequence, Failure> {
    u64::try_from(value).map_err(|_| Failure::Corrupt {
        place: "a counter".to_owned(),
        cause: format!("{value} is negative"),
    })
}

/// Writes a value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::Refused(error.to_string()))
}

/// Reads a value from JSON; `place` says where it was, should it be unreadable.
pub(super) fn from_json<T: DeserializeOwned>(
    text: &str,
    place: impl FnOnce() -> String,
) -> Result<T, Failure> {
    serde_json::from_str(text).map_err(|error| corrupt(place(), error))
}

/// Reads one of a closed set of names.
pub(super) fn named<T>(
    text: &str,
    parse: impl FnOnce(&str) -> Option<T>,
    place: impl FnOnce() -> String,
) -> Result<T, Failure> {
    parse(text).ok_or_else(|| corrupt(place(), format!("{text:?} is not known")))
}

/// Reads an event.
pub(super) fn event(
    format: i64,
    text: &str,
    place: impl FnOnce() -> String,
) -> Result<Event, Failure> {
    if format != i64::from(EVENT_FORMAT) {
        return Err(unknown_format(place(), format, EVENT_FORMAT));
    }
    from_json(text, place)
}

/// Reads a saga's state.
pub(super) fn state(
    format: i64,
    text: &str,
    place: impl FnOnce() -> String,
) -> Result<State, Failure> {
    if format != i64::from(STATE_FORMAT) {
        return Err(unknown_format(place(), format, STATE_FORMAT));
    }
    from_json(text, place)
}

fn unknown_format(place: String, found: i64, known: i32) -> Failure {
    corrupt(place, format!("it has format {found}; this program knows format {known}"))
}

/// What was read at `place` makes no sense.
pub(super) fn corrupt(place: impl Into<String>, cause: impl ToString) -> Failure {
    Failure::Corrupt { place: place.into(), cause: cause.to_string() }
}
