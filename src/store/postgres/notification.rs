//! Notifications and the notification worker's records.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Nullable, Text, Timestamptz};

use super::connection::Database;
use super::encode::{Moment, natural};
use super::failure::Failure;
use super::records::{Records, records_of};
use super::schema::notification::notification_counts;
use super::statement::Statement;
use crate::ports::StoreError;
use crate::ports::notification::{Notification, NotificationChange, NotificationStore};
use crate::ports::work::{RecordKey, WorkRecord};

const RECORDS: Records = records_of!("skald_notification");

/// Over how many rows each outcome is counted, so that few transactions meet on one.
const SLOTS: u64 = 16;

/// The notification worker's schema.
#[derive(Debug)]
pub(super) struct Notifications {
    pub database: Database,
}

impl NotificationStore for Notifications {
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        settle: &mut dyn FnMut(&BTreeMap<RecordKey, WorkRecord>) -> NotificationChange,
    ) -> Result<(), StoreError> {
        self.database.own_write(|connection| {
            let locked = RECORDS.lock(connection, keys)?;
            let change = settle(&locked.records);
            RECORDS.write(connection, &locked.known, &change.records)?;
            let slot = keys.first().map_or(0, |key| key.saga.seed() % SLOTS);
            append(connection, &change.notifications, slot as i32)
        })
    }

    fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.database.look(|connection| {
            let rows: Vec<(String, i64)> = notification_counts::table
                .select((notification_counts::outcome, notification_counts::count))
                .order(notification_counts::outcome)
                .load(connection)?;
            let mut counts: Vec<(String, u64)> = Vec::new();
            for (outcome, count) in rows {
                let count = natural(count)?;
                match counts.last_mut().filter(|(last, _)| *last == outcome) {
                    Some((_, sum)) => *sum += count,
                    None => counts.push((outcome, count)),
                }
            }
            Ok(counts)
        })
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.counts().map(drop)
    }
}

/// Writes notifications, one row for each key, and counts those that are new.
fn append(
    connection: &mut PgConnection,
    dealt_with: &[Notification],
    slot: i32,
) -> Result<(), Failure> {
    // One for each key, in their order, so that nobody waits in a circle.
    let mut rows: BTreeMap<&str, &Notification> = BTreeMap::new();
    for notification in dealt_with {
        rows.entry(&notification.key).or_insert(notification);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let texts = |column: fn(&Notification) -> &str| {
        rows.values().map(|notification| column(notification)).collect::<Vec<&str>>()
    };
    let recipients: Vec<Option<&str>> =
        rows.values().map(|notification| notification.recipient.as_deref()).collect();
    Statement::new(
        "WITH written AS (
             INSERT INTO skald_notification.notifications
                 (key, at, order_id, template, outcome, recipient)
             SELECT * FROM unnest(?, ?, ?, ?, ?, ?)
             ON CONFLICT (key) DO NOTHING RETURNING outcome)
         INSERT INTO skald_notification.notification_counts AS c (slot, outcome, count)
         SELECT ?, outcome, count(*) FROM written GROUP BY outcome ORDER BY outcome
         ON CONFLICT (outcome, slot) DO UPDATE SET count = c.count + excluded.count",
    )
    .bind::<Array<Text>, _>(rows.keys().copied().collect::<Vec<&str>>())
    .bind::<Array<Timestamptz>, _>(
        rows.values().map(|notification| Moment(notification.at)).collect::<Vec<Moment>>(),
    )
    .bind::<Array<Text>, _>(texts(|notification| &notification.order_id))
    .bind::<Array<Text>, _>(texts(|notification| &notification.template))
    .bind::<Array<Text>, _>(texts(|notification| &notification.outcome))
    .bind::<Array<Nullable<Text>>, _>(recipients)
    .bind::<Integer, _>(slot)
    .execute(connection)?;
    Ok(())
}
