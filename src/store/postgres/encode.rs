//! How values are written into PostgreSQL's types and read back.

use std::borrow::Cow;
use std::io::Write;

use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Json, Timestamptz};

use super::failure::Failure;
use crate::ports::ledger::Shard;
use crate::saga::id::Timestamp;
pub(super) use crate::store::encode::{
    corrupt, event, from_json, integer, json, named, natural, state,
};

/// A moment as a `timestamptz`. What PostgreSQL's calendar can't hold is `infinity`, which is read
/// back as the last moment there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = Timestamptz)]
pub(super) struct Moment(pub Timestamp);

/// Microseconds from 1970 to 2000, where PostgreSQL begins to count.
const FROM_1970_TO_2000: i64 = 946_684_800_000_000;

/// The first moment that a `timestamptz` can't hold, the beginning of the year 294277, as PostgreSQL
/// counts.
const END: i64 = 9_223_371_331_200_000_000;

/// The first moment that it can hold, in the year 4714 BC, as PostgreSQL counts.
const BEGINNING: i64 = -211_813_488_000_000_000;

impl ToSql<Timestamptz, Pg> for Moment {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        let since_2000 = match self.0.0.saturating_sub(FROM_1970_TO_2000) {
            late if late >= END => i64::MAX,
            early if early < BEGINNING => i64::MIN,
            micros => micros,
        };
        ToSql::<BigInt, Pg>::to_sql(&since_2000, &mut out.reborrow())
    }
}

impl FromSql<Timestamptz, Pg> for Moment {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        let since_2000: i64 = FromSql::<BigInt, Pg>::from_sql(value)?;
        Ok(Self(Timestamp(match since_2000 {
            i64::MAX | i64::MIN => since_2000,
            micros => micros.saturating_add(FROM_1970_TO_2000),
        })))
    }
}

/// A JSON text as a `json`, byte by byte.
#[derive(Clone, Debug, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Json)]
pub(super) struct Document(pub String);

impl ToSql<Json, Pg> for Document {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        out.write_all(self.0.as_bytes())?;
        Ok(IsNull::No)
    }
}

impl FromSql<Json, Pg> for Document {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(std::str::from_utf8(value.as_bytes())?.to_owned()))
    }
}

/// A value as JSON.
pub(super) fn document<T: serde::Serialize>(value: &T) -> Result<Document, Failure> {
    json(value).map(Document)
}

/// Reads a shard's number.
pub(super) fn shard(stored: i32) -> Result<Shard, Failure> {
    Shard::try_from(stored).map_err(|error| corrupt("a shard", error))
}

/// A text from an untrusted message without zero characters, which PostgreSQL can't store.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}").into(),
        false => text.into(),
    }
}
