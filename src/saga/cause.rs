//! What is wrong with a saga that needs attention, as the API and the events tell it: in words of
//! its own, so that the stored form may change without them.

use serde::Serialize;

use super::event::{AttentionCause, Reason, Setback};

/// What is wrong with a saga that needs attention, flat:
/// `"cause":"NOT_ANSWERED","attempts":10,"setback":"TIMED_OUT"`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cause<'a> {
    cause: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    setback: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a Reason>,
}

impl<'a> From<&'a AttentionCause> for Cause<'a> {
    fn from(cause: &'a AttentionCause) -> Self {
        let named = |cause| Self { cause, attempts: None, setback: None, reason: None };
        match cause {
            AttentionCause::NotAnswered { attempts, last } => Self {
                attempts: Some(*attempts),
                setback: Some(last.code()),
                ..named("NOT_ANSWERED")
            },
            AttentionCause::Refused(reason) => Self { reason: Some(reason), ..named("REFUSED") },
            AttentionCause::DeadlineExceeded => named("DEADLINE_EXCEEDED"),
        }
    }
}

impl Setback {
    /// Its name outside.
    pub fn code(self) -> &'static str {
        match self {
            Self::Retryable => "RETRYABLE",
            Self::TimedOut => "TIMED_OUT",
            Self::DeadLettered => "DEAD_LETTERED",
            Self::Unroutable => "UNROUTABLE",
            Self::Unexplained => "UNEXPLAINED",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_cause_is_told_flat() {
        let told = |cause: &AttentionCause| serde_json::to_value(Cause::from(cause)).unwrap();
        let unanswered = AttentionCause::NotAnswered { attempts: 10, last: Setback::TimedOut };
        assert_eq!(
            told(&unanswered),
            json!({"cause": "NOT_ANSWERED", "attempts": 10, "setback": "TIMED_OUT"})
        );
        let reason = Reason::of("NO_STOCK");
        assert_eq!(
            told(&AttentionCause::Refused(reason)),
            json!({"cause": "REFUSED", "reason": {"code": "NO_STOCK"}})
        );
        assert_eq!(told(&AttentionCause::DeadlineExceeded), json!({"cause": "DEADLINE_EXCEEDED"}));
    }
}
