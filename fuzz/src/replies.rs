//! What workers answer.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use skald::contract::message::Message;
use skald::contract::names::MessageId;
use skald::contract::reply::{self, MAX_RESULT, ReplyBody, Unexplained, WorkOutcome};
use skald::saga::event::Setback;
use skald::saga::id::Timestamp;
use skald::saga::input::Answer;

/// The longest reason that a saga keeps of a refusal: a code, and a text in characters.
const LONGEST_CODE: usize = 64;
const LONGEST_TEXT: usize = 200;

/// The longest correlation id that comes over the wire, in bytes.
const LONGEST_ID: usize = 255;

pub fn check(data: &[u8]) {
    let (correlation_id, body) = super::head(data);
    if correlation_id.len() > LONGEST_ID {
        return;
    }
    let message = message(&correlation_id, Bytes::copy_from_slice(body));
    let (id, answer) = match reply::read(&message) {
        Ok(read) => read,
        Err(error) => return super::is_reason(&error.to_string()),
    };
    assert_eq!(id.to_string(), correlation_id);
    match answer {
        Ok(Answer::Success(result)) => {
            assert!(result.as_str().len() <= MAX_RESULT);
            assert!(result.read::<IgnoredAny>().is_ok());
            // As somebody's typed answer these members would say something else.
            if !["retryable", "reason", "\\"].iter().any(|it| result.as_str().contains(it)) {
                reads_the_same(id, WorkOutcome::Success(result));
            }
        }
        Ok(Answer::Failure(reason)) => {
            assert!((1..=LONGEST_CODE).contains(&reason.code.as_str().len()));
            assert!(reason.text.chars().count() <= LONGEST_TEXT);
            assert!(!reason.text.chars().any(char::is_control));
            reads_the_same(id, WorkOutcome::Failure(reason));
        }
        Ok(Answer::Setback(setback)) => assert_eq!(setback, Setback::Retryable),
        Err(unexplained) => {
            super::is_reason(&unexplained.to_string());
            assert_eq!(Answer::from(unexplained), Answer::Setback(Setback::Unexplained));
            let is_json = serde_json::from_slice::<&RawValue>(body).is_ok();
            assert_eq!(is_json, !matches!(unexplained, Unexplained::NotJson { .. }));
        }
    }
}

fn message(correlation_id: &str, body: Bytes) -> Message {
    Message {
        id: correlation_id.to_owned(),
        kind: "inventory.reserve".to_owned(),
        correlation_id: Some(correlation_id.to_owned()),
        reply_to: Some("skald.replies.7".to_owned()),
        traceparent: None,
        body,
        death: None,
    }
}

/// A shipped worker that answers so is understood.
fn reads_the_same(id: MessageId, outcome: WorkOutcome) {
    let expected = match &outcome {
        WorkOutcome::Success(result) => Answer::Success(result.clone()),
        WorkOutcome::Failure(reason) => Answer::Failure(reason.clone()),
    };
    let command = message(&id.to_string(), Bytes::new());
    let body = ReplyBody::Settled(outcome);
    let written = reply::write(&command, "inventory.reserved", &body, Timestamp(0)).unwrap();
    let read = reply::read(&written.unwrap().message);
    assert_eq!(read, Ok((id, Ok(expected))));
}
