//! Dead letters, and what is decided about them. They are few, so each is a statement of its own.

mod decisions;

use std::cmp::Reverse;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use uuid::Uuid;

use super::Orchestrator;
use super::encode::{Document, Moment, named, natural};
use super::failure::Failure;
use super::schema::orchestrator::{dead_letters, letter_decisions};
use super::statement::Statement;
use crate::ports::StoreError;
use crate::ports::letters::{
    Decided, DecisionId, Due, Letter, LetterFilter, LetterId, LetterState, LetterSummary, Letters,
    MOST_COUNTED, NewDecision, Outcome,
};
use crate::saga::id::{SagaId, Timestamp};

impl Letters for Orchestrator {
    fn letters(
        &self,
        filter: &LetterFilter,
        before: Option<LetterId>,
        limit: u32,
    ) -> Result<Vec<LetterSummary>, StoreError> {
        self.database.read(|connection| page(connection, filter, before, limit))
    }

    fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        self.database.read(|connection| {
            let found: Option<(SummaryRow, Document, Vec<u8>)> = dead_letters::table
                .find(id)
                .select((SummaryRow::as_select(), dead_letters::headers, dead_letters::body))
                .first(connection)
                .optional()?;
            let Some((row, Document(headers), body)) = found else { return Ok(None) };
            let decisions = decisions::about(connection, id)?;
            Ok(Some(Letter { summary: row.read()?, headers, body, decisions }))
        })
    }

    fn decide(&self, decision: &NewDecision) -> Result<Decided, StoreError> {
        self.database.write(|connection| decisions::decide(connection, decision))
    }

    fn decision_outcome(&self, id: DecisionId) -> Result<Option<Outcome>, StoreError> {
        self.database.look(|connection| {
            let found: Option<Option<String>> = letter_decisions::table
                .find(id)
                .select(letter_decisions::outcome)
                .first(connection)
                .optional()?;
            decisions::outcome(id, found.flatten())
        })
    }

    fn take_due(
        &self,
        now: Timestamp,
        again: Timestamp,
        limit: u32,
    ) -> Result<Vec<Due>, StoreError> {
        self.database.own_write(|connection| {
            let due: Vec<(Uuid, Uuid)> = letter_decisions::table
                .filter(letter_decisions::due_at.le(Moment(now)))
                .order(letter_decisions::due_at)
                .limit(i64::from(limit))
                .select((letter_decisions::id, letter_decisions::letter))
                .for_update()
                .skip_locked()
                .load(connection)?;
            due.into_iter()
                .map(|(id, letter)| decisions::put_off(connection, id, letter, again))
                .collect()
        })
    }

    fn settle(&self, outcomes: &[(DecisionId, Outcome)]) -> Result<(), StoreError> {
        self.database.own_write(|connection| {
            // In one order, so that two nodes do not wait for each other in a circle.
            let mut outcomes = outcomes.to_vec();
            outcomes.sort_unstable_by_key(|(id, _)| *id);
            outcomes
                .into_iter()
                .try_for_each(|(id, outcome)| decisions::settle(connection, id, outcome))
        })
    }

    fn open_letters(&self) -> Result<u64, StoreError> {
        self.database.own_look(|connection| {
            let open: Count = Statement::new(
                "SELECT count(*) AS count FROM (
                     SELECT FROM skald_orchestrator.dead_letters WHERE state = 'OPEN' LIMIT ?
                 ) AS open",
            )
            .bind::<BigInt, _>(i64::from(MOST_COUNTED))
            .get_result(connection)?;
            natural(open.count)
        })
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The newest letters. A queue's are one range of an index for each state.
fn page(
    connection: &mut PgConnection,
    filter: &LetterFilter,
    before: Option<LetterId>,
    limit: u32,
) -> Result<Vec<LetterSummary>, Failure> {
    let newest = |state: Option<LetterState>| {
        let mut query = dead_letters::table
            .select(SummaryRow::as_select())
            .filter(dead_letters::id.lt(before.unwrap_or(Uuid::max())))
            .order(dead_letters::id.desc())
            .limit(i64::from(limit))
            .into_boxed();
        if let Some(saga) = filter.saga {
            query = query.filter(dead_letters::saga.eq(saga.0));
        }
        if let Some(queue) = &filter.queue {
            query = query.filter(dead_letters::queue.eq(queue));
        }
        match state {
            Some(state) => query.filter(dead_letters::state.eq(state.as_str())),
            None => query,
        }
    };
    let states: Vec<Option<LetterState>> = match (filter.state, &filter.queue, filter.saga) {
        (None, Some(_), None) => LetterState::ALL.iter().copied().map(Some).collect(),
        (state, ..) => vec![state],
    };
    let mut rows: Vec<SummaryRow> = Vec::new();
    for state in states {
        rows.extend(newest(state).load::<SummaryRow>(connection)?);
    }
    rows.sort_unstable_by_key(|row| Reverse(row.id));
    rows.into_iter().take(limit as usize).map(SummaryRow::read).collect()
}

fn place(letter: LetterId) -> String {
    format!("dead letter {letter}")
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = dead_letters)]
struct SummaryRow {
    id: Uuid,
    message_id: String,
    queue: String,
    routing_key: String,
    reason: String,
    saga: Option<Uuid>,
    state: String,
    at: Moment,
}

impl SummaryRow {
    fn read(self) -> Result<LetterSummary, Failure> {
        Ok(LetterSummary {
            id: self.id,
            state: named(&self.state, LetterState::parse, || place(self.id))?,
            message_id: self.message_id,
            queue: self.queue,
            routing_key: self.routing_key,
            reason: self.reason,
            saga: self.saga.map(SagaId),
            at: self.at.0,
        })
    }
}
