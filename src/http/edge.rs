//! What every request passes on its way in and out: the guard, the log, the common headers.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse, web};
use tracing::{Instrument, Span, field};

use super::guard::Guard;
use super::problem::{Kind, Problem};
use super::span::{RequestSpan, Tracer};
use super::trace::{TRACEPARENT, Trace};
use super::{dashboard, meter};

/// Set on every answer that does not say otherwise.
///
/// The referrer policy is not `no-referrer`, because browsers then send `Origin: null` with forms
/// and the guard would refuse our own.
const COMMON_HEADERS: [(HeaderName, HeaderValue); 5] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; \
             connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// Lets a request in, if it may come in, and finishes its answer.
pub async fn edge(
    guard: web::Data<Guard>,
    tracer: web::Data<Tracer>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let began = Instant::now();
    let caller = Trace::of(request.headers());
    let traced = tracer.begin(caller.as_ref(), request.path());
    let echo = caller.as_ref().and_then(Trace::header);
    let trace = traced.as_ref().map(RequestSpan::trace).or(caller);
    let span = tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.path(),
        status = field::Empty,
        traceId = trace.as_ref().map(Trace::id),
        orderId = field::Empty,
        sagaId = field::Empty,
    );
    if let Some(trace) = trace {
        request.extensions_mut().insert(trace);
    }
    let admitted = guard.check(request.method(), request.uri(), request.headers());
    let mut response = match admitted {
        Err(problem) => request.error_response(problem),
        Ok(()) => next.call(request).instrument(span.clone()).await?.map_into_boxed_body(),
    };
    if is_bare_method_not_allowed(&response) {
        response = method_not_allowed(response);
    }
    log(&span, &response);
    meter::count(&response, began.elapsed());
    if let Some(traced) = traced {
        tracer.end(&traced, &response);
    }
    if let Some(page) = problem_page(&response) {
        response = response.into_response(page);
    }
    finish_headers(response.headers_mut(), echo);
    Ok(response)
}

fn finish_headers(headers: &mut HeaderMap, echo: Option<HeaderValue>) {
    for (name, value) in COMMON_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, value);
        }
    }
    if let Some(echo) = echo {
        headers.insert(TRACEPARENT, echo);
    }
}

/// Whether the router refused the method, which it does without a body.
fn is_bare_method_not_allowed(response: &ServiceResponse<BoxBody>) -> bool {
    response.status() == StatusCode::METHOD_NOT_ALLOWED && response.response().error().is_none()
}

fn method_not_allowed(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let allow = response.headers().get(ALLOW).cloned();
    let problem = Problem::new(
        Kind::MethodNotAllowed,
        format!("{} is not possible here", response.request().method()),
    )
    .with_allow(allow);
    response.error_response(problem)
}

/// The page that shows a problem, for whoever reads pages. Programs get it as JSON.
fn problem_page(response: &ServiceResponse<BoxBody>) -> Option<HttpResponse> {
    let request = response.request();
    let accept = request.headers().get(ACCEPT)?.to_str().ok()?;
    if !accept.contains("text/html") || request.path().starts_with("/v1/") {
        return None;
    }
    problem_of(response).map(dashboard::problem_page)
}

fn problem_of(response: &ServiceResponse<BoxBody>) -> Option<&Problem> {
    response.response().error()?.as_error()
}

/// A failure of ours is logged here and nowhere else; a client's mistake is the client's business.
fn log(span: &Span, response: &ServiceResponse<BoxBody>) {
    let status = response.status();
    span.record("status", status.as_u16());
    let problem = problem_of(response);
    if status.is_server_error() {
        let cause = problem.and_then(Problem::cause);
        let detail = problem.map(Problem::detail);
        tracing::error!(parent: span, detail, cause, "the request failed");
    } else if status.is_client_error() {
        let detail = problem.map(Problem::detail);
        tracing::debug!(parent: span, detail, "the request was refused");
    } else {
        tracing::trace!(parent: span, "the request was answered");
    }
}
