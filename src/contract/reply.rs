//! Answers, as workers write and the orchestrator reads them.
//!
//! Three forms are understood: typed messages of the contract, the packets of a NestJS
//! microservice (`{"response":…,"isDisposed":true}`, `{"err":…}`), and any other JSON, which is a
//! success. Replies come from outside: nothing in them is believed beyond its form, and no text of a
//! foreign error is kept.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::envelope::{Envelope, Metadata, Payload, WRITER, rfc3339, trace_id};
use super::message::{Exchange, Message, Outgoing};
use super::names::{MessageId, event_type};
use crate::saga::check::is_reason_code;
use crate::saga::event::{Reason, Setback};
use crate::saga::id::Timestamp;
use crate::saga::input::Answer;
use crate::saga::json::Json;

/// The largest result of a step, in bytes. Results live in the saga's row and in memory.
pub const MAX_RESULT: usize = 16 * 1024;

/// The longest text beside a reason code, in characters.
const MAX_REASON_TEXT: usize = 200;

/// What a worker answers for good. *Retryable* is no such answer and never recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkOutcome {
    /// Done, with what came of it.
    Success(Json),
    /// Refused; nothing was done.
    Failure(Reason),
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyBody {
    /// What it recorded.
    Settled(WorkOutcome),
    /// Not now, and nothing was done.
    Retryable,
}

/// Writes the answer to `command`. `name` is what the answer is called, e.g. `inventory.reserved`.
/// None where the command wants no answer, or is not one of a saga's.
///
/// # Errors
/// When the answer has no JSON form.
pub fn write(
    command: &Message,
    name: &str,
    body: &ReplyBody,
    now: Timestamp,
) -> Result<Option<Outgoing>, serde_json::Error> {
    let (Some(reply_to), Some(command_id)) = (&command.reply_to, MessageId::parse(&command.id))
    else {
        return Ok(None);
    };
    let data = match body {
        ReplyBody::Settled(WorkOutcome::Success(result)) => result.clone(),
        ReplyBody::Settled(WorkOutcome::Failure(reason)) => Json::of(&Refusal { reason })?,
        ReplyBody::Retryable => Json::of(&NotNow { retryable: true })?,
    };
    let id = format!("{}:reply", command.id);
    let time = rfc3339(now);
    let traceparent = command.traceparent.as_deref().unwrap_or_default();
    let saga = command_id.saga.to_string();
    let body = Envelope {
        specversion: "1.0",
        id: &id,
        source: "/skald/workers",
        kind: name,
        subject: &saga,
        time: &time,
        datacontenttype: "application/json",
        traceparent,
        pattern: name,
        data: Payload {
            command_type: None,
            event_type: Some(event_type(name)),
            data: &data,
            metadata: Metadata {
                source: WRITER,
                trace_id: trace_id(traceparent).unwrap_or_default(),
                timestamp: &time,
                saga_id: command_id.saga,
                sequence: None,
                causation_id: command.id.clone(),
                idempotency_key: None,
                attempt: None,
                deadline: None,
            },
        },
    }
    .to_bytes()?;
    Ok(Some(Outgoing {
        exchange: Exchange::Default,
        routing_key: reply_to.clone(),
        message: Message {
            id,
            kind: name.to_owned(),
            correlation_id: command.correlation_id.clone(),
            reply_to: None,
            traceparent: command.traceparent.clone(),
            body,
            death: None,
        },
    }))
}

#[derive(Serialize)]
struct Refusal<'a> {
    reason: &'a Reason,
}

#[derive(Serialize)]
struct NotNow {
    retryable: bool,
}

/// Why a message is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It does not say what it answers.
    #[error("the correlation id {0:?} is not that of a command")]
    NoCommand(Option<String>),
}

/// Reads an answer: which command it answers, and what it says. A body that makes no sense is an
/// unexplained setback of that command.
///
/// # Errors
/// When it answers nothing.
pub fn read(message: &Message) -> Result<(MessageId, Answer), ReplyError> {
    let to = message
        .correlation_id
        .as_deref()
        .and_then(MessageId::parse)
        .ok_or_else(|| ReplyError::NoCommand(message.correlation_id.clone()))?;
    Ok((to, read_body(&message.body)))
}

fn read_body(body: &[u8]) -> Answer {
    if let Ok(TypedReply { data }) = serde_json::from_slice(body) {
        return typed(&data.event_type, data.data.unwrap_or(RawValue::NULL));
    }
    if let Ok(packet) = serde_json::from_slice::<NestPacket<'_>>(body)
        && (packet.is_disposed.is_some() || packet.err.is_some())
    {
        return match packet.err {
            Some(err) => foreign_error(err),
            None => success(packet.response.unwrap_or(RawValue::NULL)),
        };
    }
    match serde_json::from_slice::<&RawValue>(body) {
        Ok(result) => success(result),
        Err(_) => Answer::Setback(Setback::Unexplained),
    }
}

