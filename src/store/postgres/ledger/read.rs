//! Sagas and history rows as they are stored.

use std::collections::BTreeMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, Json, Nullable, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::super::encode::{self, Document, Moment, corrupt, natural};
use super::super::failure::Failure;
use super::super::schema::orchestrator::{history, sagas};
use super::super::statement::Statement;
use crate::ports::ledger::{Due, Shard};
use crate::ports::queries::SagaSummary;
use crate::saga::event::{Event, Recorded};
use crate::saga::id::{DefinitionRef, SagaId, Timestamp};
use crate::saga::state::{Saga, SagaStatus};

/// A saga's row.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sagas)]
pub(in crate::store::postgres) struct SummaryRow {
    id: Uuid,
    definition: String,
    definition_version: i32,
    business_key: String,
    status: String,
    version: i64,
    due_at: Option<Moment>,
    created_at: Moment,
    updated_at: Moment,
}

impl SummaryRow {
    /// The saga it stands for.
    pub fn id(&self) -> SagaId {
        SagaId(self.id)
    }

    /// Whether it is of one of these definitions and statuses; none means any.
    pub fn is_one_of(&self, kinds: Option<&[(String, String)]>) -> bool {
        kinds.is_none_or(|kinds| {
            kinds.iter().any(|(definition, status)| {
                *definition == self.definition && *status == self.status
            })
        })
    }

    /// The line of a list.
    pub fn summary(self) -> Result<SagaSummary, Failure> {
        let place = || format!("saga {}", self.id);
        Ok(SagaSummary {
            id: SagaId(self.id),
            definition: DefinitionRef {
                name: self.definition.as_str().into(),
                version: u32::try_from(self.definition_version)
                    .map_err(|error| corrupt(place(), error))?,
            },
            status: status(&self.status)?,
            version: natural(self.version)?,
            due_at: self.due_at.map(|due| due.0),
            created_at: self.created_at.0,
            updated_at: self.updated_at.0,
            key: self.business_key,
        })
    }
}

/// Reads a saga's status.
pub(in crate::store::postgres) fn status(text: &str) -> Result<SagaStatus, Failure> {
    SagaStatus::parse(text)
        .ok_or_else(|| corrupt("a saga's status", format!("{text} is no status")))
}

/// A saga's state and the event it was born with.
#[derive(QueryableByName)]
struct SagaRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Integer)]
    format: i32,
    #[diesel(sql_type = Json)]
    state: Document,
    #[diesel(sql_type = Integer)]
    birth_format: i32,
    #[diesel(sql_type = Json)]
    birth: Document,
}

impl SagaRow {
    fn saga(self) -> Result<Saga, Failure> {
        let place = || format!("saga {}", self.id);
        let state = encode::state(self.format.into(), &self.state.0, place)?;
        match encode::event(self.birth_format.into(), &self.birth.0, place)? {
            Event::SagaStarted(birth) => {
                Ok(Saga { id: SagaId(self.id), birth: birth.into(), state })
            }
            _ => Err(corrupt(place(), "its first event is not its start")),
        }
    }
}

