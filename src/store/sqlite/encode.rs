//! How values are written into columns and read back.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Binary;
use diesel::sqlite::{Sqlite, SqliteValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::failure::Failure;
use crate::ports::ledger::{Seq, Shard};
use crate::saga::event::{EVENT_FORMAT, Event};
use crate::saga::id::Sequence;
use crate::saga::state::{STATE_FORMAT, State};

/// An id in its 16 bytes, in which it sorts by birth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = Binary)]
pub(super) struct Id(pub Uuid);

impl ToSql<Binary, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<Binary, Sqlite> for Id {
    fn from_sql(mut value: SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.read_blob())?))
    }
}

/// Bits of a history position that hold the sequence number within the shard: enough for a hundred
/// thousand events a second during ninety years.
const SEQ_BITS: u32 = 48;

/// The most shards that fit above them.
pub(super) const MAX_SHARDS: Shard = 1024;

/// The place of a history row among those of all shards.
pub(super) fn position(shard: Shard, seq: Seq) -> Result<i64, Failure> {
    let beyond = || Failure::Refused(format!("history position {shard}/{seq} is out of range"));
    if shard >= MAX_SHARDS || seq >> SEQ_BITS != 0 {
        return Err(beyond());
    }
    i64::try_from(u64::from(shard) << SEQ_BITS | seq).map_err(|_| beyond())
}

/// The sequence number within its shard of the history row at `position`.
pub(super) fn seq_at(position: i64) -> Seq {
    position.unsigned_abs() & ((1 << SEQ_BITS) - 1)
}

/// Writes a count or a version as SQLite knows it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_sort_by_shard_and_then_by_seq() {
        let last = (1 << SEQ_BITS) - 1;
        let positions =
            [(0, 1), (0, last), (1, 0), (1, 7), (MAX_SHARDS - 1, last)].map(|(shard, seq)| {
                let position = position(shard, seq).unwrap();
                assert_eq!(seq_at(position), seq);
                position
            });
        assert!(positions.is_sorted() && positions[0] > 0);
    }

    #[test]
    fn a_position_beyond_the_end_is_refused() {
        assert!(position(0, 1 << SEQ_BITS).is_err());
        assert!(position(MAX_SHARDS, 0).is_err());
    }
}
