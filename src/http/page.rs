//! Pages of long lists: each names the last entry that it holds, and the next begins after that one.

use actix_web::http::header::{HeaderValue, LINK};
use actix_web::web::Query;
use actix_web::{HttpRequest, HttpResponse};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Serialize;

/// The longest page; it bounds the memory and the time of one answer.
pub const MAX_LIMIT: u32 = 200;
/// A page that fits a screen or two.
pub const DEFAULT_LIMIT: u32 = 50;

/// A page of a list.
#[derive(Clone, Copy, Debug)]
pub struct PageOf<C> {
    /// How many entries, 1 to [`MAX_LIMIT`].
    pub limit: u32,
    /// The last entry of the page before; none for the first page.
    pub after: Option<C>,
}

impl<C> PageOf<C> {
    /// One more than the page holds, to see whether another page follows.
    pub fn fetch(&self) -> u32 {
        self.limit + 1
    }

    /// Cuts what was fetched to the page; returns the cursor of the next page if there is one.
    pub fn cut<T>(
        &self,
        fetched: &mut Vec<T>,
        cursor: impl FnOnce(&T) -> String,
    ) -> Option<String> {
        let limit = self.limit as usize;
        if fetched.len() <= limit {
            return None;
        }
        fetched.truncate(limit);
        fetched.last().map(cursor)
    }
}

/// Answers with a page, and with a `Link` to the next one if there is one.
pub fn answer(
    request: &HttpRequest,
    next_cursor: Option<&str>,
    page: &impl Serialize,
) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(cursor) = next_cursor {
        let next = url_with(request.path(), request.query_string(), &[("cursor", cursor)]);
        if let Ok(link) = HeaderValue::from_str(&format!("<{next}>; rel=\"next\"")) {
            response.insert_header((LINK, link));
        }
    }
    response.json(page)
}

/// An address with some parameters of its query changed; an empty value takes one out.
pub fn url_with(path: &str, query: &str, changes: &[(&str, &str)]) -> String {
    let given = Query::<Vec<(String, String)>>::from_query(query);
    let given = given.map(Query::into_inner).unwrap_or_default();
    let kept = given.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let kept = kept.filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let pairs: Vec<String> = kept
        .chain(changes.iter().copied())
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect();
    match pairs.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", pairs.join("&")),
    }
}

/// Percent-encodes all that is not unreserved (RFC 3986, 2.3).
pub fn encode(text: &str) -> PercentEncode<'_> {
    const RESERVED: &AsciiSet =
        &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(text, RESERVED)
}
