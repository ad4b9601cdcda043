//! Counters that are kept up with every batch, so that nobody has to count rows.

use diesel::prelude::*;

use crate::store::counters::Counters;
use crate::store::sqlite::schema::orchestrator::{cancellation_counts, order_counts, saga_counts};
use crate::store::sqlite::update::update;

/// Adds the changes to what is stored.
pub(super) fn write(connection: &mut SqliteConnection, counters: Counters) -> QueryResult<()> {
    for ((definition, status), change) in counters.sagas {
        add_sagas(connection, definition.as_str(), status.as_str(), change)?;
    }
    for (status, change) in counters.orders {
        add_orders(connection, status.as_str(), change)?;
    }
    for (code, change) in counters.cancellations {
        add_cancellations(connection, code.as_str(), change)?;
    }
    Ok(())
}

fn add_sagas(
    connection: &mut SqliteConnection,
    definition: &str,
    status: &str,
    change: i64,
) -> QueryResult<()> {
    use saga_counts as counts;
    let found = update!(
        counts::table,
        counts::count.eq(counts::count + change),
        counts::definition.eq(definition).and(counts::status.eq(status)),
    )
    .execute(connection)?;
    if found == 0 {
        diesel::insert_into(counts::table)
            .values((
                counts::definition.eq(definition),
                counts::status.eq(status),
                counts::count.eq(change),
            ))
            .execute(connection)?;
    }
    Ok(())
}

fn add_orders(connection: &mut SqliteConnection, status: &str, change: i64) -> QueryResult<()> {
    use order_counts as counts;
    let found = update!(
        counts::table,
        counts::count.eq(counts::count + change),
        counts::status.eq(status),
    )
    .execute(connection)?;
    if found == 0 {
        diesel::insert_into(counts::table)
            .values((counts::status.eq(status), counts::count.eq(change)))
            .execute(connection)?;
    }
    Ok(())
}

fn add_cancellations(
    connection: &mut SqliteConnection,
    code: &str,
    change: i64,
) -> QueryResult<()> {
    use cancellation_counts as counts;
    let found =
        update!(counts::table, counts::count.eq(counts::count + change), counts::code.eq(code))
            .execute(connection)?;
    if found == 0 {
        diesel::insert_into(counts::table)
            .values((counts::code.eq(code), counts::count.eq(change)))
            .execute(connection)?;
    }
    Ok(())
}
