//! What is wanted of sagas from outside, and messages that could not be processed.

use std::collections::BTreeSet;

use diesel::dsl::exists;
use diesel::prelude::*;

use super::Orchestrator;
use super::encode::{Id, corrupt, from_json, integer, json, natural};
use super::failure::Failure;
use super::schema::orchestrator::{audit_log, dead_letters, saga_inputs, sagas};
use crate::ports::StoreError;
use crate::ports::door::{
    Admitted, DeadLetter, Door, InputId, InputOutcome, NewInput, PendingInput, Request,
};
use crate::ports::ledger::Shard;
use crate::ports::letters::LetterState;
use crate::saga::id::{SagaId, Sequence};

impl Door for Orchestrator {
    fn admit(&self, input: &NewInput) -> Result<Admitted, StoreError> {
        self.database.write(|connection| admit(connection, input))
    }

    fn pending(&self, shard: Shard, limit: u32) -> Result<Vec<PendingInput>, StoreError> {
        self.database.read(|connection| {
            let rows: Vec<PendingRow> = saga_inputs::table
                .select(PendingRow::as_select())
                .filter(saga_inputs::shard.eq(i64::from(shard)))
                .filter(saga_inputs::outcome.is_null())
                .order(saga_inputs::id)
                .limit(i64::from(limit))
                .load(connection)?;
            rows.into_iter().map(PendingRow::read).collect()
        })
    }

    fn waiting(&self, shards: &[Shard]) -> Result<BTreeSet<Shard>, StoreError> {
        self.database.read(|connection| {
            let waits = |shard: Shard, connection: &mut _| {
                let inputs = saga_inputs::table
                    .filter(saga_inputs::shard.eq(i64::from(shard)))
                    .filter(saga_inputs::outcome.is_null());
                diesel::select(exists(inputs)).get_result::<bool>(connection)
            };
            let mut waiting = BTreeSet::new();
            for &shard in shards {
                if waits(shard, connection)? {
                    waiting.insert(shard);
                }
            }
            Ok(waiting)
        })
    }

    fn outcome(&self, id: InputId) -> Result<Option<InputOutcome>, StoreError> {
        self.database.read(|connection| {
            let found: Option<Option<String>> = saga_inputs::table
                .find(Id(id))
                .select(saga_inputs::outcome)
                .first(connection)
                .optional()?;
            outcome(id, found.flatten())
        })
    }

    fn bury(&self, letters: &[DeadLetter]) -> Result<BTreeSet<Shard>, StoreError> {
        self.database.write(|connection| {
            let mut concerned = BTreeSet::new();
            for letter in letters {
                if let (true, Some(notice)) = (bury(connection, letter)?, &letter.notice)
                    && let Admitted::Stored(_, shard) = admit(connection, notice)?
                {
                    concerned.insert(shard);
                }
            }
            Ok(concerned)
        })
    }
}

/// Stores an input with its line in the audit log, unless it is a repeat or its saga is unknown.
fn admit(connection: &mut SqliteConnection, input: &NewInput) -> Result<Admitted, Failure> {
    let shard: Option<i64> = sagas::table
        .filter(sagas::id.eq(Id(input.saga.0)))
        .select(sagas::shard)
        .first(connection)
        .optional()?;
    let Some(shard) = shard else { return Ok(Admitted::NoSuchSaga) };
    let owner = Shard::try_from(shard)
        .map_err(|_| corrupt(format!("saga {}", input.saga), "its shard is no shard"))?;
    if let Some(earlier) = earlier(connection, input, owner)? {
        return Ok(earlier);
    }
    diesel::insert_into(saga_inputs::table)
        .values((
            saga_inputs::id.eq(Id(input.id)),
            saga_inputs::saga.eq(Id(input.saga.0)),
            saga_inputs::shard.eq(shard),
            saga_inputs::client_key.eq(&input.client_key),
            saga_inputs::request.eq(json(&input.request)?),
            saga_inputs::if_version.eq(input.if_version.map(integer).transpose()?),
            saga_inputs::at.eq(input.at.0),
        ))
        .execute(connection)?;
    if let Some((who, action, note)) = input.request.audit() {
        diesel::insert_into(audit_log::table)
            .values((
                audit_log::at.eq(input.at.0),
                audit_log::who.eq(who),
                audit_log::action.eq(action),
                audit_log::saga.eq(Id(input.saga.0)),
                audit_log::note.eq(note),
                audit_log::input.eq(Id(input.id)),
            ))
            .execute(connection)?;
    }
    Ok(Admitted::Stored(input.id, owner))
}

