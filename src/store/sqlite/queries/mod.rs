//! Reads for people.

mod orders;
mod sagas;

use std::collections::BTreeMap;

use diesel::prelude::*;

use super::Orchestrator;
use super::encode::{Id, corrupt, natural};
use super::failure::Failure;
use super::ledger::read::{self, EventRow, SummaryRow};
use super::ledger::stored_answer;
use super::schema::orchestrator::{
    cancellation_counts, history, installation, order_counts, saga_counts, sagas as saga_rows,
    shards,
};
use crate::orders::{Order, OrderId};
use crate::ports::StoreError;
use crate::ports::ledger::{Shard, StoredAnswer};
use crate::ports::queries::{Counts, OrderFilter, Queries, SagaFilter, SagaSummary, ShardLag};
use crate::saga::event::Recorded;
use crate::saga::id::{SagaId, Sequence};
use crate::saga::state::Saga;

impl Queries for Orchestrator {
    fn order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        self.database.read(|connection| orders::one(connection, id))
    }

    fn orders(
        &self,
        filter: &OrderFilter,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<Order>, StoreError> {
        self.database.read(|connection| orders::page(connection, filter, before, limit))
    }

    fn saga(&self, id: SagaId) -> Result<Option<(Saga, SagaSummary)>, StoreError> {
        self.database.read(|connection| {
            let row: Option<SummaryRow> = saga_rows::table
                .filter(saga_rows::id.eq(Id(id.0)))
                .select(SummaryRow::as_select())
                .first(connection)
                .optional()?;
            let (Some(row), Some(saga)) = (row, read::saga(connection, Id(id.0))?) else {
                return Ok(None);
            };
            Ok(Some((saga, row.summary()?)))
        })
    }

    fn sagas(
        &self,
        filter: &SagaFilter,
        before: Option<SagaId>,
        limit: u32,
    ) -> Result<Vec<SagaSummary>, StoreError> {
        self.database.read(|connection| sagas::page(connection, filter, before, limit))
    }

    fn history(
        &self,
        id: SagaId,
        after: Sequence,
        limit: u32,
    ) -> Result<Vec<Recorded>, StoreError> {
        self.database.read(|connection| {
            let rows: Vec<EventRow> = history::table
                .filter(history::saga.eq(Id(id.0)))
                .filter(history::sequence.gt(i64::try_from(after).unwrap_or(i64::MAX)))
                .order(history::sequence)
                .limit(i64::from(limit))
                .select(EventRow::as_select())
                .load(connection)?;
            rows.iter().map(EventRow::recorded).collect()
        })
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        self.database.read(counts)
    }

    fn lags(&self) -> Result<Vec<ShardLag>, StoreError> {
        self.database.read(|connection| {
            let rows: Vec<(i64, i64, i64, i64)> = shards::table
                .select((
                    shards::shard,
                    shards::last_seq,
                    shards::commands_mark,
                    shards::events_mark,
                ))
                .order(shards::shard)
                .load(connection)?;
            rows.into_iter()
                .map(|(shard, last_seq, commands, events)| {
                    Ok(ShardLag {
                        shard: Shard::try_from(shard).map_err(|error| corrupt("a shard", error))?,
                        commands: natural((last_seq - commands).max(0))?,
                        events: natural((last_seq - events).max(0))?,
                    })
                })
                .collect()
        })
    }

    fn versions(&self, ids: &[SagaId]) -> Result<BTreeMap<SagaId, Sequence>, StoreError> {
        self.database.read(|connection| {
            let mut versions = BTreeMap::new();
            for id in ids {
                let version: Option<i64> = saga_rows::table
                    .filter(saga_rows::id.eq(Id(id.0)))
                    .select(saga_rows::version)
                    .first(connection)
                    .optional()?;
                if let Some(version) = version {
                    versions.insert(*id, natural(version)?);
                }
            }
            Ok(versions)
        })
    }

    fn events(&self) -> Result<u64, StoreError> {
        self.database.read(|connection| {
            let last: Vec<i64> = shards::table.select(shards::last_seq).load(connection)?;
            natural(last.into_iter().sum())
        })
    }

    fn stored_answer(&self, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        self.database.read(|connection| Ok(stored_answer(connection, key)?))
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.database.read(|connection| {
            installation::table.select(installation::shards).first::<i64>(connection)?;
            Ok(())
        })
    }
}

fn counts(connection: &mut SqliteConnection) -> Result<Counts, Failure> {
    let sagas: Vec<(String, i64)> =
        saga_counts::table.select((saga_counts::status, saga_counts::count)).load(connection)?;
    let mut by_status: BTreeMap<String, i64> = BTreeMap::new();
    for (status, count) in sagas {
        *by_status.entry(status).or_default() += count;
    }
    let orders: Vec<(String, i64)> = order_counts::table.load(connection)?;
    let cancelled: Vec<(String, i64)> =
        cancellation_counts::table.order(cancellation_counts::code).load(connection)?;
    Ok(Counts {
        sagas: by_status
            .into_iter()
            .map(|(status, count)| Ok((read::status(&status)?, natural(count)?)))
            .collect::<Result<_, Failure>>()?,
        orders: orders
            .into_iter()
            .map(|(status, count)| Ok((orders::status(&status)?, natural(count)?)))
            .collect::<Result<_, Failure>>()?,
        cancelled_by_reason: cancelled
            .into_iter()
            .map(|(code, count)| Ok((code, natural(count)?)))
            .collect::<Result<_, Failure>>()?,
    })
}
