//! The W3C trace that a request belongs to.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::contract::trace::TraceContext;

/// The header that carries it.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// `00-` trace id `-` parent id `-` flags.
const LENGTH: usize = 55;

/// A valid `traceparent` of version 00.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace(String);

impl Trace {
    /// Reads the header; none where it is missing or not valid, which is no error: tracing must not
    /// keep anybody from ordering.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT);
        let text = values.next()?.to_str().ok()?;
        if values.next().is_some() { None } else { Self::parse(text) }
    }

    /// A later version may say more at the end; what it shares with version 00 is kept.
    fn parse(text: &str) -> Option<Self> {
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let mut parts = head.split('-');
        let [version, trace, parent, flags] =
            [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
        let well_formed = parts.next().is_none()
            && [(version, 2), (trace, 32), (parent, 16), (flags, 2)]
                .iter()
                .all(|(part, length)| part.len() == *length && part.bytes().all(is_lower_hex))
            && [trace, parent].iter().all(|id| id.bytes().any(|b| b != b'0'));
        let ends_well = match version {
            "00" => rest.is_empty(),
            "ff" => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        (well_formed && ends_well).then(|| Self(format!("00-{trace}-{parent}-{flags}")))
    }

    /// The header's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The trace's id: 32 hexadecimal digits.
    pub fn id(&self) -> &str {
        self.0.get(3..35).unwrap_or_default()
    }

    /// The header's value.
    pub fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

impl From<TraceContext> for Trace {
    fn from(context: TraceContext) -> Self {
        Self(context.to_string())
    }
}

fn is_lower_hex(b: u8) -> bool {
    b.is_ascii_digit() || (b'a'..=b'f').contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_valid_trace_is_kept() {
        let trace = Trace::parse(VALID).unwrap();
        assert_eq!((trace.as_str(), trace.id()), (VALID, "4bf92f3577b34da6a3ce929d0e0e4736"));
    }

    #[test]
    fn what_a_later_version_adds_is_left_out() {
        let later = format!("cc{}-what-comes", &VALID[2..]);
        assert_eq!(Trace::parse(&later).unwrap().as_str(), VALID);
    }

    #[test]
    fn what_is_no_trace_is_left_out() {
        let zero_trace = format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32));
        let zero_parent = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16));
        let ff = format!("ff{}", &VALID[2..]);
        let longer = format!("{VALID}-00");
        let upper = VALID.to_uppercase();
        for text in ["", "00", &zero_trace, &zero_parent, &ff, &longer, &upper, &"é".repeat(30)] {
            assert_eq!(Trace::parse(text), None, "{text}");
        }
    }
}
