//! Trying again what is stuck: what it will do, the form, and what came of it.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{form, saga};
use crate::http::ask::{Wish, ask, check_reason};
use crate::http::problem::Problem;
use crate::http::sagas::path_saga;
use crate::http::services::Api;
use crate::ports::door::{InputOutcome, Request};
use crate::saga::check::Checked;
use crate::saga::decide::decide;
use crate::saga::definition::Direction;
use crate::saga::event::Event;
use crate::saga::id::Timestamp;
use crate::saga::input::{Decision, Input};
use crate::saga::state::Saga;

/// `POST /sagas/{id}/retry`: stores the wish and leads back to the saga's page, which tells what
/// came of it.
pub async fn post(
    api: web::Data<Api>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let id = path_saga(&request)?;
    let form::Filled { key, reason: note } = form::read(&request, payload).await?;
    if let Err(fault) = check_reason(&note) {
        let detail = format!("The reason {}.", fault.detail);
        return saga::show(&api, &request, id, Some(Refused { detail, reason: note })).await;
    }
    let request = Request::Retry { by: "dashboard".to_owned(), note };
    // The key is the page's own, so that a form that is sent twice is one wish.
    let client_key = format!("page:{key}");
    let asked = ask(&api, Wish { saga: id, request, client_key, if_version: None }).await?;
    let location = format!("/sagas/{id}?input={}", asked.input);
    Ok(HttpResponse::SeeOther().insert_header((LOCATION, location)).finish())
}

/// A form that was not accepted.
pub struct Refused {
    /// Why not.
    pub detail: String,
    /// What was written into it.
    pub reason: String,
}

/// What trying again would do to `saga` if it were done now; found by deciding it, so that page and
/// core can't disagree.
pub fn preview(definition: &Checked, saga: &Saga, now: Timestamp) -> Vec<String> {
    let input = Input::Retry { by: String::new(), note: String::new() };
    let Ok(Decision::Moved(moved)) = decide(definition, saga, &input, now) else {
        return Vec::new();
    };
    let asked = moved.events.iter().filter_map(|recorded| match &recorded.event {
        Event::StepAsked { step, direction, attempt, .. } => {
            let what = match direction {
                Direction::Do => format!("asks for {step} again"),
                Direction::Undo => format!("asks again to undo {step}"),
            };
            let how = if *attempt == 1 {
                "under a new key, because the worker would repeat its old answer to the old one"
            } else {
                "under the same key, so that what was done already is not done twice"
            };
            Some(format!("It {what} at once, {how}."))
        }
        _ => None,
    });
    let asked: Vec<String> = asked.collect();
    if asked.is_empty() {
        return vec!["It takes the mark away; there is nothing to be asked again.".to_owned()];
    }
    asked
}

/// What a page says about the outcome of a wish.
pub struct Banner {
    /// The name of its colours.
    pub tone: &'static str,
    /// What happened, in a word or two.
    pub title: &'static str,
    /// What that means.
    pub text: String,
}

impl Banner {
    /// Tells the outcome; none means that it is not known yet.
    pub fn of(outcome: Option<InputOutcome>) -> Self {
        let (tone, title, text) = match outcome {
            Some(InputOutcome::Applied { version }) => (
                "good",
                "Tried again",
                format!(
                    "What was stuck was asked again; the saga had version {version} then. Whether \
                     it helps shows below once the worker answers."
                ),
            ),
            Some(InputOutcome::Ignored) => {
                ("quiet", "Not needed", "It changed nothing, because nothing was stuck.".to_owned())
            }
            Some(InputOutcome::Rejected { detail }) => {
                ("bad", "Not done", format!("Nothing was changed: {detail}."))
            }
            Some(InputOutcome::VersionMismatch { found }) => (
                "bad",
                "Not done",
                format!("Nothing was changed: the saga had moved on to version {found}."),
            ),
            None => (
                "warn",
                "Not decided yet",
                "The request is stored and will be decided on, but the saga's owner has not \
                 answered yet. Load this page again to see what came of it."
                    .to_owned(),
            ),
        };
        Self { tone, title, text }
    }
}
