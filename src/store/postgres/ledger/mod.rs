//! The sagas of the shards that this process owns.
//!
//! A batch is one transaction of four or five round trips: BEGIN; the shard's row is locked and the
//! sagas' versions are read; idempotency keys, if there are any, are taken; one statement writes
//! everything; COMMIT. Since only the owner of a shard writes its sagas, and the lock makes sure of
//! the owner, the versions that were read are those that are written over.
//!
//! | file | does |
//! |---|---|
//! | `lock` | the shard's row and what is stored of a batch's sagas |
//! | `fate` | which entries are written; pure |
//! | `claims` | idempotency keys |
//! | `rows` | a batch as columns |
//! | `write` | the statement that writes them |
//! | `doubt` | what a COMMIT came to whose answer was lost; pure |
//! | `read` | sagas and history rows as they are stored |

mod claims;
pub mod doubt;
pub mod fate;
mod lock;
pub(super) mod read;
mod rows;
mod write;

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;
use uuid::Uuid;

use super::Orchestrator;
use super::connection::Unsuccessful;
use super::encode::{Moment, integer, natural};
use super::failure::Failure;
use super::schema::orchestrator::history;
use super::statement::Statement;
use crate::ports::StoreError;
use crate::ports::ledger::{Batch, Due, EntryOutcome, HistoryRow, Ledger, Seq, Shard, ShardState};
use crate::saga::id::{SagaId, Timestamp};
use crate::saga::state::Saga;
pub(super) use claims::stored_answer;
use doubt::{Attempt, Doubt};
use fate::Fate;
use rows::Rows;

impl Ledger for Orchestrator {
    fn claim(&self, shard: Shard) -> Result<ShardState, StoreError> {
        self.database.own_write(|connection| lock::claim(connection, shard))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<EntryOutcome>, StoreError> {
        self.database.patiently(|| {
            let doubt = self.doubts.about(batch.shard, batch.epoch);
            let mut made = None;
            let result = self.database.attempt(&mut |connection| {
                let (outcomes, attempt) = write_batch(connection, batch, &doubt)?;
                made = Some(attempt);
                Ok(outcomes)
            });
            match (&result, made) {
                (Ok(_), _) => self.doubts.settle(batch.shard),
                (Err(Unsuccessful::InDoubt(_)), Some(attempt)) => {
                    self.doubts.raise(batch.shard, batch.epoch, attempt);
                }
                (Err(_), _) => {}
            }
            result
        })
    }

    fn load(&self, shard: Shard, ids: &[SagaId]) -> Result<Vec<Saga>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        self.database.own_look(|connection| read::sagas(connection, Some(shard), &ids))
    }

    fn unfinished(
        &self,
        shard: Shard,
        after: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<Saga>, StoreError> {
        let after = after.map_or(Uuid::nil(), |id| id.0);
        self.database.own_look(|connection| read::unfinished(connection, shard, after, limit))
    }

    fn due(
        &self,
        after: &BTreeMap<Shard, (Timestamp, SagaId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.database.own_look(|connection| read::due(connection, after, until, limit))
    }

    fn history_after(
        &self,
        shard: Shard,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.database.own_read(|connection| {
            let rows: Vec<(i64, read::EventRow)> = history::table
                .select((history::seq, read::EventRow::as_select()))
                .filter(history::shard.eq(i32::from(shard)))
                .filter(history::seq.gt(integer(seq)?))
                .order(history::seq)
                .limit(i64::from(limit))
                .load(connection)?;
            let mut ids: Vec<Uuid> = rows.iter().map(|(_, row)| row.saga).collect();
            ids.sort_unstable();
            ids.dedup();
            let known: HashMap<SagaId, Saga> = read::sagas(connection, None, &ids)?
                .into_iter()
                .map(|saga| (saga.id, saga))
                .collect();
            rows.into_iter()
                .map(|(seq, row)| {
                    let saga = known.get(&SagaId(row.saga)).cloned();
                    let saga = saga.ok_or_else(|| row.corrupt("its saga is missing"))?;
                    Ok(HistoryRow { seq: natural(seq)?, recorded: row.recorded()?, saga })
                })
                .collect()
        })
    }

    fn forget_claims(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        // A node whose clock is ahead must not forget what others still promise.
        self.database.own_write(|connection| {
            let forgotten = Statement::new(
                "DELETE FROM skald_orchestrator.idempotency_keys WHERE key = ANY (ARRAY(
                     SELECT key FROM skald_orchestrator.idempotency_keys
                     WHERE taken_at < LEAST(?, now() - interval '24 hours')
                     ORDER BY taken_at LIMIT ? FOR UPDATE SKIP LOCKED))",
            )
            .bind::<diesel::sql_types::Timestamptz, _>(Moment(before))
            .bind::<diesel::sql_types::BigInt, _>(i64::from(limit))
            .execute(connection)?;
            Ok(forgotten)
        })
    }
}

/// Writes a batch, within a transaction. Tells what became of its entries, and what was tried, should
/// nobody learn whether the transaction was committed.
fn write_batch(
    connection: &mut PgConnection,
    batch: &Batch,
    doubt: &Doubt,
) -> Result<(Vec<EntryOutcome>, Attempt), Failure> {
    let shard = lock::lock(connection, batch)?;
    let known = doubt.resolved(shard.last_seq);
    let mut fates = fate::judge(batch, &shard.sagas, &known);
    claims::take(connection, &batch.entries, &mut fates)?;
    let mut rows = Rows::new(shard.last_seq);
    let mut attempt = Attempt::after(shard.last_seq, known);
    let outcomes = batch
        .entries
        .iter()
        .zip(fates)
        .map(|(entry, fate)| match fate {
            Fate::Write => {
                let first_seq = rows.add(entry)?;
                attempt.writes(entry, first_seq);
                Ok(EntryOutcome::Written(first_seq))
            }
            Fate::Known(outcome) => Ok(outcome),
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    let marks = shard.advanced(batch.marks)?;
    if !rows.is_empty() || marks != shard.marks {
        write::write(connection, batch, rows, marks)?;
    }
    Ok((outcomes, attempt))
}
