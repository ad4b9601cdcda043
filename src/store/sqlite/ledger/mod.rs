//! The sagas of the shards that this process owns.
//!
//! | file | does |
//! |---|---|
//! | `write` | one entry: the saga, its history, its order, its inputs |
//! | `orders` | the order's rows and the idempotency keys |
//! | `shard` | fencing, sequence numbers and marks |
//! | `counts` | the counters |
//! | `read` | sagas and history rows as they are stored |

mod counts;
mod orders;
pub(super) mod read;
mod shard;
mod write;

use std::collections::{BTreeMap, HashMap};

use diesel::prelude::*;

use super::Orchestrator;
use super::encode::{Id, position, seq_at};
use super::failure::Failure;
use super::schema::orchestrator::{history, idempotency_keys, installation, saga_counts, sagas};
use crate::ports::StoreError;
use crate::ports::ledger::{Batch, Due, EntryOutcome, HistoryRow, Ledger, Seq, Shard, ShardState};
use crate::saga::id::{SagaId, Timestamp};
use crate::saga::state::{Saga, SagaStatus};
use crate::store::counters::Counters;
pub(super) use orders::stored_answer;
use shard::OwnedShard;
pub(super) use shard::claim;

/// The statuses of sagas that have not ended.
const UNFINISHED: [SagaStatus; 3] =
    [SagaStatus::Running, SagaStatus::RollingBack, SagaStatus::NeedsAttention];

impl Ledger for Orchestrator {
    fn claim(&self, shard: Shard) -> Result<ShardState, StoreError> {
        self.database.write(|connection| {
            let shards: i64 = installation::table.select(installation::shards).first(connection)?;
            if i64::from(shard) >= shards {
                return Err(Failure::Refused(format!(
                    "there is no shard {shard}; the store was made with {shards}"
                )));
            }
            claim(connection, shard)
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<EntryOutcome>, StoreError> {
        self.database.write(|connection| {
            let mut shard = OwnedShard::lock(connection, batch.shard, batch.epoch)?;
            let mut counters = Counters::default();
            let outcomes = batch
                .entries
                .iter()
                .map(|entry| write::entry(connection, &mut shard, &mut counters, entry))
                .collect::<Result<_, _>>()?;
            counts::write(connection, counters)?;
            shard.write(connection, batch.marks)?;
            Ok(outcomes)
        })
    }

    fn load(&self, shard: Shard, ids: &[SagaId]) -> Result<Vec<Saga>, StoreError> {
        self.database.read(|connection| load(connection, shard, ids))
    }

    fn unfinished(
        &self,
        shard: Shard,
        after: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<Saga>, StoreError> {
        self.database.read(|connection| {
            let after = after.unwrap_or(SagaId(uuid::Uuid::nil()));
            let definitions: Vec<String> =
                saga_counts::table.select(saga_counts::definition).distinct().load(connection)?;
            let mut ids: Vec<Id> = Vec::new();
            for definition in &definitions {
                for status in UNFINISHED {
                    ids.extend(
                        sagas::table
                            .select(sagas::id)
                            .filter(sagas::definition.eq(definition))
                            .filter(sagas::status.eq(status.as_str()))
                            .filter(sagas::id.gt(Id(after.0)))
                            .filter(sagas::shard.eq(i64::from(shard)))
                            .order(sagas::id)
                            .limit(i64::from(limit))
                            .load_iter::<Id, _>(connection)?
                            .collect::<QueryResult<Vec<_>>>()?,
                    );
                }
            }
            ids.sort_unstable();
            ids.truncate(limit as usize);
            let ids: Vec<SagaId> = ids.into_iter().map(|id| SagaId(id.0)).collect();
            load(connection, shard, &ids)
        })
    }

    fn due(
        &self,
        after: &BTreeMap<Shard, (Timestamp, SagaId)>,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.database.read(|connection| {
            let mut due = Vec::new();
            for (&shard, (Timestamp(from), SagaId(last))) in after {
                let rows: Vec<(Option<i64>, Id)> = sagas::table
                    .select((sagas::due_at, sagas::id))
                    .filter(sagas::shard.eq(i64::from(shard)))
                    .filter(sagas::due_at.ge(from))
                    .filter(sagas::due_at.le(until.0))
                    .filter(sagas::due_at.gt(from).or(sagas::id.gt(Id(*last))))
                    .order((sagas::due_at, sagas::id))
                    .limit(i64::from(limit))
                    .load(connection)?;
                due.extend(rows.into_iter().filter_map(|(at, id)| {
                    Some(Due { shard, at: Timestamp(at?), saga: SagaId(id.0) })
                }));
            }
            Ok(due)
        })
    }

    fn history_after(
        &self,
        shard: Shard,
        seq: Seq,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        self.database.read(|connection| {
            let rows: Vec<read::EventRow> = history::table
                .select(read::EventRow::as_select())
                .filter(history::position.gt(position(shard, seq)?))
                .filter(history::position.lt(shard::end(shard)?))
                .order(history::position)
                .limit(i64::from(limit))
                .load(connection)?;
            let mut known: HashMap<Id, Saga> = HashMap::new();
            rows.into_iter()
                .map(|row| {
                    let saga = match known.get(&row.saga) {
                        Some(saga) => saga.clone(),
                        None => {
                            let id = row.saga;
                            let saga = read::saga(connection, id)?
                                .ok_or_else(|| row.corrupt("its saga is missing"))?;
                            known.insert(id, saga.clone());
                            saga
                        }
                    };
                    Ok(HistoryRow { seq: seq_at(row.position), recorded: row.recorded()?, saga })
                })
                .collect()
        })
    }

    fn forget_claims(&self, before: Timestamp, limit: u32) -> Result<usize, StoreError> {
        self.database.write(|connection| {
            let oldest: Vec<String> = idempotency_keys::table
                .select(idempotency_keys::key)
                .filter(idempotency_keys::taken_at.lt(before.0))
                .order(idempotency_keys::taken_at)
                .limit(i64::from(limit))
                .load(connection)?;
            for key in &oldest {
                diesel::delete(idempotency_keys::table.find(key)).execute(connection)?;
            }
            Ok(oldest.len())
        })
    }
}

fn load(
    connection: &mut SqliteConnection,
    shard: Shard,
    ids: &[SagaId],
) -> Result<Vec<Saga>, Failure> {
    let mut found = Vec::with_capacity(ids.len());
    for id in ids.iter().map(|id| Id(id.0)) {
        let place: Option<i64> = sagas::table
            .filter(sagas::id.eq(id))
            .select(sagas::shard)
            .first(connection)
            .optional()?;
        if place == Some(i64::from(shard)) {
            found.extend(read::saga(connection, id)?);
        }
    }
    Ok(found)
}
