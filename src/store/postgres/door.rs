//! What is wanted of sagas from outside, and messages that could not be processed.

use std::collections::BTreeSet;

use diesel::prelude::*;
use diesel::sql_types::{Array, Integer};
use uuid::Uuid;

use super::Orchestrator;
use super::encode::{
    self, Document, Moment, corrupt, document, from_json, integer, natural, storable,
};
use super::failure::Failure;
use super::schema::orchestrator::{audit_log, dead_letters, saga_inputs, sagas};
use super::statement::Statement;
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
        self.database.own_look(|connection| {
            let rows: Vec<PendingRow> = saga_inputs::table
                .select(PendingRow::as_select())
                .filter(saga_inputs::shard.eq(i32::from(shard)))
                .filter(saga_inputs::outcome.is_null())
                .order(saga_inputs::id)
                .limit(i64::from(limit))
                .load(connection)?;
            rows.into_iter().map(PendingRow::read).collect()
        })
    }

    fn waiting(&self, shards: &[Shard]) -> Result<BTreeSet<Shard>, StoreError> {
        let shards: Vec<i32> = shards.iter().map(|shard| i32::from(*shard)).collect();
        self.database.own_look(|connection| {
            let rows: Vec<ShardRow> = Statement::new(
                // With EXISTS it would be joined with all inputs that wait.
                "SELECT n.shard FROM unnest(?) AS n (shard) CROSS JOIN LATERAL (
                     SELECT 1 FROM skald_orchestrator.saga_inputs AS i
                     WHERE i.shard = n.shard AND i.outcome IS NULL LIMIT 1) AS waiting",
            )
            .bind::<Array<Integer>, _>(&shards)
            .load(connection)?;
            rows.into_iter().map(|row| encode::shard(row.shard)).collect()
        })
    }

    fn outcome(&self, id: InputId) -> Result<Option<InputOutcome>, StoreError> {
        self.database.look(|connection| {
            let found: Option<Option<Document>> = saga_inputs::table
                .find(id)
                .select(saga_inputs::outcome)
                .first(connection)
                .optional()?;
            outcome(id, found.flatten())
        })
    }

    fn bury(&self, letters: &[DeadLetter]) -> Result<BTreeSet<Shard>, StoreError> {
        // Dead letters are rare, and each is a few statements. In the order of what makes them
        // unique, so that two processes with the same letters do not wait for each other in a circle.
        let mut letters: Vec<&DeadLetter> = letters.iter().collect();
        letters.sort_by(|a, b| (&a.message_id, &a.queue).cmp(&(&b.message_id, &b.queue)));
        self.database.own_write(|connection| {
            let mut concerned = BTreeSet::new();
            for letter in &letters {
                let is_new = bury(connection, letter)?;
                if let (true, Some(notice)) = (is_new, &letter.notice)
                    && let Admitted::Stored(_, shard) = admit(connection, notice)?
                {
                    concerned.insert(shard);
                }
            }
            Ok(concerned)
        })
    }
}

#[derive(QueryableByName)]
struct ShardRow {
    #[diesel(sql_type = Integer)]
    shard: i32,
}

/// Stores an input with its line in the audit log, unless it is a repeat or its saga is unknown.
fn admit(connection: &mut PgConnection, input: &NewInput) -> Result<Admitted, Failure> {
    let shard: Option<i32> =
        sagas::table.find(input.saga.0).select(sagas::shard).first(connection).optional()?;
    let Some(shard) = shard else { return Ok(Admitted::NoSuchSaga) };
    let owner = encode::shard(shard)?;
    // A repeat that comes at the same moment waits here for the other one to end.
    let stored = diesel::insert_into(saga_inputs::table)
        .values((
            saga_inputs::id.eq(input.id),
            saga_inputs::saga.eq(input.saga.0),
            saga_inputs::shard.eq(shard),
            saga_inputs::client_key.eq(storable(&input.client_key)),
            saga_inputs::request.eq(document(&input.request)?),
            saga_inputs::if_version.eq(input.if_version.map(integer).transpose()?),
            saga_inputs::at.eq(Moment(input.at)),
        ))
        .on_conflict((saga_inputs::saga, saga_inputs::client_key))
        .do_nothing()
        .execute(connection)?;
    if stored == 0 {
        return earlier(connection, input, owner);
    }
    if let Some((who, action, note)) = input.request.audit() {
        diesel::insert_into(audit_log::table)
            .values((
                audit_log::at.eq(Moment(input.at)),
                audit_log::who.eq(storable(who)),
                audit_log::action.eq(action),
                audit_log::saga.eq(input.saga.0),
                audit_log::note.eq(storable(note)),
                audit_log::input.eq(input.id),
            ))
            .execute(connection)?;
    }
    Ok(Admitted::Stored(input.id, owner))
}

