//! `/livez`, `/readyz` and `/metrics`: what machines ask. The first two answer in the style of
//! kube-apiserver.

use std::fmt::Write;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};

use super::problem::Problem;
use super::services::{Api, Services};
use crate::ports::StoreError;

const PLAIN: (actix_web::http::header::HeaderName, &str) =
    (CONTENT_TYPE, "text/plain; charset=utf-8");
/// Prometheus' text format.
const METRICS: (actix_web::http::header::HeaderName, &str) =
    (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

/// One thing that must be well.
struct Check {
    name: &'static str,
    trouble: Option<String>,
}

/// `GET /livez`: the process answers. It asks nobody else, so that no outage elsewhere gets it
/// restarted.
pub async fn livez(request: HttpRequest) -> HttpResponse {
    report("livez", &[Check { name: "ping", trouble: None }], is_verbose(&request))
}

/// `GET /readyz`: everything that requests need is there.
pub async fn readyz(api: web::Data<Api>, request: HttpRequest) -> HttpResponse {
    let Services { inventory, notification, .. } = &api.services;
    // At once: where one is away, the others in the same place are, and each waits for that to show.
    let (store, inventory, notification) = tokio::join!(
        api.query(|queries| queries.ping()),
        ping(&api, inventory.as_ref(), |store| store.ping()),
        ping(&api, notification.as_ref(), |store| store.ping()),
    );
    let pinged = [("store", Some(store)), ("inventory", inventory), ("notification", notification)];
    let mut checks: Vec<Check> = pinged
        .into_iter()
        .filter_map(|(name, pinged)| Some(Check { name, trouble: trouble(pinged?) }))
        .collect();
    let trouble = api.services.bus.health().err().map(|error| error.to_string());
    checks.push(Check { name: "bus", trouble });
    let troubles = api.services.orchestrator.troubles();
    let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
    checks.push(Check { name: "orchestrator", trouble });
    report("readyz", &checks, is_verbose(&request))
}

/// `GET /metrics`.
pub async fn metrics(api: web::Data<Api>) -> HttpResponse {
    HttpResponse::Ok().insert_header(METRICS).body((api.services.metrics)())
}

/// Asks a store whether it is there; none where it is not this process's affair.
async fn ping<S: ?Sized + Send + Sync + 'static>(
    api: &Api,
    store: Option<&Arc<S>>,
    ping: fn(&S) -> Result<(), StoreError>,
) -> Option<Result<(), Problem>> {
    let store = Arc::clone(store?);
    Some(api.blocking.run(move || ping(&store)).await)
}

fn trouble(pinged: Result<(), Problem>) -> Option<String> {
    let problem = pinged.err()?;
    Some(problem.cause().unwrap_or(problem.detail()).to_owned())
}

/// `ok`, or one line a check if the client wants them or something is wrong.
fn report(name: &str, checks: &[Check], verbose: bool) -> HttpResponse {
    let well = checks.iter().all(|check| check.trouble.is_none());
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut text = String::new();
    if well && !verbose {
        text.push_str("ok");
    } else {
        for Check { name, trouble } in checks {
            // Writing to a string can't fail.
            let _ = match trouble {
                None => writeln!(text, "[+]{name} ok"),
                Some(trouble) => writeln!(text, "[-]{name} failed: {}", one_line(trouble)),
            };
        }
        let verdict = if well { "passed" } else { "failed" };
        let _ = writeln!(text, "{name} check {verdict}");
    }
    HttpResponse::build(status).insert_header(PLAIN).body(text)
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// As in kube-apiserver, the parameter's value does not matter.
fn is_verbose(request: &HttpRequest) -> bool {
    request.query_string().split('&').any(|pair| pair.split('=').next() == Some("verbose"))
}
