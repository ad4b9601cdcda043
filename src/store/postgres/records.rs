//! What workers remember: one row for each step of each saga, in either worker's schema.
//!
//! A transaction locks the rows that are there, in the order of their keys, and makes the missing
//! ones only when it knows what to put in them. If another one made such a row meanwhile, it is done
//! over, and finds the row.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Json, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::encode::{Document, document, from_json};
use super::failure::{Failure, overtaken};
use super::statement::Statement;
use crate::ports::work::{RecordKey, WorkRecord};
use crate::saga::id::SagaId;

/// The statements about the records of one of the schemas.
pub(super) struct Records {
    /// Locks rows in the order of their keys, and reads them as they are then.
    pub lock: &'static str,
    /// Makes rows, unless they are there.
    pub make: &'static str,
    /// Writes rows that are locked.
    pub write: &'static str,
}

/// Declares the statements about the records of a schema.
macro_rules! records_of {
    ($schema:literal) => {
        $crate::store::postgres::records::Records {
            lock: concat!(
                "SELECT r.saga, r.step, r.record FROM unnest(?, ?) AS n (saga, step) JOIN ",
                $schema,
                ".work_records AS r ON r.saga = n.saga AND r.step = n.step
                 ORDER BY r.saga, r.step FOR UPDATE OF r"
            ),
            make: concat!(
                "INSERT INTO ",
                $schema,
                ".work_records (saga, step, record) SELECT * FROM unnest(?, ?, ?)
                 ON CONFLICT (saga, step) DO NOTHING"
            ),
            write: concat!(
                "UPDATE ",
                $schema,
                ".work_records AS r SET record = n.record
                 FROM unnest(?, ?, ?) AS n (saga, step, record)
                 WHERE r.saga = n.saga AND r.step = n.step"
            ),
        }
    };
}
pub(super) use records_of;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    saga: Uuid,
    #[diesel(sql_type = Text)]
    step: String,
    #[diesel(sql_type = Nullable<Json>)]
    record: Option<Document>,
}

/// Records, of which those that were there are locked until the end of the transaction.
pub(super) struct Locked {
    /// All of them; new ones are empty.
    pub records: BTreeMap<RecordKey, WorkRecord>,
    /// Those that were there.
    pub known: BTreeSet<RecordKey>,
}

/// The columns of a list of keys.
pub(super) fn columns<'a>(
    keys: impl IntoIterator<Item = &'a RecordKey>,
) -> (Vec<Uuid>, Vec<&'a str>) {
    keys.into_iter().map(|key| (key.saga.0, key.step.as_str())).unzip()
}

impl Records {
    /// Reads the records `keys`, and locks those that are there.
    pub fn lock(
        &self,
        connection: &mut PgConnection,
        keys: &BTreeSet<RecordKey>,
    ) -> Result<Locked, Failure> {
        let mut records: BTreeMap<RecordKey, WorkRecord> =
            keys.iter().map(|key| (key.clone(), WorkRecord::default())).collect();
        let mut known = BTreeSet::new();
        if keys.is_empty() {
            return Ok(Locked { records, known });
        }
        let (sagas, steps) = columns(keys);
        let rows: Vec<Row> = Statement::new(self.lock)
            .bind::<Array<SqlUuid>, _>(sagas)
            .bind::<Array<Text>, _>(steps)
            .load(connection)?;
        for Row { saga, step, record } in rows {
            let key = RecordKey { saga: SagaId(saga), step: step.as_str().into() };
            let place = || format!("the record of {saga}:{step}");
            if let Some(text) = record {
                records.insert(key.clone(), from_json(&text.0, place)?);
            }
            known.insert(key);
        }
        Ok(Locked { records, known })
    }

    /// Writes records, whole; `known` are locked.
    pub fn write(
        &self,
        connection: &mut PgConnection,
        known: &BTreeSet<RecordKey>,
        records: &BTreeMap<RecordKey, WorkRecord>,
    ) -> Result<(), Failure> {
        let (old, new): (Vec<_>, Vec<_>) = records.iter().partition(|(key, _)| known.contains(key));
        let wanted = new.len();
        if put(self.make, connection, new)? < wanted {
            return Err(overtaken("a record was made by somebody else meanwhile"));
        }
        put(self.write, connection, old)?;
        Ok(())
    }
}

/// Runs a statement that writes records, if there are any; tells how many it wrote.
fn put(
    statement: &'static str,
    connection: &mut PgConnection,
    records: Vec<(&RecordKey, &WorkRecord)>,
) -> Result<usize, Failure> {
    if records.is_empty() {
        return Ok(0);
    }
    let (keys, records): (Vec<&RecordKey>, Vec<&WorkRecord>) = records.into_iter().unzip();
    let (sagas, steps) = columns(keys);
    let documents = records.into_iter().map(document).collect::<Result<Vec<_>, _>>()?;
    let written = Statement::new(statement)
        .bind::<Array<SqlUuid>, _>(sagas)
        .bind::<Array<Text>, _>(steps)
        .bind::<Array<Json>, _>(documents)
        .execute(connection)?;
    Ok(written)
}
