//! Streams that follow sagas, as server-sent events: `GET /v1/sagas/{id}/events` and
//! `GET /v1/sagas/events`.
//!
//! ```text
//!  pokes ──▶ Live ──"look again"──▶ a stream ──▶ what the store says
//!              └── a glance at the store every few seconds, for all streams together
//! ```
//!
//! A stream holds nothing back for a slow reader: it reads on once the reader took what it has. Where it
//! broke off, the client resumes it with `Last-Event-ID`, at whichever node.
//!
//! | file | holds |
//! |---|---|
//! | `hub` | who looks at what; when to look again |
//! | `saga_stream`, `list_stream` | what one reader is sent |
//! | `frame` | what a stream looks like |

mod frame;
mod hub;
mod list_stream;
mod saga_stream;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::Stream;

pub use hub::Live;

use super::params::{Params, as_given};
use super::problem::Problem;
use super::sagas::{find, path_saga};
use super::services::Api;
use list_stream::ListStream;
use saga_stream::SagaStream;

const LAST_EVENT_ID: &str = "last-event-id";

/// `GET /v1/sagas/{id}/events?after=`: the saga's history as it grows. 204 where it has ended and nothing
/// follows.
pub async fn saga(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_saga(&request)?;
    let after = after(&request)?.unwrap_or(0);
    let seat = api.live.follow_saga(id)?;
    let (saga, _) = find(&api, id).await?;
    let version = saga.state.version;
    if saga.state.phase.is_end() && after >= version {
        return Ok(HttpResponse::build(StatusCode::NO_CONTENT).finish());
    }
    // Who claims to have seen more than there is has seen what a restored database has lost.
    Ok(respond(SagaStream::new(api, seat, id, after.min(version)).frames()))
}

/// `GET /v1/sagas/events?after=`: whenever sagas moved, how many stand where; at most one a second.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let after = after(&request)?;
    let seat = api.live.follow_list()?;
    let now = api.query(hub::overview).await?;
    Ok(respond(ListStream::new(seat, now, after).frames()))
}

/// What the client has seen: by the header of a stream that is resumed, or by the parameter.
fn after(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let mut params = Params::of(request.query_string());
    let given = params.read("after", "must be the id of an event", as_given);
    params.finish()?;
    Ok(last_event_id(request.headers())?.or(given))
}

/// The last event of a stream that broke off.
///
/// # Errors
/// When the header is not the id of an event.
pub fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let id = value.to_str().ok().and_then(as_given);
    id.map(Some).ok_or_else(|| {
        Problem::header("Last-Event-ID", "must be the id of an event of this stream")
    })
}

fn respond(frames: impl Stream<Item = Bytes> + 'static) -> HttpResponse {
    let frames = futures_util::StreamExt::map(frames, Ok::<_, actix_web::Error>);
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
        // Proxies that know it don't hold frames back.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(frames)
}
