//! The pages: rendered here, and usable with a keyboard, a screen reader or curl. A script keeps them up
//! to date; whoever runs no scripts can have them reload themselves.

mod assets;
mod csrf;
mod form;
mod letters;
mod list;
mod order;
mod problems;
mod retry;
mod saga;
mod steps;
mod when;
mod words;

use actix_web::http::header::ContentType;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, HttpResponseBuilder};
use askama::Template;

use super::page::url_with;
use super::params::Params;
use super::problem::{Kind, Problem};
use super::read;
use super::services::Api;

pub use problems::problem_page;

/// Adds the pages.
pub fn configure(config: &mut ServiceConfig) {
    config
        .service(read("/", list::get))
        .service(read("/sagas/{id}", saga::get))
        .service(web::resource("/sagas/{id}/retry").post(retry::post))
        .service(read("/dead-letters", letters::list))
        .service(read("/dead-letters/{id}", letters::letter))
        .service(web::resource("/dead-letters/{id}/requeue").post(letters::requeue))
        .service(web::resource("/dead-letters/{id}/discard").post(letters::discard))
        .service(read("/problems/{code}", problems::get))
        .service(read("/assets/skald.css", assets::style))
        .service(read("/assets/skald.js", assets::script))
        .service(read("/assets/skald.svg", assets::icon));
}

/// How often a page reloads itself, if its reader wants that.
const REFRESH_S: &str = "5";

/// What surrounds every page.
struct Frame {
    /// Why the orchestrator can't do its work at the moment.
    troubles: Vec<String>,
    /// Reloading by itself; none where the page does not change.
    refresh: Option<Refresh>,
    /// The stream that tells when the page changes; none where it does not, or reloads itself.
    live: Option<String>,
}

/// Whether the page reloads itself, and the link that changes that.
struct Refresh {
    seconds: Option<&'static str>,
    toggle: String,
}

impl Frame {
    /// The frame of a page that does not change by itself.
    fn still(api: &Api) -> Self {
        Self { troubles: api.services.orchestrator.troubles(), refresh: None, live: None }
    }

    /// The frame of a page that may reload itself; takes the parameter that says so.
    fn live(api: &Api, path: &str, query: &str, params: &mut Params) -> Self {
        let wanted = format!("must be {REFRESH_S}");
        let on = params.read("refresh", wanted, |text| (text == REFRESH_S).then_some(REFRESH_S));
        let other = if on.is_some() { "" } else { REFRESH_S };
        let toggle = url_with(path, query, &[("refresh", other), ("input", "")]);
        Self { refresh: Some(Refresh { seconds: on, toggle }), ..Self::still(api) }
    }

    /// The page shows what `stream` had told up to `seen`, and changes when it tells more.
    fn follow(&mut self, stream: &str, seen: u64) {
        let reloads = self.refresh.as_ref().is_some_and(|refresh| refresh.seconds.is_some());
        self.live = (!reloads).then(|| format!("{stream}?after={seen}"));
    }
}

fn render(
    mut response: HttpResponseBuilder,
    page: &impl Template,
) -> Result<HttpResponse, Problem> {
    let html = page
        .render()
        .map_err(|error| Problem::new(Kind::Internal, "page not rendered").with_cause(error))?;
    Ok(response.content_type(ContentType::html()).body(html))
}
