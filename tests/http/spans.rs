//! Requests in traces.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use actix_web::http::Method;
use skald::contract::trace::TraceContext;
use skald::http::Services;
use skald::ports::spans::{Span, SpanKind, SpanSink, Spans};

use crate::client::{ORDER, Site};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Keeps what it is told; of the traces that begin here it takes all or none.
struct Kept {
    spans: Mutex<Vec<Span>>,
    all: bool,
}

impl SpanSink for Kept {
    fn record(&self, span: Span) {
        self.spans.lock().unwrap().push(span);
    }

    fn samples(&self, _: u128) -> bool {
        self.all
    }
}

fn site(all: bool) -> (Site, Arc<Kept>) {
    let kept = Arc::new(Kept { spans: Mutex::default(), all });
    let spans = Spans::to(kept.clone(), "in_process");
    (Site::with(|services| Services { spans, ..services }), kept)
}

impl Kept {
    fn take(&self) -> Vec<Span> {
        std::mem::take(&mut self.spans.lock().unwrap())
    }
}

/// The trace that the orchestrator was given with the newest order.
fn handed_over(site: &Site) -> TraceContext {
    let new = site.world.lock().submissions.last().unwrap().clone();
    TraceContext::parse(new.traceparent.as_deref().unwrap()).unwrap()
}

#[actix_web::test]
async fn a_request_is_a_span_of_its_callers_trace_and_the_saga_is_below_it() {
    let (site, kept) = site(false);
    let reply = site.post("/v1/orders", &[("traceparent", TRACE)], ORDER).await;
    assert_eq!(reply.header("traceparent"), Some(TRACE));
    let spans = kept.take();
    assert_eq!(spans.len(), 1, "{spans:?}");
    let (span, caller) = (&spans[0], TraceContext::parse(TRACE).unwrap());
    assert_eq!((span.name.as_str(), span.kind), ("POST /v1/orders", SpanKind::Server));
    assert_eq!((span.context.trace, span.parent), (caller.trace, Some(caller.span)));
    assert_eq!(span.error, None);
    assert_eq!(handed_over(&site), span.context);
}

#[actix_web::test]
async fn a_trace_begins_with_a_request_of_the_api_and_with_no_other() {
    let (site, kept) = site(true);
    for path in ["/livez", "/readyz", "/metrics", "/"] {
        site.get(path).await;
    }
    assert_eq!(kept.take(), []);
    site.order().await;
    site.get("/v1/orders/nonsense").await;
    let spans = kept.take();
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["POST /v1/orders", "GET /v1/orders/{id}"]);
    assert!(spans.iter().all(|span| span.parent.is_none()), "{spans:?}");
    assert_ne!(spans[0].context.trace, spans[1].context.trace);
}

#[actix_web::test]
async fn what_is_not_recorded_is_handed_over_as_such() {
    let (site, kept) = site(false);
    site.order().await;
    assert!(!handed_over(&site).sampled);
    let unsampled = TRACE.replace("-01", "-00");
    site.post("/v1/orders", &[("traceparent", &unsampled)], ORDER).await;
    assert!(!handed_over(&site).sampled);
    assert_eq!(kept.take(), []);
}

#[actix_web::test]
async fn a_failure_of_ours_is_an_error_and_a_clients_mistake_is_none() {
    let (site, kept) = site(true);
    site.send(Method::POST, "/v1/orders", &[], "").await;
    site.world.store_is_down.store(true, Ordering::Relaxed);
    site.get("/v1/orders").await;
    let errors: Vec<_> = kept.take().into_iter().map(|span| span.error).collect();
    assert_eq!(errors, [None, Some("503")]);
}
