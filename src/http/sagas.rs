//! `/v1/sagas`: reading sagas and their histories, and trying again what is stuck.

use actix_web::http::header::{ETAG, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use tracing::{Span, field};

use super::archive;
use super::ask::{Wish, ask, client_key, if_match, reason, refusal};
use super::body::JsonBody;
use super::event_view::EventView;
use super::page;
use super::params::{Params, path_id};
use super::problem::Problem;
use super::saga_view::{SagaView, SummaryView};
use super::services::Api;
use crate::ports::door::Request;
use crate::ports::queries::{SagaFilter, SagaSummary};
use crate::saga::id::{SagaId, Sequence};
use crate::saga::state::{Saga, SagaStatus};

/// A page of sagas.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SagasPage<'a> {
    sagas: Vec<SummaryView<'a>>,
    next_cursor: Option<&'a str>,
}

/// Takes the parameters that say which sagas to list.
pub fn filter(params: &mut Params) -> SagaFilter {
    let statuses = SagaStatus::ALL.map(SagaStatus::as_str);
    SagaFilter {
        status: params.one_of("status", &statuses, SagaStatus::parse),
        definition: params.text("definition").map(|name| name.as_str().into()),
        text: params.text("q"),
    }
}

/// `GET /v1/sagas?status=&definition=&q=&limit=&cursor=`: newest first.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let filter = filter(&mut params);
    let page = params.page::<SagaId>();
    params.finish()?;
    let mut sagas =
        api.query(move |queries| queries.sagas(&filter, page.after, page.fetch())).await?;
    let next_cursor = page.cut(&mut sagas, |saga| saga.id.to_string());
    let next_cursor = next_cursor.as_deref();
    let sagas = sagas.iter().map(SummaryView::of).collect();
    Ok(page::answer(&request, next_cursor, &SagasPage { sagas, next_cursor }))
}

/// `GET /v1/sagas/{id}`: with every step, those not started too. Its `ETag` is its version.
pub async fn get(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_saga(&request)?;
    let found = archive::saga(&api, request.headers(), id).await?;
    let (saga, summary) = found.ok_or_else(|| not_found(id))?;
    Ok(show(&api, &saga, &summary))
}

fn show(api: &Api, saga: &Saga, summary: &SagaSummary) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", saga.state.version)) {
        response.insert_header((ETAG, tag));
    }
    response.json(SagaView::of(saga, summary, api.definition(&saga.birth.definition)))
}

/// The saga's id in the path.
///
/// # Errors
/// When it is not a UUID.
pub fn path_saga(request: &HttpRequest) -> Result<SagaId, Problem> {
    let id = SagaId(path_id(request)?);
    Span::current().record("sagaId", field::display(id));
    Ok(id)
}

/// Reads a saga from the store.
///
/// # Errors
/// When there is none with this id, or the store does not answer.
pub async fn find(api: &Api, id: SagaId) -> Result<(Saga, SagaSummary), Problem> {
    let found = api.query(move |queries| queries.saga(id)).await?;
    found.ok_or_else(|| not_found(id))
}

fn not_found(id: SagaId) -> Problem {
    Problem::not_found(format!("saga {id}"))
}

/// A page of a history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryPage<'a> {
    events: Vec<EventView<'a>>,
    next_cursor: Option<&'a str>,
}

/// `GET /v1/sagas/{id}/history?limit=&cursor=`: oldest first.
pub async fn history(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_saga(&request)?;
    let mut params = Params::of(request.query_string());
    let page = params.page::<Sequence>();
    params.finish()?;
    let after = page.after.unwrap_or(0);
    let mut events = api.query(move |queries| queries.history(id, after, page.fetch())).await?;
    if events.is_empty() {
        // Every saga has a history; it is empty past its end, or where there is no saga.
        find(&api, id).await?;
    }
    let next_cursor = page.cut(&mut events, |recorded| recorded.sequence.to_string());
    let next_cursor = next_cursor.as_deref();
    let events = events.iter().map(EventView::of).collect();
    Ok(page::answer(&request, next_cursor, &HistoryPage { events, next_cursor }))
}

/// `POST /v1/sagas/{id}/retry`: 200 with the saga once what is stuck was asked again; 409 where
/// nothing is; 202 if that is not known yet.
pub async fn retry(
    api: web::Data<Api>,
    request: HttpRequest,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let saga = path_saga(&request)?;
    let client_key = client_key(request.headers(), "retry")?;
    let if_version = if_match(request.headers())?;
    let note = reason(&body)?;
    let request = Request::Retry { by: "operator".to_owned(), note };
    let before = find(&api, saga).await?;
    let asked = ask(&api, Wish { saga, request, client_key, if_version }).await?;
    if let Some(problem) = asked.outcome.as_ref().and_then(refusal) {
        return Err(problem);
    }
    // It is on record: where the saga can't be read again, the older view of it will do.
    let (found, summary) = find(&api, saga).await.unwrap_or(before);
    if asked.outcome.is_some() {
        return Ok(show(&api, &found, &summary));
    }
    let view = SagaView::of(&found, &summary, api.definition(&found.birth.definition));
    let location = format!("/v1/sagas/{saga}");
    Ok(HttpResponse::Accepted().insert_header((LOCATION, location)).json(view))
}
