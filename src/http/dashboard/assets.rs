//! The files that pages refer to; they are part of the binary.

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, ETag, EntityTag, HeaderValue, IF_NONE_MATCH,
};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("templates/skald.css");
const SCRIPT: &str = include_str!("templates/skald.js");
const ICON: &str = include_str!("templates/skald.svg");

/// `GET /assets/skald.css`.
pub async fn style(request: HttpRequest) -> HttpResponse {
    file(&request, "text/css; charset=utf-8", STYLE)
}

/// `GET /assets/skald.js`.
pub async fn script(request: HttpRequest) -> HttpResponse {
    file(&request, "text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /assets/skald.svg`.
pub async fn icon(request: HttpRequest) -> HttpResponse {
    file(&request, "image/svg+xml", ICON)
}

/// Browsers keep the file but ask whether it changed, so that an update shows at once.
fn file(request: &HttpRequest, content_type: &'static str, content: &'static str) -> HttpResponse {
    let tag = EntityTag::new_strong(format!("{:x}", Sha256::digest(content)));
    let known = request.headers().get(IF_NONE_MATCH);
    let unchanged = known.is_some_and(|known| known.as_bytes() == tag.to_string().as_bytes());
    let mut response = if unchanged { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response
        .insert_header(ETag(tag))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)));
    if unchanged { response.finish() } else { response.body(content) }
}