/// Reads sagas, in no order; only those of `shard` if one is named. The LIMIT keeps each birth a
/// look-up by its saga: joined, all births could be gone through for each saga.
pub(in crate::store::postgres) fn sagas(
    connection: &mut PgConnection,
    shard: Option<Shard>,
    ids: &[Uuid],
) -> Result<Vec<Saga>, Failure> {
    let rows: Vec<SagaRow> = Statement::new(
        "SELECT s.id, s.format, s.state, h.format AS birth_format, h.event AS birth
         FROM unnest(?) AS n (id)
         JOIN skald_orchestrator.sagas AS s ON s.id = n.id AND s.shard = coalesce(?, s.shard)
         CROSS JOIN LATERAL (
             SELECT format, event FROM skald_orchestrator.history
             WHERE saga = s.id AND sequence = 1 LIMIT 1) AS h",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Nullable<Integer>, _>(shard.map(i32::from))
    .load(connection)?;
    rows.into_iter().map(SagaRow::saga).collect()
}

/// The sagas of a shard that have not ended, by id.
pub(super) fn unfinished(
    connection: &mut PgConnection,
    shard: Shard,
    after: Uuid,
    limit: u32,
) -> Result<Vec<Saga>, Failure> {
    let rows: Vec<SagaRow> = Statement::new(
        "SELECT s.id, s.format, s.state, h.format AS birth_format, h.event AS birth
         FROM (SELECT id, format, state FROM skald_orchestrator.sagas
               WHERE shard = ? AND id > ?
                   AND status IN ('RUNNING', 'ROLLING_BACK', 'NEEDS_ATTENTION')
               ORDER BY id LIMIT ?) AS s
         CROSS JOIN LATERAL (
             SELECT format, event FROM skald_orchestrator.history
             WHERE saga = s.id AND sequence = 1 LIMIT 1) AS h
         ORDER BY s.id",
    )
    .bind::<Integer, _>(i32::from(shard))
    .bind::<SqlUuid, _>(after)
    .bind::<BigInt, _>(i64::from(limit))
    .load(connection)?;
    rows.into_iter().map(SagaRow::saga).collect()
}

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = Integer)]
    shard: i32,
    #[diesel(sql_type = Timestamptz)]
    due_at: Moment,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// The sagas that are due up to `until`, of each shard those beyond its position.
pub(super) fn due(
    connection: &mut PgConnection,
    after: &BTreeMap<Shard, (Timestamp, SagaId)>,
    until: Timestamp,
    limit: u32,
) -> Result<Vec<Due>, Failure> {
    let shards: Vec<i32> = after.keys().map(|shard| i32::from(*shard)).collect();
    let (moments, last): (Vec<Moment>, Vec<Uuid>) =
        after.values().map(|(from, saga)| (Moment(*from), saga.0)).unzip();
    let rows: Vec<DueRow> = Statement::new(
        "SELECT n.shard, s.due_at, s.id FROM unnest(?, ?, ?) AS n (shard, moment, last)
         CROSS JOIN LATERAL (
             SELECT due_at, id FROM skald_orchestrator.sagas
             WHERE shard = n.shard AND due_at >= n.moment AND due_at <= ?
                 AND (due_at > n.moment OR id > n.last)
             ORDER BY due_at, id LIMIT ?) AS s
         ORDER BY n.shard, s.due_at, s.id",
    )
    .bind::<Array<Integer>, _>(shards)
    .bind::<Array<Timestamptz>, _>(moments)
    .bind::<Array<SqlUuid>, _>(last)
    .bind::<Timestamptz, _>(Moment(until))
    .bind::<BigInt, _>(i64::from(limit))
    .load(connection)?;
    rows.into_iter()
        .map(|row| {
            let shard = encode::shard(row.shard)?;
            Ok(Due { shard, at: row.due_at.0, saga: SagaId(row.id) })
        })
        .collect()
}

/// A row of the history.
#[derive(Queryable, Selectable)]
#[diesel(table_name = history)]
pub(in crate::store::postgres) struct EventRow {
    pub saga: Uuid,
    sequence: i64,
    at: Moment,
    format: i32,
    event: Document,
}

impl EventRow {
    /// The event.
    pub fn recorded(&self) -> Result<Recorded, Failure> {
        Ok(Recorded {
            sequence: natural(self.sequence)?,
            at: self.at.0,
            event: encode::event(self.format.into(), &self.event.0, || self.place())?,
        })
    }

    /// Something is wrong with this row.
    pub fn corrupt(&self, cause: &str) -> Failure {
        corrupt(self.place(), cause)
    }

    fn place(&self) -> String {
        format!("event {} of saga {}", self.sequence, self.saga)
    }
}
