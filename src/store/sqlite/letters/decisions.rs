//! Decisions about dead letters.

use diesel::prelude::*;

use super::place;
use crate::ports::letters::{
    Action, Decided, Decision, DecisionId, Due, LetterId, LetterState, MOST_DECISIONS, NewDecision,
    Outcome, Verdict,
};
use crate::saga::id::Timestamp;
use crate::store::sqlite::encode::{Id, named};
use crate::store::sqlite::failure::Failure;
use crate::store::sqlite::schema::orchestrator::{dead_letters, letter_decisions};

/// The newest decisions about a letter, oldest first.
pub(super) fn about(
    connection: &mut SqliteConnection,
    letter: LetterId,
) -> Result<Vec<Decision>, Failure> {
    let newest: Vec<DecisionRow> = letter_decisions::table
        .filter(letter_decisions::letter.eq(Id(letter)))
        .order(letter_decisions::id.desc())
        .limit(i64::from(MOST_DECISIONS))
        .select(DecisionRow::as_select())
        .load(connection)?;
    newest.into_iter().rev().map(DecisionRow::read).collect()
}

/// Takes a decision. The write lock has decisions come one after the other.
pub(super) fn decide(
    connection: &mut SqliteConnection,
    wish: &NewDecision,
) -> Result<Decided, Failure> {
    let letter = dead_letters::table.find(Id(wish.letter));
    let state: Option<String> = letter.select(dead_letters::state).first(connection).optional()?;
    let Some(state) = state else { return Ok(Decided::NoSuchLetter) };
    let state: LetterState = named(&state, LetterState::parse, || place(wish.letter))?;
    let decisions = letter_decisions::table
        .filter(letter_decisions::letter.eq(Id(wish.letter)))
        .select(DecisionRow::as_select());
    let under_key: Option<DecisionRow> = decisions
        .filter(letter_decisions::client_key.eq(&wish.client_key))
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
            letter_decisions::id.eq(Id(wish.id)),
            letter_decisions::letter.eq(Id(wish.letter)),
            letter_decisions::at.eq(wish.at.0),
            letter_decisions::due_at.eq(taken.outcome.is_none().then_some(wish.at.0)),
            letter_decisions::action.eq(wish.action.as_str()),
            letter_decisions::who.eq(&wish.by),
            letter_decisions::note.eq(&wish.note),
            letter_decisions::outcome.eq(taken.outcome.map(Outcome::as_str)),
            letter_decisions::client_key.eq(&wish.client_key),
        ))
        .execute(connection)?;
    diesel::update(letter).set(dead_letters::state.eq(state.as_str())).execute(connection)?;
    Ok(Decided::Stands(taken))
}

/// Puts a decision off, and reads what it is about.
pub(super) fn put_off(
    connection: &mut SqliteConnection,
    decision: DecisionId,
    letter: LetterId,
    again: Timestamp,
) -> Result<Due, Failure> {
    diesel::update(letter_decisions::table.find(Id(decision)))
        .set(letter_decisions::due_at.eq(again.0))
        .execute(connection)?;
    let (queue, routing_key, headers, body) = dead_letters::table
        .find(Id(letter))
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
    connection: &mut SqliteConnection,
    id: DecisionId,
    outcome: Outcome,
) -> Result<(), Failure> {
    let unsettled =
        letter_decisions::table.find(Id(id)).filter(letter_decisions::outcome.is_null());
    let settled: Option<Id> = diesel::update(unsettled)
        .set((
            letter_decisions::outcome.eq(outcome.as_str()),
            letter_decisions::due_at.eq(None::<i64>),
        ))
        .returning(letter_decisions::letter)
        .get_result(connection)
        .optional()?;
    let (Some(letter), true) = (settled, outcome != Outcome::Done) else { return Ok(()) };
    diesel::update(letter_decisions::table.find(Id(id)))
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
    id: Id,
    action: String,
    who: String,
    note: String,
    at: i64,
    outcome: Option<String>,
}

impl DecisionRow {
    fn read(self) -> Result<Decision, Failure> {
        Ok(Decision {
            id: self.id.0,
            action: named(&self.action, Action::parse, || format!("decision {}", self.id.0))?,
            by: self.who,
            note: self.note,
            at: Timestamp(self.at),
            outcome: outcome(self.id.0, self.outcome)?,
        })
    }
}
