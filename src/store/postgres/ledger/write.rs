//! The one statement that writes a batch.

use diesel::prelude::*;
use diesel::sql_types::{
    Array, BigInt, Integer, Json, Nullable, Text, Timestamptz, Uuid as SqlUuid,
};

use super::super::encode::integer;
use super::super::failure::{Failure, overtaken};
use super::super::statement::Statement;
use super::rows::Rows;
use crate::ports::ledger::{Batch, Marks};
use crate::saga::event::EVENT_FORMAT;
use crate::saga::state::STATE_FORMAT;

/// Its parts touch different tables, or different rows of one, so their order does not matter.
///
/// A condition within CASE can't be looked up in an index, so that only the id is: a plan that was
/// made for empty tables must not go through all pending orders for each that is settled.
const WRITE: &str = "
WITH moved AS (
    UPDATE skald_orchestrator.sagas SET
        version = n.version, due_at = n.due_at, updated_at = n.updated_at, status = n.status,
        state = n.state, format = ?
    FROM unnest(?, ?, ?, ?, ?, ?, ?)
        AS n (id, expected, version, due_at, updated_at, status, state)
    WHERE sagas.id = n.id AND sagas.version = n.expected AND sagas.shard = ?
    RETURNING 1
), born AS (
    INSERT INTO skald_orchestrator.sagas
        (format, shard, id, version, due_at, created_at, updated_at, definition,
         definition_version, business_key, status, state)
    SELECT ?, ?, n.* FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) AS n
    ON CONFLICT (id) DO NOTHING
    RETURNING 1
), told AS (
    INSERT INTO skald_orchestrator.history (format, shard, seq, saga, sequence, at, event)
    SELECT ?, ?, ? + n.ordinality, n.saga, n.sequence, n.at, n.event
    FROM unnest(?, ?, ?, ?) WITH ORDINALITY AS n (saga, sequence, at, event)
), placed AS (
    INSERT INTO skald_orchestrator.orders
        (id, saga, total, created_at, updated_at, user_id, status, currency, email, reason_code,
         reason_text)
    SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
), lined AS (
    INSERT INTO skald_orchestrator.order_items (order_id, line, quantity, price, product)
    SELECT * FROM unnest(?, ?, ?, ?, ?)
), settled AS (
    UPDATE skald_orchestrator.orders SET
        updated_at = n.at, status = n.status, reason_code = n.code, reason_text = n.text
    FROM unnest(?, ?, ?, ?, ?) AS n (id, at, status, code, text)
    WHERE orders.id = n.id AND CASE orders.status WHEN 'PENDING' THEN true ELSE false END
    RETURNING 1
), answered AS (
    UPDATE skald_orchestrator.saga_inputs SET outcome = n.outcome
    FROM unnest(?, ?, ?) AS n (id, saga, outcome)
    WHERE saga_inputs.id = n.id
        AND CASE WHEN saga_inputs.outcome IS NULL THEN saga_inputs.saga = n.saga ELSE false END
), sagas_counted AS (
    INSERT INTO skald_orchestrator.saga_counts AS c (shard, definition, status, count)
    SELECT ?, n.* FROM unnest(?, ?, ?) AS n
    ON CONFLICT (shard, definition, status) DO UPDATE SET count = c.count + excluded.count
), orders_counted AS (
    INSERT INTO skald_orchestrator.order_counts AS c (shard, status, count)
    SELECT ?, n.* FROM unnest(?, ?) AS n
    ON CONFLICT (shard, status) DO UPDATE SET count = c.count + excluded.count
), cancellations_counted AS (
    INSERT INTO skald_orchestrator.cancellation_counts AS c (shard, code, count)
    SELECT ?, n.* FROM unnest(?, ?) AS n
    ON CONFLICT (shard, code) DO UPDATE SET count = c.count + excluded.count
), marked AS (
    UPDATE skald_orchestrator.shards SET last_seq = ?, commands_mark = ?, events_mark = ?
    WHERE shard = ?
)
SELECT (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM born) AS born,
       (SELECT count(*) FROM settled) AS settled";

#[derive(QueryableByName, Debug, PartialEq, Eq)]
struct Count {
    #[diesel(sql_type = BigInt)]
    moved: i64,
    #[diesel(sql_type = BigInt)]
    born: i64,
    #[diesel(sql_type = BigInt)]
    settled: i64,
}

/// Writes the rows, the shard's last position and its marks.
pub(super) fn write(
    connection: &mut PgConnection,
    batch: &Batch,
    rows: Rows<'_>,
    marks: Marks,
) -> Result<(), Failure> {
    let expected = Count {
        moved: rows.moved.id.len() as i64,
        born: rows.born.id.len() as i64,
        settled: rows.settled.id.len() as i64,
    };
    let written: Count = statement(batch, rows, marks)?.get_result(connection)?;
    if written.settled != expected.settled {
        let missing = expected.settled - written.settled;
        return Err(Failure::Refused(format!("{missing} orders to settle are not pending")));
    }
    match written == expected {
        true => Ok(()),
        // What was read of the sagas is out of date; the next try will read it again.
        false => Err(overtaken("a saga of the batch was written meanwhile")),
    }
}

