//! `/v1/dead-letters`: looking at messages that died, sending them again, letting them be.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::ask::{OUTCOME_WITHIN, client_key, reason, until_known};
use super::body::JsonBody;
use super::letter_view::{LetterLine, LetterView};
use super::page;
use super::params::{Params, path_id};
use super::problem::{Kind, Problem};
use super::services::Api;
use crate::contract::letter::send_again;
use crate::ports::letters::{
    Action, Decided, Decision, Letter, LetterFilter, LetterId, LetterState, NewDecision, Outcome,
};
use crate::saga::id::SagaId;

/// Lists letters whatever became of them.
const ALL: &str = "ALL";

/// A full queue does not empty in a moment.
const QUEUE_FULL_RETRY_S: u32 = 5;

/// A page of letters.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LettersPage<'a> {
    dead_letters: Vec<LetterLine<'a>>,
    next_cursor: Option<&'a str>,
}

/// Takes the parameters that say which letters to list: the open ones, unless they say otherwise.
pub(super) fn filter(params: &mut Params) -> LetterFilter {
    let mut names: Vec<&str> = LetterState::ALL.iter().map(|state| state.as_str()).collect();
    names.push(ALL);
    let state = params.one_of("state", &names, |name| match name {
        ALL => Some(None),
        name => LetterState::parse(name).map(Some),
    });
    LetterFilter {
        state: state.unwrap_or(Some(LetterState::Open)),
        queue: params.text("queue"),
        saga: params.read("saga", "must be the id of a saga", |id| id.parse::<SagaId>().ok()),
    }
}

/// `GET /v1/dead-letters?state=&queue=&saga=&limit=&cursor=`: newest first, without their bodies.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let filter = filter(&mut params);
    let page = params.page::<LetterId>();
    params.finish()?;
    let mut letters =
        api.at_letters(move |letters| letters.letters(&filter, page.after, page.fetch())).await?;
    let next_cursor = page.cut(&mut letters, |letter| letter.id.to_string());
    let next_cursor = next_cursor.as_deref();
    let dead_letters = letters.iter().map(LetterLine::of).collect();
    Ok(page::answer(&request, next_cursor, &LettersPage { dead_letters, next_cursor }))
}

/// `GET /v1/dead-letters/{id}`: with its message, and with what was decided about it.
pub async fn get(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let letter = find(&api, path_id(&request)?).await?;
    Ok(HttpResponse::Ok().json(LetterView::of(&letter)))
}

/// `POST /v1/dead-letters/{id}/requeue`: 200 once its message is safe in its queue again; 202 if that
/// is not known yet; 409 where it can't be sent, and 503 where its queue is full: then it stays open.
pub async fn post_requeue(
    api: web::Data<Api>,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let (wish, letter) = wish(&api, &request, &body, Action::Requeue).await?;
    let mut response = match requeue(&api, wish, &letter).await? {
        Carried::Out => HttpResponse::Ok(),
        Carried::NotYet => HttpResponse::Accepted(),
    };
    let id = letter.summary.id;
    // The decision is stored; where the letter can't be read again, the older view of it will do.
    let letter = find(&api, id).await.unwrap_or(letter);
    let location = (LOCATION, format!("/v1/dead-letters/{id}"));
    Ok(response.insert_header(location).json(LetterView::of(&letter)))
}

/// `DELETE /v1/dead-letters/{id}`: takes it off the list of open letters. It stays on record.
pub async fn delete(
    api: web::Data<Api>,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let (wish, letter) = wish(&api, &request, &body, Action::Discard).await?;
    discard(&api, wish).await?;
    let letter = find(&api, letter.summary.id).await.unwrap_or(letter);
    Ok(HttpResponse::Ok().json(LetterView::of(&letter)))
}

/// Whether a decision that is stored has been carried out.
pub(super) enum Carried {
    /// It has.
    Out,
    /// It will be.
    NotYet,
}

