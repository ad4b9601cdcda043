//! How long requests take, for the metrics.

use std::borrow::Cow;
use std::time::Duration;

use actix_web::body::BoxBody;
use actix_web::dev::ServiceResponse;
use actix_web::http::Method;

/// What a request is counted under whose path or method nobody knows: anybody can make them up, and
/// every other label is a series of its own.
const OTHER: &str = "other";

/// Counts a request that was answered with `response` after `took`.
pub fn count(response: &ServiceResponse<BoxBody>, took: Duration) {
    let request = response.request();
    // The route, never the path, which holds ids.
    let route = request.match_pattern().filter(|route| !route.is_empty());
    metrics::histogram!(
        "skald_http_request_duration_seconds",
        "method" => method(request.method()),
        "route" => route.map_or(Cow::Borrowed(OTHER), Cow::Owned),
        "status" => response.status().as_str().to_owned(),
    )
    .record(took);
}

fn method(method: &Method) -> &'static str {
    const KNOWN: [(Method, &str); 5] = [
        (Method::GET, "GET"),
        (Method::POST, "POST"),
        (Method::PUT, "PUT"),
        (Method::DELETE, "DELETE"),
        (Method::HEAD, "HEAD"),
    ];
    KNOWN.iter().find(|(known, _)| known == method).map_or(OTHER, |(_, name)| name)
}
