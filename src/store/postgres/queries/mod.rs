//! Reads for people.

mod orders;
mod sagas;

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use uuid::Uuid;

use super::Orchestrator;
use super::encode::{natural, shard};
use super::failure::Failure;
use super::ledger::read::{self, EventRow, SummaryRow};
use super::ledger::stored_answer;
use super::schema::orchestrator::{history, installation, sagas as saga_rows, shards};
use super::statement::Statement;
use crate::orders::{Order, OrderId};
use crate::ports::StoreError;
use crate::ports::ledger::StoredAnswer;
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
                .find(id.0)
                .select(SummaryRow::as_select())
                .first(connection)
                .optional()?;
            let (Some(row), Some(saga)) = (row, read::sagas(connection, None, &[id.0])?.pop())
            else {
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
        self.database.look(|connection| {
            let rows: Vec<EventRow> = history::table
                .filter(history::saga.eq(id.0))
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
        self.database.look(|connection| {
            // A shard that nobody ever owned has nothing to lag behind with.
            let rows: Vec<(i32, i64, i64, i64)> = shards::table
                .select((
                    shards::shard,
                    shards::last_seq,
                    shards::commands_mark,
                    shards::events_mark,
                ))
                .filter(shards::epoch.gt(0))
                .order(shards::shard)
                .load(connection)?;
            rows.into_iter()
                .map(|(number, last_seq, commands, events)| {
                    Ok(ShardLag {
                        shard: shard(number)?,
                        commands: natural((last_seq - commands).max(0))?,
                        events: natural((last_seq - events).max(0))?,
                    })
                })
                .collect()
        })
    }

    fn versions(&self, ids: &[SagaId]) -> Result<BTreeMap<SagaId, Sequence>, StoreError> {
        self.database.look(|connection| {
            let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
            let rows: Vec<(Uuid, i64)> = saga_rows::table
                .filter(saga_rows::id.eq_any(ids))
                .select((saga_rows::id, saga_rows::version))
                .load(connection)?;
            rows.into_iter().map(|(id, version)| Ok((SagaId(id), natural(version)?))).collect()
        })
    }

    fn events(&self) -> Result<u64, StoreError> {
        self.database.look(|connection| {
            let last: Vec<i64> = shards::table.select(shards::last_seq).load(connection)?;
            natural(last.into_iter().sum())
        })
    }

    fn stored_answer(&self, key: &str) -> Result<Option<StoredAnswer>, StoreError> {
        self.database.look(|connection| Ok(stored_answer(connection, key)?))
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.database.look(|connection| {
            installation::table.select(installation::shards).first::<i32>(connection)?;
            Ok(())
        })
    }
}

/// A counter over all shards.
#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn counts(connection: &mut PgConnection) -> Result<Counts, Failure> {
    let sagas: Vec<Count> = Statement::new(
        "SELECT status AS kind, sum(count)::bigint AS count
         FROM skald_orchestrator.saga_counts GROUP BY status ORDER BY status",
    )
    .load(connection)?;
    let orders: Vec<Count> = Statement::new(
        "SELECT status AS kind, sum(count)::bigint AS count
         FROM skald_orchestrator.order_counts GROUP BY status ORDER BY status",
    )
    .load(connection)?;
    let cancelled: Vec<Count> = Statement::new(
        "SELECT code AS kind, sum(count)::bigint AS count
         FROM skald_orchestrator.cancellation_counts GROUP BY code ORDER BY code",
    )
    .load(connection)?;
    Ok(Counts {
        sagas: sagas
            .into_iter()
            .map(|Count { kind, count }| Ok((read::status(&kind)?, natural(count)?)))
            .collect::<Result<_, Failure>>()?,
        orders: orders
            .into_iter()
            .map(|Count { kind, count }| Ok((orders::status(&kind)?, natural(count)?)))
            .collect::<Result<_, Failure>>()?,
        cancelled_by_reason: cancelled
            .into_iter()
            .map(|Count { kind, count }| Ok((kind, natural(count)?)))
            .collect::<Result<_, Failure>>()?,
    })
}
