//! Writing one entry of a batch: all of it, or nothing.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};

use super::orders;
use super::shard::OwnedShard;
use crate::ports::door::{InputId, InputOutcome};
use crate::ports::ledger::{Entry, EntryOutcome, OrderChange};
use crate::saga::event::{EVENT_FORMAT, Recorded};
use crate::saga::id::{SagaId, Timestamp};
use crate::saga::state::STATE_FORMAT;
use crate::store::counters::Counters;
use crate::store::sqlite::encode::{Id, integer, json, position};
use crate::store::sqlite::failure::Failure;
use crate::store::sqlite::schema::orchestrator::{history, saga_inputs, sagas};
use crate::store::sqlite::update::update;

#[derive(Insertable)]
#[diesel(table_name = sagas, treat_none_as_default_value = false)]
struct NewSaga<'a> {
    birth: i64,
    id: Id,
    shard: i64,
    definition: &'a str,
    definition_version: i64,
    business_key: &'a str,
    status: &'static str,
    version: i64,
    due_at: Option<i64>,
    created_at: i64,
    updated_at: i64,
    format: i64,
    state: &'a str,
}

#[derive(AsChangeset)]
#[diesel(table_name = sagas, treat_none_as_null = true)]
struct Progress<'a> {
    status: &'static str,
    version: i64,
    due_at: Option<i64>,
    updated_at: i64,
    format: i64,
    state: &'a str,
}

#[derive(Insertable)]
#[diesel(table_name = history, treat_none_as_default_value = false)]
struct NewEvent<'a> {
    position: i64,
    saga: Id,
    sequence: i64,
    at: i64,
    format: i64,
    event: &'a str,
}

/// Writes `entry`, unless its saga has another version or its idempotency key was taken: then it
/// writes nothing. Whatever the entry adds up to goes into `counters`.
pub(super) fn entry(
    connection: &mut SqliteConnection,
    shard: &mut OwnedShard,
    counters: &mut Counters,
    entry: &Entry,
) -> Result<EntryOutcome, Failure> {
    let first_seq = shard.next_seq();
    let obstacle = match (entry.events.first(), entry.events.last()) {
        (Some(first), Some(last)) if entry.expected == 0 => {
            born(connection, shard, entry, first.at, last.at)?
        }
        (_, Some(last)) => advance(connection, shard, entry, last.at)?,
        _ => stand_still(connection, shard, entry)?,
    };
    if let Some(outcome) = obstacle {
        return Ok(outcome);
    }
    for recorded in &entry.events {
        append(connection, shard, entry.saga.id, recorded)?;
    }
    match &entry.order {
        Some(OrderChange::Placed(order, claim)) => {
            orders::place(connection, counters, order, claim.as_ref())?;
        }
        Some(OrderChange::Settled { id, status, reason, at }) => {
            orders::settle(connection, counters, *id, *status, reason.as_ref(), *at)?;
        }
        None => {}
    }
    for (input, outcome) in &entry.inputs {
        settle_input(connection, entry.saga.id, *input, outcome)?;
    }
    if !entry.events.is_empty() {
        let definition = &entry.saga.birth.definition.name;
        counters.saga_moved(definition, entry.status_before, entry.saga.state.status());
    }
    Ok(EntryOutcome::Written(first_seq))
}

/// Writes a new saga. What stands in its way is the saga itself, written before, or a repeat of
/// the submission.
fn born(
    connection: &mut SqliteConnection,
    shard: &OwnedShard,
    entry: &Entry,
    created_at: Timestamp,
    updated_at: Timestamp,
) -> Result<Option<EntryOutcome>, Failure> {
    let saga = &entry.saga;
    if let Some(OrderChange::Placed(_, Some(claim))) = &entry.order
        && let Some(answer) = orders::stored_answer(connection, &claim.key)?
    {
        return Ok(Some(match is_known(connection, saga.id)? {
            true => EntryOutcome::Conflict,
            false => EntryOutcome::Replayed(answer),
        }));
    }
    let row = NewSaga {
        birth: position(shard.shard, shard.next_seq())?,
        id: Id(saga.id.0),
        shard: shard.shard.into(),
        definition: saga.birth.definition.name.as_str(),
        definition_version: saga.birth.definition.version.into(),
        business_key: &saga.birth.key,
        status: saga.state.status().as_str(),
        version: integer(saga.state.version)?,
        due_at: saga.state.next_due().map(|due| due.0),
        created_at: created_at.0,
        updated_at: updated_at.0,
        format: STATE_FORMAT.into(),
        state: &json(&saga.state)?,
    };
    match diesel::insert_into(sagas::table).values(&row).execute(connection) {
        Ok(_) => Ok(None),
        Err(error) if is_known_id(&error) => Ok(Some(EntryOutcome::Conflict)),
        Err(error) => Err(error.into()),
    }
}

