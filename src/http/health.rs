//! `/livez`, `/readyz` and `/metrics`: what machines ask, of a node and of a worker's process alike. The
//! first two answer in the style of kube-apiserver.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::join_all;
use metrics::gauge;
use tokio::time::timeout;

use super::blocking::Blocking;
use super::problem::{Kind, Problem};
use super::stats::sagas_by_status;
use crate::ports::StoreError;
use crate::ports::bus::Bus;
use crate::ports::orchestrator::Orchestrator;
use crate::ports::queries::Queries;

const PLAIN: (actix_web::http::header::HeaderName, &str) =
    (CONTENT_TYPE, "text/plain; charset=utf-8");
/// Prometheus' text format.
const METRICS: (actix_web::http::header::HeaderName, &str) =
    (CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");

/// The broker is asked queue by queue, a millisecond each. Whoever reads the metrics waits for 10 s.
const DEPTHS_WITHIN: Duration = Duration::from_secs(3);

/// The queues of all shards are one for whoever watches.
const REPLIES: &str = "skald.replies";

/// Asks a store whether it is there. Blocks.
pub type Ping = Arc<dyn Fn() -> Result<(), StoreError> + Send + Sync>;

/// Writes the metrics in Prometheus' text format.
pub type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// Something that a process tells of and does not need.
#[derive(Clone)]
pub struct Expendable {
    /// What it is called.
    pub name: &'static str,
    /// What is wrong with it, if anything. Never waits.
    pub trouble: Arc<dyn Fn() -> Option<String> + Send + Sync>,
}

/// What a process needs to do its work, and what it counts.
pub struct Health {
    /// The stores that must answer, by name.
    pub stores: Vec<(&'static str, Ping)>,
    /// Those without which the process does most of its work.
    pub others: Vec<(&'static str, Ping)>,
    /// Carries the messages.
    pub bus: Arc<dyn Bus>,
    /// What is not needed: it is shown, and fails nothing.
    pub expendable: Vec<Expendable>,
    /// Runs sagas, where this process is a node.
    pub orchestrator: Option<Arc<dyn Orchestrator>>,
    /// Counts sagas, where this process is a node.
    pub queries: Option<Arc<dyn Queries>>,
    /// Writes the metrics; none where nothing is counted.
    pub metrics: Option<Exposition>,
    /// How the stores are called.
    pub blocking: Arc<Blocking>,
}

/// One thing that is looked at.
struct Check {
    name: &'static str,
    trouble: Option<String>,
    /// Whether the process can't work without it.
    is_needed: bool,
}

impl Check {
    fn needed(name: &'static str, trouble: Option<String>) -> Self {
        Self { name, trouble, is_needed: true }
    }

    fn passes(&self) -> bool {
        self.trouble.is_none() || !self.is_needed
    }
}

/// `GET /livez`: the process answers. It asks nobody else, so that no outage elsewhere gets it
/// restarted.
pub async fn livez(request: HttpRequest) -> HttpResponse {
    report("livez", &[Check::needed("ping", None)], is_verbose(&request))
}

/// `GET /readyz`: everything that the process needs for its work is there.
pub async fn readyz(health: web::Data<Health>, request: HttpRequest) -> HttpResponse {
    report("readyz", &health.checks().await, is_verbose(&request))
}

/// `GET /metrics`. What only somebody who asks wants to know is found out now.
pub async fn metrics(health: web::Data<Health>) -> Result<HttpResponse, Problem> {
    let Some(write) = &health.metrics else {
        return Err(Problem::new(
            Kind::NotFound,
            "nothing is counted here: telemetry.metrics is false",
        ));
    };
    tokio::join!(health.show_checks(), health.show_sagas(), health.show_queues());
    Ok(HttpResponse::Ok().insert_header(METRICS).body(write()))
}

impl Health {
    async fn checks(&self) -> Vec<Check> {
        // At once: where one is away, the others in the same place are, and each waits for that to show.
        let needed = self.stores.iter().map(|store| (store, true));
        let stores = needed.chain(self.others.iter().map(|store| (store, false)));
        let stores = stores.map(|((name, ping), is_needed)| async move {
            let ping = Arc::clone(ping);
            let trouble = trouble(self.blocking.run(move || ping()).await);
            Check { name, trouble, is_needed }
        });
        let mut checks = join_all(stores).await;
        let trouble = self.bus.health().err().map(|error| error.to_string());
        checks.push(Check::needed("bus", trouble));
        if let Some(orchestrator) = &self.orchestrator {
            let troubles = orchestrator.troubles();
            let trouble = (!troubles.is_empty()).then(|| troubles.join("; "));
            checks.push(Check::needed("orchestrator", trouble));
        }
        checks.extend(self.expendable.iter().map(|Expendable { name, trouble }| Check {
            name,
            trouble: trouble(),
            is_needed: false,
        }));
        checks
    }

    async fn show_checks(&self) {
        let is_other = |check: &Check| self.others.iter().any(|(name, _)| *name == check.name);
        let checks = self.checks().await.into_iter();
        for check in checks.filter(|check| check.is_needed || is_other(check)) {
            let passes = if check.trouble.is_none() { 1.0 } else { 0.0 };
            gauge!("skald_ready", "check" => check.name).set(passes);
        }
    }

    async fn show_sagas(&self) {
        let Some(queries) = self.queries.as_ref().map(Arc::clone) else { return };
        // A store that is away shows as a check that fails.
        let Ok(counts) = self.blocking.run(move || queries.counts()).await else { return };
        for (status, count) in sagas_by_status(&counts) {
            gauge!("skald_sagas", "status" => status.as_str()).set(count as f64);
        }
    }

    async fn show_queues(&self) {
        let Ok(Ok(depths)) = timeout(DEPTHS_WITHIN, self.bus.depths()).await else { return };
        let mut ready = BTreeMap::<String, u64>::new();
        for depth in depths {
            let queue = depth.queue.to_string();
            let queue = if queue.starts_with(REPLIES) { REPLIES.to_owned() } else { queue };
            *ready.entry(queue).or_default() += depth.ready;
        }
        for (queue, ready) in ready {
            gauge!("skald_queue_messages_ready", "queue" => queue).set(ready as f64);
        }
    }
}

fn trouble(pinged: Result<(), Problem>) -> Option<String> {
    let problem = pinged.err()?;
    Some(problem.cause().unwrap_or(problem.detail()).to_owned())
}

/// `ok`, or one line a check if the client wants them or something is wrong that is needed.
fn report(name: &str, checks: &[Check], verbose: bool) -> HttpResponse {
    let well = checks.iter().all(Check::passes);
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let mut text = String::new();
    if well && !verbose {
        text.push_str("ok");
    } else {
        for Check { name, trouble, is_needed } in checks {
            // Writing to a string can't fail.
            let _ = match trouble.as_deref().map(one_line) {
                None => writeln!(text, "[+]{name} ok"),
                Some(trouble) if *is_needed => writeln!(text, "[-]{name} failed: {trouble}"),
                Some(trouble) => writeln!(text, "[~]{name} away, not needed: {trouble}"),
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
