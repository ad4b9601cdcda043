//! What workers remember: one row for each step of each saga, in either worker's file.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::encode::{Id, from_json, json};
use super::failure::Failure;
use super::schema::worker::work_records;
use crate::ports::work::{RecordKey, WorkRecord};

/// Reads the records `keys`; new ones are empty. The transaction holds the file's write lock, so
/// nobody else can be at any of them, and a row that does not exist needs none made to be locked.
pub(super) fn read(
    connection: &mut SqliteConnection,
    keys: &BTreeSet<RecordKey>,
) -> Result<BTreeMap<RecordKey, WorkRecord>, Failure> {
    keys.iter()
        .map(|key| {
            let stored: Option<String> = work_records::table
                .find((Id(key.saga.0), key.step.as_str()))
                .select(work_records::record)
                .first(connection)
                .optional()?;
            let place = || format!("the record of {}:{}", key.saga, key.step);
            let record = match stored {
                Some(text) => from_json(&text, place)?,
                None => WorkRecord::default(),
            };
            Ok((key.clone(), record))
        })
        .collect()
}

/// Writes records, whole.
pub(super) fn write(
    connection: &mut SqliteConnection,
    records: &BTreeMap<RecordKey, WorkRecord>,
) -> Result<(), Failure> {
    for (key, record) in records {
        diesel::replace_into(work_records::table)
            .values((
                work_records::saga.eq(Id(key.saga.0)),
                work_records::step.eq(key.step.as_str()),
                work_records::record.eq(json(record)?),
            ))
            .execute(connection)?;
    }
    Ok(())
}