/// What came of the input that the client's key was used for before, if it was.
fn earlier(
    connection: &mut SqliteConnection,
    input: &NewInput,
    shard: Shard,
) -> Result<Option<Admitted>, Failure> {
    let found: Option<(PendingRow, Option<String>)> = saga_inputs::table
        .filter(saga_inputs::saga.eq(Id(input.saga.0)))
        .filter(saga_inputs::client_key.eq(&input.client_key))
        .select((PendingRow::as_select(), saga_inputs::outcome))
        .first(connection)
        .optional()?;
    let Some((row, stored)) = found else { return Ok(None) };
    let before = row.read()?;
    let same = before.request == input.request && before.if_version == input.if_version;
    Ok(Some(match same {
        true => Admitted::Repeated(before.id, shard, outcome(before.id, stored)?),
        false => Admitted::KeyTaken,
    }))
}

fn outcome(id: InputId, stored: Option<String>) -> Result<Option<InputOutcome>, Failure> {
    stored.map(|text| from_json(&text, || format!("the outcome of input {id}"))).transpose()
}

/// Stores a dead letter, or opens it again if its message had been requeued; tells whether it is new.
fn bury(connection: &mut SqliteConnection, letter: &DeadLetter) -> QueryResult<bool> {
    let stored = diesel::insert_or_ignore_into(dead_letters::table)
        .values(NewLetter::from(letter))
        .execute(connection)?;
    if stored > 0 {
        return Ok(true);
    }
    // It may be the death before that comes again. A letter that is open for nothing is looked at once
    // more; one that looks requeued though its message is dead would be forgotten.
    let requeued = dead_letters::table
        .filter(dead_letters::message_id.eq(&letter.message_id))
        .filter(dead_letters::queue.eq(&letter.queue))
        .filter(dead_letters::state.eq(LetterState::Requeued.as_str()));
    diesel::update(requeued)
        .set((
            dead_letters::state.eq(LetterState::Open.as_str()),
            dead_letters::at.eq(letter.at.0),
            dead_letters::reason.eq(&letter.reason),
        ))
        .execute(connection)?;
    Ok(false)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = saga_inputs)]
struct PendingRow {
    id: Id,
    saga: Id,
    request: String,
    if_version: Option<i64>,
}

impl PendingRow {
    fn read(self) -> Result<PendingInput, Failure> {
        let place = || format!("input {}", self.id.0);
        let if_version: Option<Sequence> = self
            .if_version
            .map(natural)
            .transpose()
            .map_err(|_| corrupt(place(), "its version is negative"))?;
        let request: Request = from_json(&self.request, place)?;
        Ok(PendingInput { id: self.id.0, saga: SagaId(self.saga.0), request, if_version })
    }
}

#[derive(Insertable)]
#[diesel(table_name = dead_letters, treat_none_as_default_value = false)]
struct NewLetter<'a> {
    id: Id,
    message_id: &'a str,
    queue: &'a str,
    routing_key: &'a str,
    reason: &'a str,
    headers: &'a str,
    body: &'a [u8],
    at: i64,
    saga: Option<Id>,
}

impl<'a> From<&'a DeadLetter> for NewLetter<'a> {
    fn from(letter: &'a DeadLetter) -> Self {
        Self {
            id: Id(letter.id),
            message_id: &letter.message_id,
            queue: &letter.queue,
            routing_key: &letter.routing_key,
            reason: &letter.reason,
            headers: &letter.headers,
            body: &letter.body,
            at: letter.at.0,
            saga: letter.saga.map(|saga| Id(saga.0)),
        }
    }
}
