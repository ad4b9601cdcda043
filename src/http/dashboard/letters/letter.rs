//! `GET /dead-letters/{id}`: a message that died, why, and what was decided about it.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use serde_json::Value;
use uuid::Uuid;

use super::shown;
use crate::http::dashboard::csrf::Token;
use crate::http::dashboard::when::When;
use crate::http::dashboard::{Frame, render};
use crate::http::dead_letters::find;
use crate::http::params::{Params, path_id};
use crate::http::problem::Problem;
use crate::http::services::Api;
use crate::ports::letters::{Action, Decision, LetterId, LetterState, Outcome};
use crate::saga::id::{SagaId, Timestamp};

/// The longest body that is shown; the whole of it is in the JSON.
const MAX_SHOWN: usize = 16 * 1024;

#[derive(Template)]
#[template(path = "letter.html")]
struct LetterPage {
    frame: Frame,
    id: LetterId,
    state: &'static str,
    tone: &'static str,
    reason: String,
    queue: String,
    routing_key: String,
    message_id: String,
    saga: Option<SagaId>,
    died: When,
    headers: String,
    body: Option<String>,
    body_bytes: usize,
    decisions: Vec<DecisionLine>,
    forms: Option<Forms>,
}

struct DecisionLine {
    what: &'static str,
    by: String,
    note: String,
    at: When,
    outcome: &'static str,
}

/// The forms of a letter that is open.
struct Forms {
    token: String,
    choices: [Choice; 2],
    refused: Option<Refused>,
}

/// Something that can be decided; its key makes sending the form twice one wish.
struct Choice {
    action: &'static str,
    label: &'static str,
    key: Uuid,
}

/// A form that was not accepted.
pub struct Refused {
    /// Why not.
    pub detail: String,
    /// What was written into it.
    pub reason: String,
}

/// Answers with the page.
pub async fn get(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    Params::of(request.query_string()).finish()?;
    show(&api, &request, path_id(&request)?, None).await
}

/// The page of a letter, with what was wrong with a form that was sent from it.
pub async fn show(
    api: &Api,
    request: &HttpRequest,
    id: LetterId,
    refused: Option<Refused>,
) -> Result<HttpResponse, Problem> {
    let letter = find(api, id).await?;
    let (now, token) = (api.now(), Token::of(request));
    let summary = letter.summary;
    let (state, tone) = shown(summary.state);
    let mut response = match &refused {
        Some(_) => HttpResponse::UnprocessableEntity(),
        None => HttpResponse::Ok(),
    };
    let forms = (summary.state == LetterState::Open).then(|| Forms {
        token: token.as_str().to_owned(),
        choices: [("requeue", "Send it again"), ("discard", "Let it be")]
            .map(|(action, label)| Choice { action, label, key: Uuid::new_v4() }),
        refused,
    });
    if let Some(header) = token.header().filter(|_| forms.is_some()) {
        response.insert_header(header);
    }
    let page = LetterPage {
        frame: Frame::still(api),
        id,
        state,
        tone,
        reason: summary.reason,
        queue: summary.queue,
        routing_key: summary.routing_key,
        message_id: summary.message_id,
        saga: summary.saga,
        died: When::of(summary.at, now),
        headers: pretty(letter.headers.as_bytes()).unwrap_or(letter.headers),
        body: body(&letter.body),
        body_bytes: letter.body.len(),
        decisions: letter.decisions.into_iter().map(|it| decision(it, now)).collect(),
        forms,
    };
    render(response, &page)
}

fn decision(decision: Decision, now: Timestamp) -> DecisionLine {
    DecisionLine {
        what: match decision.action {
            Action::Requeue => "Requeued",
            Action::Discard => "Discarded",
        },
        by: decision.by,
        note: decision.note,
        at: When::of(decision.at, now),
        outcome: match decision.outcome {
            None => "not carried out yet",
            Some(Outcome::Done) => "done",
            Some(Outcome::Unroutable) => "no queue took it; the letter stayed open",
            Some(Outcome::QueueFull) => "the queue was full; the letter stayed open",
            Some(Outcome::NotSendable) => "it can't be sent; the letter stayed open",
        },
    }
}

/// A body for people: indented where it is JSON; none where it is no text, or long.
fn body(bytes: &[u8]) -> Option<String> {
    if bytes.len() > MAX_SHOWN {
        return None;
    }
    pretty(bytes).or_else(|| std::str::from_utf8(bytes).ok().map(str::to_owned))
}

fn pretty(json: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(json).ok()?;
    serde_json::to_string_pretty(&value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_where_people_can_read_it() {
        assert_eq!(body(br#"{"a":1}"#).as_deref(), Some("{\n  \"a\": 1\n}"));
        assert_eq!(body(b"{\"a\":").as_deref(), Some("{\"a\":"));
        assert_eq!(body(b"\xff{"), None);
        assert_eq!(body(&vec![b'0'; MAX_SHOWN + 1]), None);
    }
}
