//! Sagas and history rows as they are stored.

use diesel::prelude::*;

use crate::ports::queries::SagaSummary;
use crate::saga::event::{Event, Recorded};
use crate::saga::id::{DefinitionRef, SagaId, Timestamp};
use crate::saga::state::{Saga, SagaStatus};
use crate::store::sqlite::encode::{self, Id, corrupt, natural};
use crate::store::sqlite::failure::Failure;
use crate::store::sqlite::schema::orchestrator::{history, sagas};

/// A saga's row.
#[derive(Queryable, Selectable)]
#[diesel(table_name = sagas)]
pub(in crate::store::sqlite) struct SummaryRow {
    id: Id,
    definition: String,
    definition_version: i64,
    business_key: String,
    status: String,
    version: i64,
    due_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
}

impl SummaryRow {
    /// The saga it stands for.
    pub fn id(&self) -> SagaId {
        SagaId(self.id.0)
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
        let place = || format!("saga {}", self.id.0);
        Ok(SagaSummary {
            id: SagaId(self.id.0),
            definition: DefinitionRef {
                name: self.definition.as_str().into(),
                version: u32::try_from(self.definition_version)
                    .map_err(|error| corrupt(place(), error))?,
            },
            status: status(&self.status)?,
            version: natural(self.version)?,
            due_at: self.due_at.map(Timestamp),
            created_at: Timestamp(self.created_at),
            updated_at: Timestamp(self.updated_at),
            key: self.business_key,
        })
    }
}

/// Reads a saga's status.
pub(in crate::store::sqlite) fn status(text: &str) -> Result<SagaStatus, Failure> {
    SagaStatus::parse(text)
        .ok_or_else(|| corrupt("a saga's status", format!("{text} is no status")))
}

/// A saga's state and the event it was born with.
#[derive(Queryable)]
struct SagaRow {
    format: i64,
    state: String,
    birth_format: i64,
    birth: String,
}

/// Reads a saga.
pub(in crate::store::sqlite) fn saga(
    connection: &mut SqliteConnection,
    id: Id,
) -> Result<Option<Saga>, Failure> {
    let row: Option<SagaRow> = sagas::table
        .inner_join(history::table.on(history::position.eq(sagas::birth)))
        .filter(sagas::id.eq(id))
        .select((sagas::format, sagas::state, history::format, history::event))
        .first(connection)
        .optional()?;
    let Some(row) = row else { return Ok(None) };
    let place = || format!("saga {}", id.0);
    let state = encode::state(row.format, &row.state, place)?;
    match encode::event(row.birth_format, &row.birth, place)? {
        Event::SagaStarted(birth) => {
            Ok(Some(Saga { id: SagaId(id.0), birth: birth.into(), state }))
        }
        _ => Err(corrupt(place(), "its first event is not its start")),
    }
}

/// A row of the history.
#[derive(Queryable, Selectable)]
#[diesel(table_name = history)]
pub(in crate::store::sqlite) struct EventRow {
    pub position: i64,
    pub saga: Id,
    sequence: i64,
    at: i64,
    format: i64,
    event: String,
}

impl EventRow {
    /// The event.
    pub fn recorded(&self) -> Result<Recorded, Failure> {
        Ok(Recorded {
            sequence: natural(self.sequence)?,
            at: Timestamp(self.at),
            event: encode::event(self.format, &self.event, || self.place())?,
        })
    }

    /// Something is wrong with this row.
    pub fn corrupt(&self, cause: &str) -> Failure {
        corrupt(self.place(), cause)
    }

    fn place(&self) -> String {
        format!("event {} of saga {}", self.sequence, self.saga.0)
    }
}
