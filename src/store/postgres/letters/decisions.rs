//! Decisions about dead letters.

use diesel::prelude::*;
use uuid::Uuid;

use super::place;
use crate::ports::letters::{
    Action, Decided, Decision, DecisionId, Due, LetterId, LetterState, MOST_DECISIONS, NewDecision,
    Outcome, Verdict,
};
use crate::saga::id::Timestamp;
use crate::store::postgres::encode::{Document, Moment, named, storable};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::schema::orchestrator::{dead_letters, letter_decisions};

/// The newest decisions about a letter, oldest first.
pub(super) fn about(
    connection: &mut PgConnection,
    letter: LetterId,
) -> Result<Vec<Decision>, Failure> {
    let newest: Vec<DecisionRow> = letter_decisions::table
        .filter(letter_decisions::letter.eq(letter))
        .order(letter_decisions::id.desc())
        .limit(i64::from(MOST_DECISIONS))
        .select(DecisionRow::as_select())
        .load(connection)?;
    newest.into_iter().rev().map(DecisionRow::read).collect()
}

/// Whoever decides about a letter holds its row, so that decisions come one after the other.
pub(super) fn decide(
    connection: &mut PgConnection,
    wish: &NewDecision,
) -> Result<Decided, Failure> {
    let letter = dead_letters::table.find(wish.letter);
    let state: Option<String> =
        letter.select(dead_letters::state).for_update().first(connection).optional()?;
    let Some(state) = state else { return Ok(Decided::NoSuchLetter) };
    let state: LetterState = named(&state, LetterState::parse, || place(wish.letter))?;
    let decisions = letter_decisions::table
        .filter(letter_decisions::letter.eq(wish.letter))
        .select(DecisionRow::as_select());
    let under_key: Option<DecisionRow> = decisions
        .filter(letter_decisions::client_key.eq(storable(&wish.client_key)))
        .first(connection)
        .optional()?;
    if let Some(earlier) = under_key {
        return Ok(wish.after(earlier.read()?));
    }
    let state = match state.judge(wish.action) {
        Verdict::Taken(state) => state,
        Verdict::Conflict => return Ok(Decided::Conflict(state)),
        Verdict::Stands => {
            let standing: DecisionRow = decisions
                .filter(letter_decisions::action.eq(wish.action.as_str()))
                .order(letter_decisions::id.desc())
                .first(connection)?;
            return Ok(Decided::Stands(standing.read()?));
        }
    };
    let taken = wish.taken();
    diesel::insert_into(letter_decisions::table)
        .values((
            letter_decisions::id.eq(wish.id),
            letter_decisions::letter.eq(wish.letter),
            letter_decisions::at.eq(Moment(wish.at)),
            letter_decisions::due_at.eq(taken.outcome.is_none().then_some(Moment(wish.at))),
            letter_decisions::action.eq(wish.action.as_str()),
            letter_decisions::who.eq(storable(&wish.by)),
            letter_decisions::note.eq(storable(&wish.note)),
            letter_decisions::outcome.eq(taken.outcome.map(Outcome::as_str)),
            letter_decisions::client_key.eq(storable(&wish.client_key)),
        ))
        .execute(connection)?;
    diesel::update(letter).set(dead_letters::state.eq(state.as_str())).execute(connection)?;
    Ok(Decided::Stands(taken))
}

/// Puts a decision off, and reads what it is about.
pub(super) fn put_off(
    connection: &mut PgConnection,
    decision: DecisionId,
    letter: LetterId,
    again: Timestamp,
) -> Result<Due, Failure> {
    diesel::update(letter_decisions::table.find(decision))
        .set(letter_decisions::due_at.eq(Moment(again)))
        .execute(connection)?;
    let (queue, routing_key, Document(headers), body) = dead_letters::table
        .find(letter)
        .select((
            dead_letters::queue,
            dead_letters::routing_key,
            dead_letters::headers,
            dead_letters::body,
        ))
        .first(connection)?;
    Ok(Due { decision, queue, routing_key, headers, body })
}

/// Settles a decision that is not; one that failed leaves its letter open and its key free.
pub(super) fn settle(
    connection: &mut PgConnection,
    id: DecisionId,
    outcome: Outcome,
) -> Result<(), Failure> {
    let unsettled = letter_decisions::table.find(id).filter(letter_decisions::outcome.is_null());
    let settled: Option<Uuid> = diesel::update(unsettled)
        .set((
            letter_decisions::outcome.eq(outcome.as_str()),
            letter_decisions::due_at.eq(None::<Moment>),
        ))
        .returning(letter_decisions::letter)
        .get_result(connection)
        .optional()?;
    let (Some(letter), true) = (settled, outcome != Outcome::Done) else { return Ok(()) };
    diesel::update(letter_decisions::table.find(id))
        .set(letter_decisions::client_key.eq(None::<String>))
        .execute(connection)?;
    let requeued = dead_letters::table
        .find(letter)
        .filter(dead_letters::state.eq(LetterState::Requeued.as_str()));
    diesel::update(requeued)
        .set(dead_letters::state.eq(LetterState::Open.as_str()))
        .execute(connection)?;
    Ok(())
}

/// Reads what came of a decision.
pub(super) fn outcome(id: DecisionId, stored: Option<String>) -> Result<Option<Outcome>, Failure> {
    stored.map(|text| named(&text, Outcome::parse, || format!("decision {id}"))).transpose()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = letter_decisions)]
struct DecisionRow {
    id: Uuid,
    action: String,
    who: String,
    note: String,
    at: Moment,
    outcome: Option<String>,
}

impl DecisionRow {
    fn read(self) -> Result<Decision, Failure> {
        Ok(Decision {
            id: self.id,
            action: named(&self.action, Action::parse, || format!("decision {}", self.id))?,
            by: self.who,
            note: self.note,
            at: self.at.0,
            outcome: outcome(self.id, self.outcome)?,
        })
    }
}
