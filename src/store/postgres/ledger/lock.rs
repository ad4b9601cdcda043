//! A shard's row: who owns it, how long its history is, how much of it is confirmed; and what is
//! stored of the sagas that a batch is about.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::encode::{self, corrupt, integer, natural};
use super::super::failure::Failure;
use super::super::statement::Statement;
use super::fate::{Stored, owns};
use crate::ports::ledger::{Batch, Marks, Seq, Shard, ShardState};
use crate::saga::id::SagaId;

#[derive(QueryableByName)]
struct ShardRow {
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = BigInt)]
    last_seq: i64,
    #[diesel(sql_type = BigInt)]
    commands_mark: i64,
    #[diesel(sql_type = BigInt)]
    events_mark: i64,
}

impl ShardRow {
    fn marks(&self) -> Result<Marks, Failure> {
        Ok(Marks { commands: natural(self.commands_mark)?, events: natural(self.events_mark)? })
    }
}

/// Makes the caller the owner of `shard`.
pub(super) fn claim(connection: &mut PgConnection, shard: Shard) -> Result<ShardState, Failure> {
    let row: Option<ShardRow> = Statement::new(
        "UPDATE skald_orchestrator.shards SET epoch = epoch + 1 WHERE shard = ?
         RETURNING epoch, last_seq, commands_mark, events_mark",
    )
    .bind::<Integer, _>(i32::from(shard))
    .get_result(connection)
    .optional()?;
    let row = row.ok_or_else(|| Failure::Refused(format!("there is no shard {shard}")))?;
    Ok(ShardState { epoch: row.epoch, last_seq: natural(row.last_seq)?, marks: row.marks()? })
}

/// A shard that the caller owns, locked until the end of the transaction.
#[derive(Debug)]
pub(super) struct LockedShard {
    /// The newest position of its history.
    pub last_seq: Seq,
    /// What of it is confirmed.
    pub marks: Marks,
    /// Those of the batch's sagas that are stored, in whatever shard.
    pub sagas: HashMap<SagaId, Stored>,
}

impl LockedShard {
    /// The marks as they are to be stored: they never go back.
    pub fn advanced(&self, marks: Marks) -> Result<Marks, Failure> {
        integer(marks.commands.max(marks.events))?;
        Ok(Marks {
            commands: self.marks.commands.max(marks.commands),
            events: self.marks.events.max(marks.events),
        })
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(embed)]
    shard: ShardRow,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Integer>)]
    in_shard: Option<i32>,
    #[diesel(sql_type = Nullable<BigInt>)]
    version: Option<i64>,
}

/// Locks the shard's row and makes sure that the batch's epoch owns it.
///
/// The statement sees what was committed when it began, which was before it waited for the lock. So
/// what it tells of the sagas may be old, if somebody else held the lock meanwhile: another epoch,
/// and then it does not matter, or an earlier try of ours. Writing checks the versions again.
pub(super) fn lock(connection: &mut PgConnection, batch: &Batch) -> Result<LockedShard, Failure> {
    let ids: Vec<Uuid> = batch.entries.iter().map(|entry| entry.saga.id.0).collect();
    let rows: Vec<Row> = Statement::new(
        "WITH mine AS MATERIALIZED (
             SELECT epoch, last_seq, commands_mark, events_mark
             FROM skald_orchestrator.shards WHERE shard = ? FOR UPDATE)
         SELECT mine.*, sagas.id, sagas.shard AS in_shard, sagas.version
         FROM mine LEFT JOIN skald_orchestrator.sagas ON sagas.id = ANY (?)",
    )
    .bind::<Integer, _>(i32::from(batch.shard))
    .bind::<Array<SqlUuid>, _>(ids)
    .load(connection)?;
    let found = rows.first().map_or(0, |row| row.shard.epoch);
    let (Some(first), true) = (rows.first(), owns(batch, found)) else {
        return Err(Failure::Deposed { shard: batch.shard, mine: batch.epoch, found });
    };
    let (last_seq, marks) = (natural(first.shard.last_seq)?, first.shard.marks()?);
    let mut sagas = HashMap::with_capacity(rows.len());
    for row in rows {
        if let (Some(id), Some(shard), Some(version)) = (row.id, row.in_shard, row.version) {
            let version = natural(version).map_err(|_| corrupt(format!("saga {id}"), version))?;
            sagas.insert(SagaId(id), Stored { shard: encode::shard(shard)?, version });
        }
    }
    Ok(LockedShard { last_seq, marks, sagas })
}
