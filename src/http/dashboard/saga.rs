//! `GET /sagas/{id}`: everything about one saga.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;
use uuid::Uuid;

use super::csrf::Token;
use super::order::OrderFacts;
use super::retry::{Banner, Refused, preview};
use super::steps::{Lane, lanes};
use super::when::When;
use super::{Frame, render, words};
use crate::http::event_view::EventView;
use crate::http::page::url_with;
use crate::http::params::Params;
use crate::http::problem::{Kind, Problem};
use crate::http::sagas::path_saga;
use crate::http::services::Api;
use crate::orders::Order;
use crate::ports::queries::SagaSummary;
use crate::saga::event::Recorded;
use crate::saga::id::{SagaId, Sequence, Timestamp};
use crate::saga::state::{Attention, Deadline, Saga, SagaStatus};

/// Events on one page: more than a saga has that meets no trouble.
const EVENTS: u32 = 50;

#[derive(Template)]
#[template(path = "saga.html")]
struct SagaPage {
    frame: Frame,
    id: SagaId,
    key: String,
    definition: String,
    known_definition: bool,
    status: &'static str,
    tone: &'static str,
    version: Sequence,
    reason: Option<String>,
    trace: Option<String>,
    created: When,
    updated: When,
    deadline: When,
    deadline_passed: bool,
    due: Option<When>,
    banner: Option<Banner>,
    attention: Vec<AttentionFacts>,
    retry: Option<RetryForm>,
    lanes: Vec<Lane>,
    order: Option<OrderFacts>,
    events: Vec<EventLine>,
    older: Option<String>,
    newer: Option<String>,
}

struct AttentionFacts {
    step: Option<String>,
    cause: String,
    since: When,
}

struct RetryForm {
    token: String,
    key: Uuid,
    effects: Vec<String>,
    refused: Option<Refused>,
}

struct EventLine {
    sequence: Sequence,
    at: When,
    tone: &'static str,
    text: String,
    json: String,
}

/// What the store knows of a saga.
struct Found {
    saga: Saga,
    summary: SagaSummary,
    order: Option<Order>,
    events: Vec<Recorded>,
    after: Sequence,
}

/// Answers with the page.
pub async fn get(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let id = path_saga(&request)?;
    show(&api, &request, id, None).await
}

/// Answers with the page; with `refused`, the retry form was not accepted.
pub async fn show(
    api: &web::Data<Api>,
    request: &HttpRequest,
    id: SagaId,
    refused: Option<Refused>,
) -> Result<HttpResponse, Problem> {
    let mut params = Params::of(request.query_string());
    let mut frame = Frame::live(api, &format!("/sagas/{id}"), request.query_string(), &mut params);
    let after = params.read("cursor", "must be an event's number", |text| text.parse().ok());
    let input = params.read("input", "must be a UUID", |text| Uuid::parse_str(text).ok());
    params.finish()?;

    let found = find(api, id, after).await?;
    let banner = match input {
        Some(input) => Some(Banner::of(api.at_door(move |door| door.outcome(input)).await?)),
        None => None,
    };
    // Where the form was refused, this page has no address of its own to read it from again.
    if !found.saga.state.phase.is_end() && refused.is_none() {
        frame.follow(&format!("/v1/sagas/{id}/events"), found.saga.state.version);
    }
    let token = Token::of(request);
    let status = if refused.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut response = HttpResponse::build(status);
    let retry = retry_form(api, &found.saga, &token, refused);
    if let Some(cookie) = token.header().filter(|_| retry.is_some()) {
        response.insert_header(cookie);
    }
    render(response, &page(api, request.query_string(), found, frame, banner, retry)?)
}

/// Reads a saga with the newest of its events, or those after `after`.
async fn find(api: &Api, id: SagaId, after: Option<Sequence>) -> Result<Found, Problem> {
    let found = api
        .query(move |queries| {
            let Some((saga, summary)) = queries.saga(id)? else { return Ok(None) };
            let newest = saga.state.version.saturating_sub(u64::from(EVENTS));
            let after = after.unwrap_or(newest);
            let order = match summary.key.parse() {
                Ok(order) => queries.order(order)?,
                Err(_) => None,
            };
            let events = queries.history(id, after, EVENTS)?;
            Ok(Some(Found { saga, summary, order, events, after }))
        })
        .await?;
    found.ok_or_else(|| Problem::not_found(format!("saga {id}")))
}

fn retry_form(
    api: &Api,
    saga: &Saga,
    token: &Token,
    refused: Option<Refused>,
) -> Option<RetryForm> {
    if saga.state.status() != SagaStatus::NeedsAttention {
        return None;
    }
    let definition = api.definition(&saga.birth.definition);
    Some(RetryForm {
        token: token.as_str().to_owned(),
        key: Uuid::now_v7(),
        effects: definition.map(|it| preview(it, saga, api.now())).unwrap_or_default(),
        refused,
    })
}

fn page(
    api: &Api,
    query: &str,
    found: Found,
    frame: Frame,
    banner: Option<Banner>,
    retry: Option<RetryForm>,
) -> Result<SagaPage, Problem> {
    let now = api.now();
    let Found { saga, summary, order, events, after } = found;
    let definition = api.definition(&saga.birth.definition);
    let status = saga.state.status();
    let last = events.last().map_or(after, |event| event.sequence);
    let step = u64::from(EVENTS);
    let path = format!("/sagas/{}", saga.id);
    let at =
        |after: Sequence| url_with(&path, query, &[("cursor", &after.to_string()), ("input", "")]);
    Ok(SagaPage {
        frame,
        id: saga.id,
        definition: saga.birth.definition.to_string(),
        known_definition: definition.is_some(),
        status: words::status(status),
        tone: words::status_tone(status),
        version: saga.state.version,
        reason: saga.state.rollback_reason().map(words::reason),
        trace: saga.birth.traceparent.clone(),
        created: When::of(summary.created_at, now),
        updated: When::of(summary.updated_at, now),
        deadline: When::of(saga.birth.deadline, now),
        deadline_passed: saga.state.deadline == Deadline::Passed,
        due: saga.state.next_due().map(|due| When::due(due, now)),
        banner,
        attention: saga.state.attention.iter().map(|it| attention(it, now)).collect(),
        retry,
        lanes: lanes(definition, &saga.state, now),
        order: order.filter(|order| order.saga == saga.id).map(OrderFacts::from),
        events: events.iter().map(|event| event_line(event, now)).collect::<Result<_, _>>()?,
        older: (after > 0).then(|| at(after.saturating_sub(step))),
        newer: (last < saga.state.version).then(|| at(last)),
        key: summary.key,
    })
}

fn attention(attention: &Attention, now: Timestamp) -> AttentionFacts {
    AttentionFacts {
        step: attention.step.as_ref().map(ToString::to_string),
        cause: words::cause(&attention.cause),
        since: When::of(attention.since, now),
    }
}

fn event_line(recorded: &Recorded, now: Timestamp) -> Result<EventLine, Problem> {
    let json = serde_json::to_string_pretty(&EventView::of(recorded)).map_err(|error| {
        Problem::new(Kind::Internal, "an event can't be written as JSON").with_cause(error)
    })?;
    Ok(EventLine {
        sequence: recorded.sequence,
        at: When::of(recorded.at, now),
        tone: words::event_tone(&recorded.event),
        text: words::event(&recorded.event),
        json,
    })
}