/// Whether a saga was not inserted because there is one with its id. Cheaper than to ask before;
/// the transaction goes on as if nothing had been tried.
fn is_known_id(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::UniqueViolation, information)
        if information.message().ends_with("sagas.id"))
}

/// Moves a saga on from the version that the entry expects.
fn advance(
    connection: &mut SqliteConnection,
    shard: &OwnedShard,
    entry: &Entry,
    updated_at: Timestamp,
) -> Result<Option<EntryOutcome>, Failure> {
    let state = &entry.saga.state;
    let progress = Progress {
        status: state.status().as_str(),
        version: integer(state.version)?,
        due_at: state.next_due().map(|due| due.0),
        updated_at: updated_at.0,
        format: STATE_FORMAT.into(),
        state: &json(state)?,
    };
    let updated = update!(
        sagas::table,
        &progress,
        sagas::id
            .eq(Id(entry.saga.id.0))
            .and(sagas::version.eq(integer(entry.expected)?))
            .and(sagas::shard.eq(i64::from(shard.shard))),
    )
    .execute(connection)?;
    Ok((updated == 0).then_some(EntryOutcome::Conflict))
}

/// Makes sure that the saga has the version that the entry expects.
fn stand_still(
    connection: &mut SqliteConnection,
    shard: &OwnedShard,
    entry: &Entry,
) -> Result<Option<EntryOutcome>, Failure> {
    let expected = integer(entry.expected)?;
    let found = version(connection, shard, entry.saga.id)?;
    Ok((found != Some(expected)).then_some(EntryOutcome::Conflict))
}

/// Whether there is such a saga, in whatever shard.
fn is_known(connection: &mut SqliteConnection, saga: SagaId) -> QueryResult<bool> {
    diesel::select(exists(sagas::table.filter(sagas::id.eq(Id(saga.0))))).get_result(connection)
}

fn version(
    connection: &mut SqliteConnection,
    shard: &OwnedShard,
    saga: SagaId,
) -> QueryResult<Option<i64>> {
    sagas::table
        .select(sagas::version)
        .filter(sagas::id.eq(Id(saga.0)))
        .filter(sagas::shard.eq(i64::from(shard.shard)))
        .first(connection)
        .optional()
}

fn append(
    connection: &mut SqliteConnection,
    shard: &mut OwnedShard,
    saga: SagaId,
    recorded: &Recorded,
) -> Result<(), Failure> {
    let row = NewEvent {
        position: position(shard.shard, shard.take_seq())?,
        saga: Id(saga.0),
        sequence: integer(recorded.sequence)?,
        at: recorded.at.0,
        format: EVENT_FORMAT.into(),
        event: &json(&recorded.event)?,
    };
    diesel::insert_into(history::table).values(&row).execute(connection)?;
    Ok(())
}

/// Stores the outcome of an input; the first one stands.
fn settle_input(
    connection: &mut SqliteConnection,
    saga: SagaId,
    input: InputId,
    outcome: &InputOutcome,
) -> Result<(), Failure> {
    update!(
        saga_inputs::table,
        saga_inputs::outcome.eq(json(outcome)?),
        saga_inputs::id
            .eq(Id(input))
            .and(saga_inputs::saga.eq(Id(saga.0)))
            .and(saga_inputs::outcome.is_null()),
    )
    .execute(connection)?;
    Ok(())
}
