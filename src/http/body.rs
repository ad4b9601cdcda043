//! Reading JSON bodies.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::web::{Bytes, Payload};
use actix_web::{FromRequest, HttpRequest, dev};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;
use serde_path_to_error::Segment;
use tokio::time::timeout;

use super::problem::{Fault, Kind, Place, Problem};

/// The largest body. An order of [`MAX_ITEMS`](crate::orders::submission::MAX_ITEMS) usual lines
/// takes 30 kB.
pub const MAX_BODY: usize = 64 * 1024;

/// Longer than 64 KiB take over any connection that is worth waiting for.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Longer messages and names are cut: they may quote the body.
const MAX_DETAIL: usize = 200;

/// A request's body, which says that it is JSON unless it is empty. It was not parsed yet.
#[derive(Debug)]
pub struct JsonBody(Bytes);

impl FromRequest for JsonBody {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut dev::Payload) -> Self::Future {
        let headers = check_headers(request.headers(), "application/json");
        let payload = Payload::from_request(request, payload);
        Box::pin(async move {
            headers?;
            let payload = payload
                .await
                .map_err(|error| Problem::new(Kind::MalformedBody, error.to_string()))?;
            read(payload).await.map(Self::from)
        })
    }
}

impl From<Bytes> for JsonBody {
    /// A body of at most [`MAX_BODY`] bytes that was received.
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl JsonBody {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the body into a typed value that may borrow from it.
    ///
    /// # Errors
    /// [`Kind::MalformedBody`] with the place if it is not JSON; [`Kind::InvalidFields`] with the
    /// field if it is JSON of another shape.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        let text = std::str::from_utf8(&self.0).map_err(|error| {
            let place = error.valid_up_to();
            Problem::new(Kind::MalformedBody, format!("the body is not UTF-8 after byte {place}"))
        })?;
        serde_json::from_str(text).map_err(|error| explain::<T>(text, &error))
    }
}

/// Checks what a request says of its body, before any of it is read.
///
/// An empty body need not be of any type, but what a browser sends from a form always has one: with
/// a foreign type even an empty body is refused.
///
/// # Errors
/// [`Kind::UnsupportedMediaType`] or [`Kind::BodyTooLarge`].
pub fn check_headers(headers: &HeaderMap, wanted: &'static str) -> Result<(), Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > MAX_BODY as u64) {
        return Err(too_large());
    }
    let given = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let essence = |value: &str| value.split(';').next().unwrap_or_default().trim().to_owned();
    let fits = match given {
        Some(given) => essence(given).eq_ignore_ascii_case(wanted),
        None => length.unwrap_or(0) == 0 && !headers.contains_key("transfer-encoding"),
    };
    let plain = headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding == "identity");
    if fits && plain {
        Ok(())
    } else {
        Err(Problem::new(
            Kind::UnsupportedMediaType,
            format!("send the body as Content-Type: {wanted}, without Content-Encoding"),
        ))
    }
}

/// Reads a body of at most [`MAX_BODY`] bytes.
///
/// # Errors
/// When it is larger, too slow, or cut off.
pub async fn read(payload: Payload) -> Result<Bytes, Problem> {
    match timeout(BODY_WITHIN, payload.to_bytes_limited(MAX_BODY)).await {
        Ok(Ok(Ok(bytes))) => Ok(bytes),
        Ok(Ok(Err(_))) => Err(Problem::new(Kind::MalformedBody, "the body was cut off")),
        Ok(Err(_)) => Err(too_large()),
        Err(_) => Err(Problem::new(
            Kind::BodyTooSlow,
            format!("the body was not complete within {BODY_WITHIN:?}"),
        )),
    }
}

fn too_large() -> Problem {
    Problem::new(Kind::BodyTooLarge, format!("the body has more than {MAX_BODY} bytes"))
}

/// Reads a broken body once more, to tell whether it is JSON at all and where it is broken.
fn explain<'a, T: Deserialize<'a>>(text: &'a str, error: &serde_json::Error) -> Problem {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let traced = serde_path_to_error::deserialize::<_, T>(&mut deserializer).err();
    let pointer = traced.map(|traced| pointer(traced.path())).unwrap_or_default();
    if error.classify() != Category::Data {
        return malformed(error, pointer);
    }
    // A field may be found wrong before the reader gets to where the JSON breaks off.
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return malformed(&error, String::new());
    }
    let message = without_place(&error.to_string());
    let pointer = match named_member(&message) {
        Some(member) => format!("{pointer}/{member}"),
        None => pointer,
    };
    Problem::invalid_fields([Fault::at(Place::Pointer(pointer), message)])
}

fn malformed(error: &serde_json::Error, pointer: String) -> Problem {
    let message = without_place(&error.to_string());
    let (line, column) = (error.line(), error.column());
    let detail = format!("the body is not JSON: {message} at line {line}, column {column}");
    let fault = Fault::at(Place::Pointer(pointer), message);
    Problem::new(Kind::MalformedBody, detail).with_faults(vec![fault])
}

/// The message without the place that serde_json adds to it, and not too long.
fn without_place(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _)| message);
    cut(message)
}

/// A text that may be the body's: not too long, and without what would break a line or colour a
/// terminal.
fn cut(text: &str) -> String {
    let mut characters = text.chars().filter(|c| !c.is_control());
    let mut cut: String = characters.by_ref().take(MAX_DETAIL).collect();
    if characters.next().is_some() {
        cut.push('…');
    }
    cut
}

/// The member that a message is about though the reader stood at the object around it.
fn named_member(message: &str) -> Option<&str> {
    let names = ["missing field `", "duplicate field `"];
    names.iter().find_map(|start| message.strip_prefix(start))?.split('`').next()
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(format!("/{index}")),
            Segment::Map { key } => {
                Some(format!("/{}", cut(key).replace('~', "~0").replace('/', "~1")))
            }
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}
