//! `GET /dead-letters`: messages that died, those that nobody has decided about first.

mod decide;
mod letter;

pub use decide::{discard, requeue};
pub use letter::get as letter;

use actix_web::{HttpRequest, HttpResponse, web};
use askama::Template;

use super::when::When;
use super::{Frame, render};
use crate::http::dead_letters::filter;
use crate::http::page::url_with;
use crate::http::params::Params;
use crate::http::problem::Problem;
use crate::http::services::Api;
use crate::ports::letters::{LetterFilter, LetterId, LetterState, LetterSummary};
use crate::saga::id::{SagaId, Timestamp};

const PATH: &str = "/dead-letters";

#[derive(Template)]
#[template(path = "letters.html")]
struct LettersPage {
    frame: Frame,
    tabs: Vec<Tab>,
    rows: Vec<Row>,
    is_filtered: bool,
    first: Option<String>,
    next: Option<String>,
}

/// A state, as a link to the letters in it.
struct Tab {
    label: &'static str,
    tone: &'static str,
    href: String,
    current: bool,
}

/// A letter's line.
struct Row {
    id: LetterId,
    state: &'static str,
    tone: &'static str,
    reason: String,
    queue: String,
    routing_key: String,
    saga: Option<SagaId>,
    died: When,
}

/// Answers with the page.
pub async fn list(api: web::Data<Api>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    let query = request.query_string();
    let mut params = Params::of(query);
    let frame = Frame::live(&api, PATH, query, &mut params);
    let filter = filter(&mut params);
    let page = params.page::<LetterId>();
    params.finish()?;

    let wanted = filter.clone();
    let mut letters =
        api.at_letters(move |letters| letters.letters(&wanted, page.after, page.fetch())).await?;
    let next = page.cut(&mut letters, |letter| letter.id.to_string());
    let now = api.now();
    let list = LettersPage {
        tabs: tabs(filter.state, query),
        rows: letters.into_iter().map(|letter| row(letter, now)).collect(),
        is_filtered: LetterFilter { state: None, ..filter } != LetterFilter::default(),
        first: page.after.map(|_| url_with(PATH, query, &[("cursor", "")])),
        next: next.map(|cursor| url_with(PATH, query, &[("cursor", &cursor)])),
        frame,
    };
    render(HttpResponse::Ok(), &list)
}

fn tabs(chosen: Option<LetterState>, query: &str) -> Vec<Tab> {
    let tab = |label, tone, name: &str, state: Option<LetterState>| Tab {
        label,
        tone,
        href: url_with(PATH, query, &[("state", name), ("cursor", "")]),
        current: state == chosen,
    };
    let each = LetterState::ALL.iter().map(|state| {
        let (label, tone) = shown(*state);
        tab(label, tone, state.as_str(), Some(*state))
    });
    each.chain([tab("All", "all", "ALL", None)]).collect()
}

fn row(letter: LetterSummary, now: Timestamp) -> Row {
    let (state, tone) = shown(letter.state);
    Row {
        id: letter.id,
        state,
        tone,
        reason: letter.reason,
        queue: letter.queue,
        routing_key: letter.routing_key,
        saga: letter.saga,
        died: When::of(letter.at, now),
    }
}

/// What a state is called, and the name of its colours.
fn shown(state: LetterState) -> (&'static str, &'static str) {
    match state {
        LetterState::Open => ("Open", "bad"),
        LetterState::Requeued => ("Requeued", "good"),
        LetterState::Discarded => ("Discarded", "quiet"),
    }
}
