//! The closed set of problems.

use actix_web::http::StatusCode;

/// What kind of problem it is.
///
/// A body that is no JSON, or is cut off, is malformed (400): nobody can say which field is wrong.
/// A body that is JSON but not what was asked for has invalid fields (422), each of them named.
/// What the path, the query or the header says wrongly is a bad parameter (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON.
    MalformedBody,
    /// The path, the query or the header holds something that can't be understood.
    BadParameter,
    /// The request comes from a page of another site.
    CrossSite,
    /// A form whose token does not fit the browser's cookie.
    FormExpired,
    /// There is no such thing.
    NotFound,
    /// The thing is there, but this can't be done to it.
    MethodNotAllowed,
    /// The body did not arrive in time.
    BodyTooSlow,
    /// The first request under the same idempotency key is not done yet.
    InFlight,
    /// It can't be done as things stand.
    Conflict,
    /// The thing has another version than the client insists on.
    VersionMismatch,
    /// The body is too large.
    BodyTooLarge,
    /// The body is in another format.
    UnsupportedMediaType,
    /// The request names a host that this server is not.
    WrongHost,
    /// The body is JSON but not what was asked for.
    InvalidFields,
    /// The idempotency key was used for something else.
    KeyReused,
    /// A defect, or damaged data.
    Internal,
    /// Too much is under way.
    Overloaded,
    /// The store does not answer.
    StoreUnavailable,
    /// It may have been done or not.
    OutcomeUnknown,
}

/// What is the same for all problems of one kind.
pub struct Facts {
    /// Its name for programs.
    pub code: &'static str,
    /// The HTTP status.
    pub status: StatusCode,
    /// Its name for people.
    pub title: &'static str,
    /// Whether the very same request may succeed later.
    pub retryable: bool,
    /// What to do about it.
    pub advice: &'static str,
}

const fn lasting(
    code: &'static str,
    status: StatusCode,
    title: &'static str,
    advice: &'static str,
) -> Facts {
    Facts { code, status, title, retryable: false, advice }
}

const fn passing(
    code: &'static str,
    status: StatusCode,
    title: &'static str,
    advice: &'static str,
) -> Facts {
    Facts { code, status, title, retryable: true, advice }
}

impl Kind {
    /// Every kind, by status.
    pub const ALL: [Self; 19] = [
        Self::MalformedBody,
        Self::BadParameter,
        Self::CrossSite,
        Self::FormExpired,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::BodyTooSlow,
        Self::InFlight,
        Self::Conflict,
        Self::VersionMismatch,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::WrongHost,
        Self::InvalidFields,
        Self::KeyReused,
        Self::Internal,
        Self::Overloaded,
        Self::StoreUnavailable,
        Self::OutcomeUnknown,
    ];

    /// Finds the kind with this code.
    pub fn with_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.facts().code == code)
    }

    /// What is the same for all problems of this kind.
    #[rustfmt::skip]
    pub const fn facts(self) -> Facts {
        use StatusCode as S;
        match self {
            Self::MalformedBody => lasting("MALFORMED_BODY", S::BAD_REQUEST, "Malformed body",
                "Send one complete JSON value in UTF-8. The detail names the line and column at which reading stopped."),
            Self::BadParameter => lasting("BAD_PARAMETER", S::BAD_REQUEST, "Bad parameter",
                "Correct the part of the path, the query or the header that \"errors\" names."),
            Self::CrossSite => lasting("CROSS_SITE", S::FORBIDDEN, "Cross-site request refused",
                "Changes are taken from this server's own pages and from programs only, so that no foreign web page can make them in your name. To let another site in, configure its name."),
            Self::FormExpired => lasting("FORM_EXPIRED", S::FORBIDDEN, "The form has expired",
                "Load the page again and send the form from there. Cookies must be allowed for this site."),
            Self::NotFound => lasting("NOT_FOUND", S::NOT_FOUND, "Not found",
                "Check the address."),
            Self::MethodNotAllowed => lasting("METHOD_NOT_ALLOWED", S::METHOD_NOT_ALLOWED, "Method not allowed",
                "The Allow header lists what this address understands."),
            Self::BodyTooSlow => passing("BODY_TOO_SLOW", S::REQUEST_TIMEOUT, "The body came too slowly",
                "Send the request again over a better connection. Nothing was changed."),
            Self::InFlight => passing("IN_FLIGHT", S::CONFLICT, "The first request is still under way",
                "Another request with the same Idempotency-Key has not been answered yet. Send this one again after the pause that Retry-After names."),
            Self::Conflict => lasting("CONFLICT", S::CONFLICT, "Not possible as things stand",
                "Read the current state before you decide what to do. Nothing was changed."),
            Self::VersionMismatch => lasting("VERSION_MISMATCH", S::PRECONDITION_FAILED, "Changed in the meantime",
                "Something happened since you read the version in If-Match. Read it again before you decide. Nothing was changed."),
            Self::BodyTooLarge => lasting("BODY_TOO_LARGE", S::PAYLOAD_TOO_LARGE, "The body is too large",
                "A body may have 64 KiB. Split the request."),
            Self::UnsupportedMediaType => lasting("UNSUPPORTED_MEDIA_TYPE", S::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type",
                "Send the body as the detail says, unencoded."),
            Self::WrongHost => lasting("WRONG_HOST", S::MISDIRECTED_REQUEST, "Not this server's name",
                "The Host header must be a loopback name or a configured one, so that no foreign name can be made to point here. Configure the name under which this server is to be reached."),
            Self::InvalidFields => lasting("INVALID_FIELDS", S::UNPROCESSABLE_ENTITY, "Invalid fields",
                "Correct each field that \"errors\" names by its JSON Pointer. Nothing was changed."),
            Self::KeyReused => lasting("KEY_REUSED", S::UNPROCESSABLE_ENTITY, "The idempotency key was used for something else",
                "Use a new Idempotency-Key for a new request, and the old one only to repeat the same request. Nothing was changed."),
            Self::Internal => lasting("INTERNAL", S::INTERNAL_SERVER_ERROR, "Internal error",
                "This is a defect, or the stored data is damaged. The log holds the cause."),
            Self::Overloaded => passing("OVERLOADED", S::SERVICE_UNAVAILABLE, "Too much is under way",
                "Send the request again after the pause that Retry-After names. Nothing was changed."),
            Self::StoreUnavailable => passing("STORE_UNAVAILABLE", S::SERVICE_UNAVAILABLE, "The store does not answer",
                "Send the request again after the pause that Retry-After names, with the same Idempotency-Key if it had one."),
            Self::OutcomeUnknown => passing("OUTCOME_UNKNOWN", S::SERVICE_UNAVAILABLE, "The outcome is not known",
                "It may have been done or not. Send the request again with the same Idempotency-Key; without one, look first whether it was done."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_leads_back_to_its_kind() {
        for kind in Kind::ALL {
            assert_eq!(Kind::with_code(kind.facts().code), Some(kind));
        }
    }
}
