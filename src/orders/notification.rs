//! What became of telling the customer.

use serde::{Deserialize, Serialize};

use crate::saga::json::Json;

/// The result of the steps that tell the customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notified {
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a notification. None of it is a failure: the customer was told as far as that is
/// possible.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Outcome {
    /// The mail was sent.
    #[default]
    Sent,
    /// There is nowhere to write to.
    NoAddress,
    /// The address is refused for good.
    Undeliverable,
}

impl Outcome {
    /// Its name in results and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "SENT",
            Self::NoAddress => "NO_ADDRESS",
            Self::Undeliverable => "UNDELIVERABLE",
        }
    }
}

impl Notified {
    /// Reads a worker's result. One that does not say what became of the mail counts as sent, which
    /// is what its success says.
    pub fn of(result: &Json) -> Self {
        result.read().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_s_result_is_told_by_its_outcome_alone() {
        for (result, outcome) in [
            (r#"{"outcome":"NO_ADDRESS"}"#, Outcome::NoAddress),
            (r#"{"outcome":"UNDELIVERABLE","server":"10.0.0.1"}"#, Outcome::Undeliverable),
            (r#"{"outcome":"LOST"}"#, Outcome::Sent),
            (r#"{"id":"<1@mail>"}"#, Outcome::Sent),
            ("null", Outcome::Sent),
            ("7", Outcome::Sent),
        ] {
            let result: Json = serde_json::from_str(result).unwrap();
            assert_eq!(Notified::of(&result).outcome, outcome, "{result:?}");
        }
    }

    #[test]
    fn an_outcome_has_one_name() {
        for outcome in [Outcome::Sent, Outcome::NoAddress, Outcome::Undeliverable] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }
}
