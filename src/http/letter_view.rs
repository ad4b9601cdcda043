//! Dead letters as clients see them.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::time::Moment;
use crate::ports::letters::{Decision, Letter, LetterId, LetterSummary, Outcome};
use crate::saga::id::SagaId;

/// The longest body that is shown, in bytes. Replies are not read beyond that either, and nothing that
/// Skald sends comes near it.
const MAX_SHOWN: usize = 1024 * 1024;

/// A line of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterLine<'a> {
    letter_id: LetterId,
    message_id: &'a str,
    /// Left out where it is not known.
    #[serde(skip_serializing_if = "str::is_empty")]
    queue: &'a str,
    routing_key: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    saga_id: Option<SagaId>,
    state: &'static str,
    died_at: Moment,
}

impl<'a> LetterLine<'a> {
    /// What a list shows of a letter.
    pub fn of(letter: &'a LetterSummary) -> Self {
        Self {
            letter_id: letter.id,
            message_id: &letter.message_id,
            queue: &letter.queue,
            routing_key: &letter.routing_key,
            reason: &letter.reason,
            saga_id: letter.saga,
            state: letter.state.as_str(),
            died_at: Moment(letter.at),
        }
    }
}

/// A letter with its message, and with what was decided about it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LetterView<'a> {
    #[serde(flatten)]
    line: LetterLine<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saga_url: Option<String>,
    headers: Box<RawValue>,
    body_bytes: usize,
    #[serde(flatten)]
    body: Body,
    decisions: Vec<DecisionView<'a>>,
}

/// A message's body, named after how it is written.
#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Body {
    /// As it came.
    Json {
        body: Box<RawValue>,
    },
    Bytes {
        body_base64: String,
    },
    TooLong {},
}

#[derive(Serialize)]
struct DecisionView<'a> {
    action: &'static str,
    by: &'a str,
    reason: &'a str,
    at: Moment,
    outcome: &'static str,
}

impl<'a> LetterView<'a> {
    /// All of a letter.
    pub fn of(letter: &'a Letter) -> Self {
        Self {
            line: LetterLine::of(&letter.summary),
            saga_url: letter.summary.saga.map(|saga| format!("/v1/sagas/{saga}")),
            headers: raw(&letter.headers).unwrap_or_default(),
            body_bytes: letter.body.len(),
            body: Body::of(&letter.body),
            decisions: letter.decisions.iter().map(DecisionView::of).collect(),
        }
    }
}

impl Body {
    fn of(bytes: &[u8]) -> Self {
        if bytes.len() > MAX_SHOWN {
            return Self::TooLong {};
        }
        match std::str::from_utf8(bytes).ok().and_then(raw) {
            Some(body) => Self::Json { body },
            None => Self::Bytes { body_base64: BASE64_STANDARD.encode(bytes) },
        }
    }
}

/// The text as it is, if it is JSON that usual readers can read: not too deep, no number too large.
fn raw(text: &str) -> Option<Box<RawValue>> {
    serde_json::from_str::<Value>(text).ok()?;
    RawValue::from_string(text.to_owned()).ok()
}

impl<'a> DecisionView<'a> {
    fn of(decision: &'a Decision) -> Self {
        Self {
            action: decision.action.as_str(),
            by: &decision.by,
            reason: &decision.note,
            at: Moment(decision.at),
            outcome: decision.outcome.map_or("PENDING", Outcome::as_str),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(body: &[u8]) -> String {
        serde_json::to_string(&Body::of(body)).unwrap()
    }

    #[test]
    fn a_body_of_json_is_shown_as_it_came() {
        assert_eq!(shown(br#"{"price": 199.90, "a":1}"#), r#"{"body":{"price": 199.90, "a":1}}"#);
        assert_eq!(shown(b"null"), r#"{"body":null}"#);
    }

    #[test]
    fn any_other_body_is_shown_in_base64() {
        assert_eq!(shown(b""), r#"{"bodyBase64":""}"#);
        assert_eq!(shown(b"\xff{"), r#"{"bodyBase64":"/3s="}"#);
        assert_eq!(shown(b"{\"a\":"), r#"{"bodyBase64":"eyJhIjo="}"#);
        let deep = "[".repeat(1_000) + &"]".repeat(1_000);
        assert!(shown(deep.as_bytes()).starts_with(r#"{"bodyBase64":"#));
    }

    #[test]
    fn a_body_that_nobody_wants_to_read_is_left_out() {
        assert_eq!(shown(&vec![b'0'; MAX_SHOWN + 1]), "{}");
    }
}