/// A message of the contract.
fn typed(event_type: &str, data: &RawValue) -> Answer {
    let verdict: TypedData<'_> = serde_json::from_str(data.get()).unwrap_or_default();
    if verdict.retryable == Some(true) {
        return Answer::Setback(Setback::Retryable);
    }
    match verdict.reason {
        Some(reason) => failure(&reason.code, &reason.text),
        None if event_type.ends_with("_FAILED") => Answer::Setback(Setback::Unexplained),
        None => success(data),
    }
}

/// An error of a foreign worker counts as a refusal only by a reason code; its text is nobody's
/// business.
fn foreign_error(err: &RawValue) -> Answer {
    let code = serde_json::from_str::<Cow<'_, str>>(err.get())
        .or_else(|_| serde_json::from_str::<ForeignError<'_>>(err.get()).map(|err| err.code));
    match code {
        Ok(code) => failure(&code, ""),
        Err(_) => Answer::Setback(Setback::Unexplained),
    }
}

fn success(result: &RawValue) -> Answer {
    if result.get().len() > MAX_RESULT {
        return Answer::Setback(Setback::Unexplained);
    }
    Answer::Success(Json::from(result))
}

fn failure(code: &str, text: &str) -> Answer {
    if !is_reason_code(code) {
        return Answer::Setback(Setback::Unexplained);
    }
    let text = text.chars().filter(|c| !c.is_control()).take(MAX_REASON_TEXT).collect();
    Answer::Failure(Reason { code: code.into(), text })
}

/// A message of the contract, known by its `data.eventType`; an answer needs no metadata.
#[derive(Deserialize)]
struct TypedReply<'a> {
    #[serde(borrow)]
    data: TypedPayload<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedPayload<'a> {
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct TypedData<'a> {
    #[serde(default)]
    retryable: Option<bool>,
    #[serde(borrow, default)]
    reason: Option<TypedReason<'a>>,
}

#[derive(Deserialize)]
struct TypedReason<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NestPacket<'a> {
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    err: Option<&'a RawValue>,
    #[serde(default)]
    is_disposed: Option<bool>,
}

#[derive(Deserialize)]
struct ForeignError<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn success(json: &str) -> Answer {
        Answer::Success(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn every_form_of_success_is_understood() {
        assert_eq!(read_body(br#"{"response":{"a":1},"isDisposed":true}"#), success(r#"{"a":1}"#));
        assert_eq!(read_body(br#"{"isDisposed":true}"#), success("null"));
        assert_eq!(read_body(br#"{"anything":"else"}"#), success(r#"{"anything":"else"}"#));
        assert_eq!(read_body(b"42"), success("42"));
    }

    #[test]
    fn a_foreign_error_is_a_refusal_only_by_its_code() {
        let refused = Answer::Failure(Reason::of("INSUFFICIENT_STOCK"));
        let unexplained = Answer::Setback(Setback::Unexplained);
        assert_eq!(read_body(br#"{"err":"INSUFFICIENT_STOCK","isDisposed":true}"#), refused);
        assert_eq!(
            read_body(br#"{"err":{"code":"INSUFFICIENT_STOCK","message":"SELECT failed"}}"#),
            refused
        );
        assert_eq!(
            read_body(br#"{"err":{"status":"error","message":"Internal server error"}}"#),
            unexplained
        );
        assert_eq!(read_body(br#"{"err":"connect ECONNREFUSED 10.0.0.1:5432"}"#), unexplained);
    }

    #[test]
    fn a_typed_failure_is_no_success_for_lack_of_metadata() {
        let refused = br#"{"data":{"eventType":"INVENTORY_RESERVATION_FAILED","data":{"reason":{"code":"NO_STOCK"}}}}"#;
        assert_eq!(read_body(refused), Answer::Failure(Reason::of("NO_STOCK")));
        let bare = br#"{"data":{"eventType":"INVENTORY_RESERVATION_FAILED"}}"#;
        assert_eq!(read_body(bare), Answer::Setback(Setback::Unexplained));
        let later = br#"{"data":{"eventType":"INVENTORY_RETRYABLE","data":{"retryable":true}}}"#;
        assert_eq!(read_body(later), Answer::Setback(Setback::Retryable));
    }

    #[test]
    fn what_is_no_json_explains_nothing() {
        for body in [&b""[..], b"{", b"\xff\xfe", b"not json"] {
            assert_eq!(read_body(body), Answer::Setback(Setback::Unexplained));
        }
    }

    #[test]
    fn a_result_that_is_too_large_is_not_kept() {
        let body = format!("\"{}\"", "x".repeat(MAX_RESULT));
        assert_eq!(read_body(body.as_bytes()), Answer::Setback(Setback::Unexplained));
    }
}
