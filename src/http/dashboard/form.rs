//! The forms of the pages: a reason, proof of where it comes from, and a key that makes sending it twice
//! one wish.

use actix_web::{HttpRequest, web};
use serde::Deserialize;
use uuid::Uuid;

use super::csrf;
use crate::http::body::{self, check_headers};
use crate::http::problem::{Kind, Problem};

/// What a form sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    token: String,
    key: Uuid,
    reason: String,
}

/// A form that was sent from a page of ours.
pub struct Filled {
    /// The page's own key.
    pub key: Uuid,
    /// What was written; not checked yet.
    pub reason: String,
}

/// Reads a form.
///
/// # Errors
/// When it is none, or does not come from a page that this browser loaded.
pub async fn read(request: &HttpRequest, payload: web::Payload) -> Result<Filled, Problem> {
    check_headers(request.headers(), "application/x-www-form-urlencoded")?;
    let body = body::read(payload).await?;
    let form = std::str::from_utf8(&body).ok().and_then(|text| web::Query::from_query(text).ok());
    let Some(Form { token, key, reason }) = form.map(web::Query::into_inner) else {
        return Err(Problem::new(Kind::MalformedBody, "the form can't be read"));
    };
    csrf::check(request, &token)?;
    Ok(Filled { key, reason })
}
