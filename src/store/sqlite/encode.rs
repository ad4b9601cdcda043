//! How values are written into columns and read back.

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::Binary;
use diesel::sqlite::{Sqlite, SqliteValue};
use uuid::Uuid;

use super::failure::Failure;
use crate::ports::ledger::{Seq, Shard};
pub(super) use crate::store::encode::{
    corrupt, event, from_json, integer, json, named, natural, state,
};

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
