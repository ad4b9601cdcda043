//! Notifications and the notification worker's records.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::connection::Database;
use super::encode::natural;
use super::failure::Failure;
use super::records;
use super::schema::notification::{notification_counts, notifications};
use super::update::update;
use crate::ports::StoreError;
use crate::ports::notification::{Notification, NotificationChange, NotificationStore};
use crate::ports::work::{RecordKey, WorkRecord};

/// The notification worker's file.
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
        self.database.write(|connection| {
            let change = settle(&records::read(connection, keys)?);
            records::write(connection, &change.records)?;
            append(connection, &change.notifications)
        })
    }

    fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.database.read(|connection| {
            let rows: Vec<(String, i64)> =
                notification_counts::table.order(notification_counts::outcome).load(connection)?;
            rows.into_iter().map(|(outcome, count)| Ok((outcome, natural(count)?))).collect()
        })
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.counts().map(drop)
    }
}

/// Writes notifications, one row for each key, and counts those that are new.
fn append(connection: &mut SqliteConnection, dealt_with: &[Notification]) -> Result<(), Failure> {
    let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
    for notification in dealt_with {
        let inserted = diesel::insert_or_ignore_into(notifications::table)
            .values((
                notifications::key.eq(&notification.key),
                notifications::order_id.eq(&notification.order_id),
                notifications::template.eq(&notification.template),
                notifications::recipient.eq(&notification.recipient),
                notifications::outcome.eq(&notification.outcome),
                notifications::at.eq(notification.at.0),
            ))
            .execute(connection)?;
        if inserted > 0 {
            *counts.entry(&notification.outcome).or_default() += 1;
        }
    }
    for (outcome, count) in counts {
        use notification_counts as counts;
        let found = update!(
            counts::table,
            counts::count.eq(counts::count + count),
            counts::outcome.eq(outcome),
        )
        .execute(connection)?;
        if found == 0 {
            diesel::insert_into(counts::table)
                .values((counts::outcome.eq(outcome), counts::count.eq(count)))
                .execute(connection)?;
        }
    }
    Ok(())
}