/// Has a letter's message sent again.
///
/// # Errors
/// When it can't be, or another decision stands.
pub(super) async fn requeue(
    api: &Api,
    wish: NewDecision,
    letter: &Letter,
) -> Result<Carried, Problem> {
    let Letter { summary, headers, body, .. } = letter;
    // What can never be sent is refused before anything is stored.
    send_again(&summary.queue, &summary.routing_key, headers, body)
        .map_err(|error| Problem::new(Kind::Conflict, error.to_string()))?;
    let decision = decide(api, wish).await?;
    let outcome = match decision.outcome {
        Some(outcome) => Some(outcome),
        None => carried_out(api, &decision).await,
    };
    match outcome.and_then(|outcome| failure(outcome, letter)) {
        Some(problem) => Err(problem),
        None if outcome.is_some() => Ok(Carried::Out),
        None => Ok(Carried::NotYet),
    }
}

/// Lets a letter be.
///
/// # Errors
/// When another decision stands.
pub(super) async fn discard(api: &Api, wish: NewDecision) -> Result<(), Problem> {
    decide(api, wish).await.map(drop)
}

/// What a request wants, and the letter that it is about.
async fn wish(
    api: &Api,
    request: &HttpRequest,
    body: &JsonBody,
    action: Action,
) -> Result<(NewDecision, Letter), Problem> {
    let id = path_id(request)?;
    let route = match action {
        Action::Requeue => "requeue",
        Action::Discard => "discard",
    };
    let client_key = client_key(request.headers(), route)?;
    let note = reason(body)?;
    let letter = find(api, id).await?;
    let wish = NewDecision {
        id: Uuid::now_v7(),
        letter: id,
        action,
        by: "operator".to_owned(),
        note,
        client_key,
        at: api.now(),
    };
    Ok((wish, letter))
}

/// A letter with its message.
///
/// # Errors
/// When there is none.
pub(super) async fn find(api: &Api, id: LetterId) -> Result<Letter, Problem> {
    let found = api.at_letters(move |letters| letters.letter(id)).await?;
    found.ok_or_else(|| unknown(id))
}

fn unknown(id: LetterId) -> Problem {
    Problem::not_found(format!("dead letter {id}"))
}

/// Stores a decision.
///
/// Once this returns `Ok` it is durable: it will be carried out, whatever happens to this process or to
/// the client.
async fn decide(api: &Api, wish: NewDecision) -> Result<Decision, Problem> {
    let (id, action) = (wish.letter, wish.action);
    match api.at_letters(move |letters| letters.decide(&wish)).await? {
        Decided::Stands(decision) => Ok(decision),
        Decided::Conflict(_) => Err(Problem::new(
            Kind::Conflict,
            match action {
                Action::Requeue => "the letter was discarded; it can't be requeued any more",
                Action::Discard => "the letter was requeued; it can't be discarded any more",
            },
        )),
        Decided::KeyTaken => Err(Problem::new(
            Kind::KeyReused,
            "this Idempotency-Key was used for another request about the same letter",
        )),
        Decided::NoSuchLetter => Err(unknown(id)),
    }
}

/// Has the message sent, and waits a little for what comes of it.
async fn carried_out(api: &Api, decision: &Decision) -> Option<Outcome> {
    let (id, patience) = (decision.id, Instant::now() + OUTCOME_WITHIN);
    api.services.orchestrator.look_for_requeued();
    let look = async || api.at_letters(move |letters| letters.decision_outcome(id)).await;
    until_known(patience, look).await
}

/// The problem that an outcome comes to, if the message was not sent.
fn failure(outcome: Outcome, letter: &Letter) -> Option<Problem> {
    let (queue, key) = (&letter.summary.queue, &letter.summary.routing_key);
    match outcome {
        Outcome::Done => None,
        Outcome::Unroutable => Some(Problem::new(
            Kind::Conflict,
            format!(
                "no queue takes {key}; the letter stays open: start whoever declares the queue {queue}, then requeue it"
            ),
        )),
        Outcome::QueueFull => Some(
            Problem::new(
                Kind::Overloaded,
                format!("the queue {queue} is full; the letter stays open"),
            )
            .with_retry_after(QUEUE_FULL_RETRY_S),
        ),
        Outcome::NotSendable => Some(Problem::new(
            Kind::Conflict,
            "the letter's message can't be sent by Skald; the letter stays open",
        )),
    }
}
