//! The forms of a letter's page: sending its message again, or letting it be.

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use uuid::Uuid;

use super::letter::{Refused, show};
use crate::http::ask::check_reason;
use crate::http::dashboard::form;
use crate::http::dead_letters::{discard as let_be, find, requeue as send_again};
use crate::http::params::path_id;
use crate::http::problem::Problem;
use crate::http::services::Api;
use crate::ports::letters::{Action, NewDecision};

/// `POST /dead-letters/{id}/requeue`: sends the message again, and leads back to the letter's page, which
/// tells what came of it.
pub async fn requeue(
    api: web::Data<Api>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    decide(&api, &request, payload, Action::Requeue).await
}

/// `POST /dead-letters/{id}/discard`: lets the message be.
pub async fn discard(
    api: web::Data<Api>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    decide(&api, &request, payload, Action::Discard).await
}

async fn decide(
    api: &Api,
    request: &HttpRequest,
    payload: web::Payload,
    action: Action,
) -> Result<HttpResponse, Problem> {
    let id = path_id(request)?;
    let form::Filled { key, reason } = form::read(request, payload).await?;
    if let Err(fault) = check_reason(&reason) {
        let detail = format!("The reason {}.", fault.detail);
        return show(api, request, id, Some(Refused { detail, reason })).await;
    }
    let letter = find(api, id).await?;
    let wish = NewDecision {
        id: Uuid::now_v7(),
        letter: id,
        action,
        by: "dashboard".to_owned(),
        note: reason,
        // The key is the page's own, so that a form that is sent twice is one wish.
        client_key: format!("page:{key}"),
        at: api.now(),
    };
    match action {
        Action::Requeue => {
            // Whether it is carried out yet, the page tells.
            send_again(api, wish, &letter).await?;
        }
        Action::Discard => let_be(api, wish).await?,
    }
    let location = (LOCATION, format!("/dead-letters/{id}"));
    Ok(HttpResponse::SeeOther().insert_header(location).finish())
}
