//! The span of a request, where traces are recorded. In the words of OpenTelemetry's semantic conventions
//! 1.30 for HTTP.

use std::sync::Arc;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;

use super::trace::Trace;
use crate::contract::trace::TraceContext;
use crate::ports::Clock;
use crate::ports::spans::{Attribute, Span, SpanKind, Spans, new_span};
use crate::saga::id::Timestamp;

/// Only requests of the API begin a trace. Probes and pages would fill the collector.
const TRACED: &str = "/v1/";

/// Records requests.
pub struct Tracer {
    /// Where spans go.
    pub spans: Spans,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// A request that is being answered.
pub struct RequestSpan {
    context: TraceContext,
    parent: Option<u64>,
    from: Timestamp,
}

impl RequestSpan {
    /// The trace with this span as the newest, for whatever is done because of the request.
    pub fn trace(&self) -> Trace {
        Trace::from(self.context)
    }
}

impl Tracer {
    /// A request came, in a caller's trace or in none; none where traces are off.
    pub fn begin(&self, caller: Option<&Trace>, path: &str) -> Option<RequestSpan> {
        if !self.spans.are_on() {
            return None;
        }
        let caller = caller.and_then(|trace| TraceContext::parse(trace.as_str()));
        let context = match caller {
            Some(caller) => caller.with_span(new_span()),
            None if path.starts_with(TRACED) => self.spans.begin()?,
            None => return None,
        };
        Some(RequestSpan {
            context,
            parent: caller.map(|caller| caller.span),
            from: self.clock.now(),
        })
    }

    /// A request was answered.
    pub fn end(&self, span: &RequestSpan, response: &ServiceResponse<BoxBody>) {
        let request = response.request();
        let method = request.method().as_str();
        let route = request.match_pattern().filter(|route| !route.is_empty());
        let mut attributes: Vec<(&'static str, Attribute)> = vec![
            ("http.request.method", method.into()),
            ("url.path", request.path().into()),
            ("url.scheme", "http".into()),
            ("http.response.status_code", i64::from(response.status().as_u16()).into()),
        ];
        let name = match &route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        };
        attributes.extend(route.map(|route| ("http.route", route.into())));
        self.spans.record(Span {
            context: span.context,
            parent: span.parent,
            name,
            kind: SpanKind::Server,
            from: span.from,
            to: self.clock.now(),
            attributes,
            error: error(response.status()),
        });
    }
}

/// A client's mistake is no error of ours.
fn error(status: StatusCode) -> Option<&'static str> {
    match status.as_u16() {
        500 => Some("500"),
        503 => Some("503"),
        status if status > 500 => Some("5xx"),
        _ => None,
    }
}
