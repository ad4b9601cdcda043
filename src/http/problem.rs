//! Errors as clients see them: RFC 9457 problem details.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;

pub use super::problem_kind::Kind;
use crate::orders::submission::FieldFault;
use crate::ports::StoreError;

/// The media type of a problem.
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// A store that is away is usually back within a second: a lock, a full queue, a checkpoint.
const STORE_RETRY_S: u32 = 1;

/// Why a request was not carried out.
#[derive(Debug)]
pub struct Problem(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    detail: Cow<'static, str>,
    faults: Vec<Fault>,
    retry_after_s: Option<u32>,
    allow: Option<HeaderValue>,
    cause: Option<String>,
}

/// One thing that is wrong with a request, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    #[serde(flatten)]
    place: Place,
    detail: Cow<'static, str>,
}

/// Where in a request something is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// In the body: a JSON Pointer (RFC 6901).
    Pointer(String),
    /// In the path or the query: the parameter's name.
    Parameter(Cow<'static, str>),
    /// In the header: the field's name.
    Header(&'static str),
}

impl Fault {
    /// Something wrong at `place`.
    pub fn at(place: Place, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { place, detail: detail.into() }
    }

    /// Where it is, for people.
    pub fn place(&self) -> &str {
        match &self.place {
            Place::Pointer(name) => name,
            Place::Parameter(name) => name,
            Place::Header(name) => name,
        }
    }

    /// What is wrong, in a sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<FieldFault> for Fault {
    fn from(fault: FieldFault) -> Self {
        Self::at(Place::Pointer(fault.pointer), fault.detail)
    }
}

/// The body of a problem.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
    retryable: bool,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
}

impl Problem {
    /// A problem of some kind; `detail` says what happened, to what, and what to do next.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self(Box::new(Inner {
            kind,
            detail,
            faults: Vec::new(),
            retry_after_s: None,
            allow: None,
            cause: None,
        }))
    }

    /// A parameter of the path or the query that can't be understood.
    pub fn parameter(
        name: impl Into<Cow<'static, str>>,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::bad_parameters(vec![Fault::at(Place::Parameter(name.into()), detail)])
    }

    /// A header field that can't be understood.
    pub fn header(name: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::bad_parameters(vec![Fault::at(Place::Header(name), detail)])
    }

    /// Parameters that can't be understood.
    pub fn bad_parameters(faults: Vec<Fault>) -> Self {
        let detail = "a parameter can't be understood; \"errors\" names it";
        Self::new(Kind::BadParameter, detail).with_faults(faults)
    }

    /// Fields that can't be accepted.
    pub fn invalid_fields(faults: impl IntoIterator<Item = impl Into<Fault>>) -> Self {
        let detail = "nothing was changed; \"errors\" names each field that can't be accepted";
        Self::new(Kind::InvalidFields, detail)
            .with_faults(faults.into_iter().map(Into::into).collect())
    }

    /// The thing that the URL names is not there.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("there is no {what}"))
    }

    /// Adds what is wrong in detail.
    pub fn with_faults(mut self, faults: Vec<Fault>) -> Self {
        self.0.faults = faults;
        self
    }

    /// Adds when to try again.
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Adds the methods that would be allowed.
    pub fn with_allow(mut self, allow: Option<HeaderValue>) -> Self {
        self.0.allow = allow;
        self
    }

    /// Adds what the log is told and the client is not.
    pub fn with_cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.cause = Some(cause.to_string());
        self
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What happened, in a sentence.
    pub fn detail(&self) -> &str {
        &self.0.detail
    }

    /// What is wrong in detail.
    pub fn faults(&self) -> &[Fault] {
        &self.0.faults
    }

    /// What the log is told and the client is not.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let problem = match &error {
            StoreError::Unavailable { .. } | StoreError::Deposed { .. } => {
                Self::new(Kind::StoreUnavailable, "the store does not answer; try again")
                    .with_retry_after(STORE_RETRY_S)
            }
            StoreError::Refused { .. } | StoreError::Corrupt { .. } => {
                Self::new(Kind::Internal, "the store could not do this; the log says why")
            }
        };
        problem.with_cause(error)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.0.kind.facts().status
    }

    fn error_response(&self) -> HttpResponse {
        let facts = self.0.kind.facts();
        let mut response = HttpResponse::build(facts.status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if let Some(seconds) = self.0.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        if let Some(allow) = &self.0.allow {
            response.insert_header((ALLOW, allow.clone()));
        }
        let body = Body {
            r#type: format!("/problems/{}", facts.code),
            title: facts.title,
            status: facts.status.as_u16(),
            detail: &self.0.detail,
            code: facts.code,
            retryable: facts.retryable,
            errors: &self.0.faults,
        };
        // Strings and numbers always have a JSON form.
        response.body(serde_json::to_vec(&body).unwrap_or_default())
    }
}
