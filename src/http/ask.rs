//! Asking something of a saga: through the door, with a knock, and with a short wait for the outcome.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, IF_MATCH};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::body::JsonBody;
use super::idempotency::Key;
use super::params::as_given;
use super::problem::{Kind, Problem};
use super::services::Api;
use crate::orders::submission::FieldFault;
use crate::ports::door::{Admitted, InputId, InputOutcome, NewInput, Request};
use crate::saga::id::{SagaId, Sequence};

/// The owner answers within milliseconds unless its store hangs; people wait this long without
/// wondering.
pub const OUTCOME_WITHIN: Duration = Duration::from_secs(2);

/// The first pause between two looks for an outcome; another node takes a few milliseconds.
const FIRST_LOOK_AFTER: Duration = Duration::from_millis(10);

/// As much as explains a decision; it goes into the audit log and into events.
pub const MAX_REASON: usize = 500;

/// A reason that has to be given.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    reason: String,
}

/// Reads `{"reason": "…"}`.
///
/// # Errors
/// When the body is anything else, or the reason says nothing.
pub fn reason(body: &JsonBody) -> Result<String, Problem> {
    let Given { reason } = body.parse()?;
    check_reason(&reason).map_err(|fault| Problem::invalid_fields([fault]))?;
    Ok(reason)
}

/// What somebody asks of a saga.
#[derive(Debug)]
pub struct Wish {
    /// Which saga.
    pub saga: SagaId,
    /// What is wanted.
    pub request: Request,
    /// What makes a repeat recognisable.
    pub client_key: String,
    /// The version that the client insists on, if it does.
    pub if_version: Option<Sequence>,
}

/// What came of a wish.
#[derive(Debug)]
pub struct Asked {
    /// The input that it is stored as.
    pub input: InputId,
    /// Its outcome; none while it waits for the saga's owner.
    pub outcome: Option<InputOutcome>,
}

/// Stores a wish and waits a little for its outcome.
///
/// Once this returns `Ok` the wish is durable: it will be decided on, whatever happens to this
/// process or to the client.
///
/// # Errors
/// When the wish could not be stored, its key was used for another one, or there is no such saga.
pub async fn ask(api: &Api, wish: Wish) -> Result<Asked, Problem> {
    let saga = wish.saga;
    let input = NewInput {
        id: Uuid::now_v7(),
        saga,
        client_key: wish.client_key,
        request: wish.request,
        if_version: wish.if_version,
        at: api.now(),
    };
    let (input, shard) = match api.at_door(move |door| door.admit(&input)).await? {
        Admitted::Repeated(input, _, Some(outcome)) => {
            return Ok(Asked { input, outcome: Some(outcome) });
        }
        Admitted::Stored(input, shard) | Admitted::Repeated(input, shard, None) => (input, shard),
        Admitted::KeyTaken => {
            return Err(Problem::new(
                Kind::KeyReused,
                "this Idempotency-Key was used for another request to the same saga",
            ));
        }
        Admitted::NoSuchSaga => return Err(Problem::not_found(format!("saga {saga}"))),
    };
    // An owner that does not answer finds the input later, by itself.
    let patience = Instant::now() + OUTCOME_WITHIN;
    let _ = timeout_at(patience, api.services.orchestrator.knock(shard, saga)).await;
    let outcome =
        until_known(patience, async || api.at_door(move |door| door.outcome(input)).await).await;
    Ok(Asked { input, outcome })
}

/// Looks for an outcome until it is there or `patience` is over: at once where it comes about on this
/// node, in growing intervals where it does on another.
///
/// The wish is stored: a look that fails must not come out as if it were not.
pub async fn until_known<T>(
    patience: Instant,
    look: impl AsyncFn() -> Result<Option<T>, Problem>,
) -> Option<T> {
    let mut pause = FIRST_LOOK_AFTER;
    loop {
        match look().await {
            Ok(None) if Instant::now() + pause < patience => {
                sleep(pause).await;
                pause *= 2;
            }
            Ok(outcome) => return outcome,
            Err(problem) => {
                let (detail, cause) = (problem.detail(), problem.cause());
                tracing::warn!(detail, cause, "the outcome of a request could not be read");
                return None;
            }
        }
    }
}

/// The problem that an outcome comes to, if it was not granted.
pub fn refusal(outcome: &InputOutcome) -> Option<Problem> {
    match outcome {
        InputOutcome::Applied { .. } | InputOutcome::Ignored => None,
        InputOutcome::Rejected { detail } => Some(Problem::new(Kind::Conflict, detail.clone())),
        InputOutcome::VersionMismatch { found } => Some(Problem::new(
            Kind::VersionMismatch,
            format!("the saga has version {found} by now"),
        )),
    }
}

/// The client's key for a request to one saga; a fresh one where it gave none.
///
/// # Errors
/// When the header is not a key.
pub fn client_key(headers: &HeaderMap, route: &'static str) -> Result<String, Problem> {
    Ok(match Key::of(headers, route)? {
        Some(key) => key.into_string(),
        None => Uuid::now_v7().to_string(),
    })
}

/// The version in `If-Match`; none where there is none, or where any version will do.
///
/// # Errors
/// When it is not one entity tag as the saga's `ETag` gives it.
pub fn if_match(headers: &HeaderMap) -> Result<Option<Sequence>, Problem> {
    let mut values = headers.get_all(IF_MATCH);
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" && values.next().is_none() {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .and_then(as_given)
        .filter(|version| i64::try_from(*version).is_ok() && values.next().is_none())
        .map(Some)
        .ok_or_else(|| Problem::header("If-Match", "must be one ETag of the saga, such as \"7\""))
}

/// Checks what somebody gives as a reason.
///
/// # Errors
/// When it is empty, too long, or holds control characters.
pub fn check_reason(text: &str) -> Result<(), FieldFault> {
    let fits = !text.trim().is_empty()
        && text.chars().count() <= MAX_REASON
        && !text.chars().any(char::is_control);
    if fits {
        return Ok(());
    }
    Err(FieldFault {
        pointer: "/reason".to_owned(),
        detail: format!("must be 1 to {MAX_REASON} characters without line breaks"),
    })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[tokio::test]
    async fn an_outcome_is_looked_for_until_it_is_there_or_patience_is_over() {
        let looks = Cell::new(0);
        let third_time = async || {
            looks.set(looks.get() + 1);
            Ok((looks.get() == 3).then_some("done"))
        };
        let long = Instant::now() + 100 * FIRST_LOOK_AFTER;
        assert_eq!(until_known(long, third_time).await, Some("done"));
        assert_eq!(looks.replace(0), 3);
        assert_eq!(until_known(Instant::now(), third_time).await, None);
        assert_eq!(looks.get(), 1);
    }
}
