//! What workers remember: one row for each step of each saga, in either worker's schema.
//!
//! A transaction first makes the rows that are missing, in the order of their keys, then locks those
//! that were there, in the same order. Whoever comes second waits at the first row that both want.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Json, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::encode::{Document, document, from_json};
use super::failure::Failure;
use super::statement::Statement;
use crate::ports::work::{RecordKey, WorkRecord};
use crate::saga::id::SagaId;

/// The statements about the records of one of the schemas.
pub(super) struct Records {
    /// Makes missing rows; tells which.
    pub make: &'static str,
    /// Locks rows in the order of their keys, and reads them as they are then.
    pub lock: &'static str,
    /// Writes rows.
    pub write: &'static str,
}

/// Declares the statements about the records of a schema.
macro_rules! records_of {
    ($schema:literal) => {
        $crate::store::postgres::records::Records {
            make: concat!(
                "INSERT INTO ",
                $schema,
                ".work_records (saga, step) SELECT * FROM unnest(?, ?)
                 ON CONFLICT (saga, step) DO NOTHING RETURNING saga, step"
            ),
            lock: concat!(
                "SELECT r.saga, r.step, r.record FROM unnest(?, ?) AS n (saga, step) JOIN ",
                $schema,
                ".work_records AS r ON r.saga = n.saga AND r.step = n.step
                 ORDER BY r.saga, r.step FOR UPDATE OF r"
            ),
            write: concat!(
                "INSERT INTO ",
                $schema,
                ".work_records (saga, step, record) SELECT * FROM unnest(?, ?, ?)
                 ON CONFLICT (saga, step) DO UPDATE SET record = excluded.record"
            ),
        }
    };
}
pub(super) use records_of;

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = SqlUuid)]
    saga: Uuid,
    #[diesel(sql_type = Text)]
    step: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(embed)]
    key: Key,
    #[diesel(sql_type = Nullable<Json>)]
    record: Option<Document>,
}

impl From<Key> for RecordKey {
    fn from(key: Key) -> Self {
        Self { saga: SagaId(key.saga), step: key.step.as_str().into() }
    }
}

/// Records that are locked until the end of the transaction.
pub(super) struct Locked {
    /// All of them; new ones are empty.
    pub records: BTreeMap<RecordKey, WorkRecord>,
    /// Those that were there before.
    pub known: Vec<RecordKey>,
}

/// The columns of a list of keys.
pub(super) fn columns<'a>(
    keys: impl IntoIterator<Item = &'a RecordKey>,
) -> (Vec<Uuid>, Vec<&'a str>) {
    keys.into_iter().map(|key| (key.saga.0, key.step.as_str())).unzip()
}

impl Records {
    /// Locks the records `keys`, and reads them.
    pub fn lock(
        &self,
        connection: &mut PgConnection,
        keys: &BTreeSet<RecordKey>,
    ) -> Result<Locked, Failure> {
        let mut records: BTreeMap<RecordKey, WorkRecord> =
            keys.iter().map(|key| (key.clone(), WorkRecord::default())).collect();
        let mut known = Vec::new();
        if keys.is_empty() {
            return Ok(Locked { records, known });
        }
        let (sagas, steps) = columns(keys);
        let made: Vec<Key> = Statement::new(self.make)
            .bind::<Array<SqlUuid>, _>(sagas)
            .bind::<Array<Text>, _>(steps)
            .load(connection)?;
        if made.len() == keys.len() {
            return Ok(Locked { records, known });
        }
        let made: BTreeSet<RecordKey> = made.into_iter().map(RecordKey::from).collect();
        let (sagas, steps) = columns(keys.difference(&made));
        let rows: Vec<Row> = Statement::new(self.lock)
            .bind::<Array<SqlUuid>, _>(sagas)
            .bind::<Array<Text>, _>(steps)
            .load(connection)?;
        for Row { key, record } in rows {
            let key = RecordKey::from(key);
            let place = || format!("the record of {}:{}", key.saga, key.step);
            if let Some(text) = record {
                records.insert(key.clone(), from_json(&text.0, place)?);
            }
            known.push(key);
        }
        Ok(Locked { records, known })
    }

    /// Writes records, whole.
    pub fn write(
        &self,
        connection: &mut PgConnection,
        records: &BTreeMap<RecordKey, WorkRecord>,
    ) -> Result<(), Failure> {
        if records.is_empty() {
            return Ok(());
        }
        let (sagas, steps) = columns(records.keys());
        let documents = records.values().map(document).collect::<Result<Vec<_>, _>>()?;
        Statement::new(self.write)
            .bind::<Array<SqlUuid>, _>(sagas)
            .bind::<Array<Text>, _>(steps)
            .bind::<Array<Json>, _>(documents)
            .execute(connection)?;
        Ok(())
    }
}
