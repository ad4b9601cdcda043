//! Rows written to PostgreSQL.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use diesel::sql_types::{Array, BigInt, Text};
use diesel::{PgConnection, RunQueryDsl, sql_query};

use crate::services::Database;

/// More are no faster on few cores: a connection is a process, and a client that waits is idle.
const CONNECTIONS: usize = 2;

/// What a row of a history holds, in bytes.
const BODY: usize = 200;

/// Inserts rows, so many a commit, over two connections.
///
/// # Errors
/// When the database refuses something.
pub fn rows_per_second(database: &Database, batch: i64, long: Duration) -> anyhow::Result<f64> {
    let table = format!("rows_{batch}");
    sql_query(format!("CREATE TABLE {table} (id BIGINT PRIMARY KEY, body TEXT NOT NULL)"))
        .execute(&mut database.connect())?;
    let insert = format!("INSERT INTO {table} SELECT * FROM UNNEST($1, $2)");
    let started = Instant::now();
    let rows = thread::scope(|scope| {
        let writers: Vec<_> = (0..CONNECTIONS)
            .map(|n| {
                let (connection, insert) = (database.connect(), &insert);
                let first = n as i64 * (i64::MAX / CONNECTIONS as i64);
                scope.spawn(move || write(connection, insert, first, batch, started + long))
            })
            .collect();
        let written = writers.into_iter().map(|writer| {
            writer.join().map_err(|_| anyhow!("a writer panicked"))?.map_err(anyhow::Error::from)
        });
        written.sum::<anyhow::Result<i64>>()
    })?;
    Ok(rows as f64 / started.elapsed().as_secs_f64())
}

/// Writes until the time has come; returns how many rows.
fn write(
    mut connection: PgConnection,
    insert: &str,
    first: i64,
    batch: i64,
    until: Instant,
) -> diesel::QueryResult<i64> {
    let bodies = vec!["x".repeat(BODY); batch as usize];
    let mut written = 0;
    while Instant::now() < until {
        let ids: Vec<i64> = (first + written..first + written + batch).collect();
        sql_query(insert)
            .bind::<Array<BigInt>, _>(ids)
            .bind::<Array<Text>, _>(&bodies)
            .execute(&mut connection)?;
        written += batch;
    }
    Ok(written)
}