/// What came of the input that the client's key was used for before.
fn earlier(
    connection: &mut PgConnection,
    input: &NewInput,
    owner: Shard,
) -> Result<Admitted, Failure> {
    let (row, stored): (PendingRow, Option<Document>) = saga_inputs::table
        .filter(saga_inputs::saga.eq(input.saga.0))
        .filter(saga_inputs::client_key.eq(storable(&input.client_key)))
        .select((PendingRow::as_select(), saga_inputs::outcome))
        .first(connection)?;
    let before = row.read()?;
    let same = before.request == input.request && before.if_version == input.if_version;
    Ok(match (same, before.id == input.id) {
        // Stored by an earlier try whose COMMIT was not answered.
        (true, true) => Admitted::Stored(input.id, owner),
        (true, false) => Admitted::Repeated(before.id, owner, outcome(before.id, stored)?),
        (false, _) => Admitted::KeyTaken,
    })
}

fn outcome(id: InputId, stored: Option<Document>) -> Result<Option<InputOutcome>, Failure> {
    stored.map(|text| from_json(&text.0, || format!("the outcome of input {id}"))).transpose()
}

/// Stores a dead letter, or opens it again if its message had been requeued; tells whether it is new.
fn bury(connection: &mut PgConnection, letter: &DeadLetter) -> QueryResult<bool> {
    let stored = diesel::insert_into(dead_letters::table)
        .values((
            dead_letters::id.eq(letter.id),
            dead_letters::at.eq(Moment(letter.at)),
            dead_letters::message_id.eq(storable(&letter.message_id)),
            dead_letters::queue.eq(storable(&letter.queue)),
            dead_letters::routing_key.eq(storable(&letter.routing_key)),
            dead_letters::reason.eq(storable(&letter.reason)),
            dead_letters::headers.eq(Document(letter.headers.clone())),
            dead_letters::body.eq(&letter.body),
            dead_letters::saga.eq(letter.saga.map(|saga| saga.0)),
        ))
        .on_conflict((dead_letters::message_id, dead_letters::queue))
        .do_nothing()
        .execute(connection)?;
    if stored > 0 {
        return Ok(true);
    }
    // It may be the death before that comes again. A letter that is open for nothing is looked at once
    // more; one that looks requeued though its message is dead would be forgotten.
    let requeued = dead_letters::table
        .filter(dead_letters::message_id.eq(storable(&letter.message_id)))
        .filter(dead_letters::queue.eq(storable(&letter.queue)))
        .filter(dead_letters::state.eq(LetterState::Requeued.as_str()));
    diesel::update(requeued)
        .set((
            dead_letters::state.eq(LetterState::Open.as_str()),
            dead_letters::at.eq(Moment(letter.at)),
            dead_letters::reason.eq(storable(&letter.reason)),
        ))
        .execute(connection)?;
    Ok(false)
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = saga_inputs)]
struct PendingRow {
    id: Uuid,
    saga: Uuid,
    request: Document,
    if_version: Option<i64>,
}

impl PendingRow {
    fn read(self) -> Result<PendingInput, Failure> {
        let place = || format!("input {}", self.id);
        let if_version: Option<Sequence> = self
            .if_version
            .map(natural)
            .transpose()
            .map_err(|_| corrupt(place(), "its version is negative"))?;
        let request: Request = from_json(&self.request.0, place)?;
        Ok(PendingInput { id: self.id, saga: SagaId(self.saga), request, if_version })
    }
}