fn statement<'a>(batch: &Batch, rows: Rows<'a>, marks: Marks) -> Result<Statement<'a>, Failure> {
    let shard = i32::from(batch.shard);
    let last_seq = integer(rows.last_seq())?;
    let before = integer(rows.first_seq - 1)?;
    let Rows { moved, born, events, placed, lines, settled, answered, counters, .. } = rows;
    let statement = Statement::new(WRITE)
        .bind::<Integer, _>(STATE_FORMAT)
        .bind::<Array<SqlUuid>, _>(moved.id)
        .bind::<Array<BigInt>, _>(moved.expected)
        .bind::<Array<BigInt>, _>(moved.version)
        .bind::<Array<Nullable<Timestamptz>>, _>(moved.due_at)
        .bind::<Array<Timestamptz>, _>(moved.updated_at)
        .bind::<Array<Text>, _>(moved.status)
        .bind::<Array<Json>, _>(moved.state)
        .bind::<Integer, _>(shard)
        .bind::<Integer, _>(STATE_FORMAT)
        .bind::<Integer, _>(shard)
        .bind::<Array<SqlUuid>, _>(born.id)
        .bind::<Array<BigInt>, _>(born.version)
        .bind::<Array<Nullable<Timestamptz>>, _>(born.due_at)
        .bind::<Array<Timestamptz>, _>(born.created_at)
        .bind::<Array<Timestamptz>, _>(born.updated_at)
        .bind::<Array<Text>, _>(born.definition)
        .bind::<Array<Integer>, _>(born.definition_version)
        .bind::<Array<Text>, _>(born.business_key)
        .bind::<Array<Text>, _>(born.status)
        .bind::<Array<Json>, _>(born.state)
        .bind::<Integer, _>(EVENT_FORMAT)
        .bind::<Integer, _>(shard)
        .bind::<BigInt, _>(before)
        .bind::<Array<SqlUuid>, _>(events.saga)
        .bind::<Array<BigInt>, _>(events.sequence)
        .bind::<Array<Timestamptz>, _>(events.at)
        .bind::<Array<Json>, _>(events.event)
        .bind::<Array<SqlUuid>, _>(placed.id)
        .bind::<Array<SqlUuid>, _>(placed.saga)
        .bind::<Array<BigInt>, _>(placed.total)
        .bind::<Array<Timestamptz>, _>(placed.created_at)
        .bind::<Array<Timestamptz>, _>(placed.updated_at)
        .bind::<Array<Text>, _>(placed.user_id)
        .bind::<Array<Text>, _>(placed.status)
        .bind::<Array<Text>, _>(placed.currency)
        .bind::<Array<Nullable<Text>>, _>(placed.email)
        .bind::<Array<Nullable<Text>>, _>(placed.reason_code)
        .bind::<Array<Nullable<Text>>, _>(placed.reason_text)
        .bind::<Array<SqlUuid>, _>(lines.order)
        .bind::<Array<Integer>, _>(lines.line)
        .bind::<Array<BigInt>, _>(lines.quantity)
        .bind::<Array<BigInt>, _>(lines.price)
        .bind::<Array<Text>, _>(lines.product)
        .bind::<Array<SqlUuid>, _>(settled.id)
        .bind::<Array<Timestamptz>, _>(settled.at)
        .bind::<Array<Text>, _>(settled.status)
        .bind::<Array<Nullable<Text>>, _>(settled.reason_code)
        .bind::<Array<Nullable<Text>>, _>(settled.reason_text)
        .bind::<Array<SqlUuid>, _>(answered.id)
        .bind::<Array<SqlUuid>, _>(answered.saga)
        .bind::<Array<Json>, _>(answered.outcome);
    let mut sagas = (Vec::new(), Vec::new(), Vec::new());
    for ((definition, status), change) in counters.sagas {
        sagas.0.push(definition.as_str().to_owned());
        sagas.1.push(status.as_str());
        sagas.2.push(change);
    }
    let (statuses, orders): (Vec<&str>, Vec<i64>) =
        counters.orders.into_iter().map(|(status, change)| (status.as_str(), change)).unzip();
    let (codes, cancellations): (Vec<String>, Vec<i64>) = counters
        .cancellations
        .into_iter()
        .map(|(code, change)| (code.as_str().to_owned(), change))
        .unzip();
    Ok(statement
        .bind::<Integer, _>(shard)
        .bind::<Array<Text>, _>(sagas.0)
        .bind::<Array<Text>, _>(sagas.1)
        .bind::<Array<BigInt>, _>(sagas.2)
        .bind::<Integer, _>(shard)
        .bind::<Array<Text>, _>(statuses)
        .bind::<Array<BigInt>, _>(orders)
        .bind::<Integer, _>(shard)
        .bind::<Array<Text>, _>(codes)
        .bind::<Array<BigInt>, _>(cancellations)
        .bind::<BigInt, _>(last_seq)
        .bind::<BigInt, _>(integer(marks.commands)?)
        .bind::<BigInt, _>(integer(marks.events)?)
        .bind::<Integer, _>(shard))
}
