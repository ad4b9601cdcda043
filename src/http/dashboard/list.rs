//! `GET /`: how many sagas stand where, and the newest of them.

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::when::{When, grouped, span};
use super::words;
use super::{Frame, render};
use crate::http::page::url_with;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::sagas::filter;
use crate::http::services::Api;
use crate::http::stats::{activity, sagas_by_status, transitions_per_commit};
use crate::ports::orchestrator::Activity;
use crate::ports::queries::{Counts, SagaFilter, SagaSummary};
use crate::saga::id::{SagaId, Timestamp};
use crate::saga::state::SagaStatus;

const PATH: &str = "/";

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    frame: Frame,
    tabs: Vec<Tab>,
    pulse: Vec<Figure>,
    search: Search,
    rows: Vec<Row>,
    first: Option<String>,
    next: Option<String>,
}

/// A status with its count, as a link to its sagas.
struct Tab {
    label: &'static str,
    tone: &'static str,
    count: String,
    href: String,
    current: bool,
}

/// A figure that tells how busy the orchestrator is.
struct Figure {
    label: &'static str,
    value: String,
}

/// What the form shows.
struct Search {
    status: &'static str,
    text: String,
    definitions: Vec<Choice>,
    refresh: Option<&'static str>,
    is_filtered: bool,
}

struct Choice {
    name: String,
    selected: bool,
}

/// A saga's line.
struct Row {
    id: SagaId,
    key: String,
    definition: String,
    status: &'static str,
    tone: &'static str,
    version: u64,
    created: When,
    updated: When,
    due: Option<When>,
}

/// Answers with the page.
pub async fn get(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request.query_string();
    let mut params = Params::of(query);
    let mut frame = Frame::live(&api, PATH, query, &mut params);
    let filter = filter(&mut params);
    let page = params.page::<SagaId>();
    params.finish()?;

    let wanted = filter.clone();
    let (events, counts, mut sagas) = api
        .query(move |queries| {
            // In this order: what moves in between is told by the stream.
            let (events, counts) = (queries.events()?, queries.counts()?);
            Ok((events, counts, queries.sagas(&wanted, page.after, page.fetch())?))
        })
        .await?;
    frame.follow("/v1/sagas/events", events);
    let next = page.cut(&mut sagas, |saga| saga.id.to_string());
    let now = api.now();
    let list = ListPage {
        tabs: tabs(&counts, filter.status, query),
        pulse: pulse(activity(&api).await, now.millis_since(api.started_at)),
        search: Search {
            status: filter.status.map_or("", SagaStatus::as_str),
            definitions: choices(&api, &filter),
            refresh: frame.refresh.as_ref().and_then(|refresh| refresh.seconds),
            is_filtered: filter != SagaFilter::default(),
            text: filter.text.unwrap_or_default(),
        },
        rows: sagas.into_iter().map(|saga| row(saga, now)).collect(),
        first: page.after.map(|_| url_with(PATH, query, &[("cursor", "")])),
        next: next.map(|cursor| url_with(PATH, query, &[("cursor", &cursor)])),
        frame,
    };
    render(HttpResponse::Ok(), &list)
}

fn tabs(counts: &Counts, chosen: Option<SagaStatus>, query: &str) -> Vec<Tab> {
    let counts = sagas_by_status(counts);
    let total = counts.iter().map(|(_, count)| count).sum();
    let tab = |label, tone, count, status: Option<SagaStatus>| {
        let name = status.map_or("", SagaStatus::as_str);
        let href = url_with(PATH, query, &[("status", name), ("cursor", "")]);
        Tab { label, tone, count: grouped(count), href, current: status == chosen }
    };
    let all = tab("All", "all", total, None);
    let each = counts.into_iter().map(|(status, count)| {
        tab(words::status(status), words::status_tone(status), count, Some(status))
    });
    std::iter::once(all).chain(each).collect()
}

fn pulse(activity: Option<Activity>, uptime_ms: u64) -> Vec<Figure> {
    let Some(activity) = activity else { return Vec::new() };
    let outstanding = activity.outstanding.iter().map(|(_, count)| count).sum();
    vec![
        Figure { label: "awake in memory", value: grouped(activity.awake) },
        Figure { label: "commands outstanding", value: grouped(outstanding) },
        Figure {
            label: "transitions per commit",
            value: transitions_per_commit(&activity).to_string(),
        },
        Figure { label: "since the start", value: span(uptime_ms) },
    ]
}

fn choices(api: &Api, filter: &SagaFilter) -> Vec<Choice> {
    let mut names: Vec<&str> =
        api.services.definitions.keys().map(|definition| definition.name.as_str()).collect();
    let chosen = filter.definition.as_ref().map(|name| name.as_str());
    names.extend(chosen);
    names.sort_unstable();
    names.dedup();
    let choice = |name: &str| Choice { name: name.to_owned(), selected: chosen == Some(name) };
    names.into_iter().map(choice).collect()
}

fn row(saga: SagaSummary, now: Timestamp) -> Row {
    Row {
        id: saga.id,
        definition: saga.definition.to_string(),
        key: saga.key,
        status: words::status(saga.status),
        tone: words::status_tone(saga.status),
        version: saga.version,
        created: When::of(saga.created_at, now),
        updated: When::of(saga.updated_at, now),
        due: saga.due_at.map(|due| When::due(due, now)),
    }
}
