//! Answers, as workers write and the orchestrator reads them.
//!
//! Three forms are understood: typed messages of the contract, the packets of a NestJS
//! microservice (`{"response":…,"isDisposed":true}`, `{"err":…}`), and any other JSON or nothing,
//! which is a success unless it says `"status":"error"`. Replies come from outside: nothing in them is believed beyond its form, and no text of a
//! foreign error is kept.

mod read;

use serde::{Deserialize, Serialize};

pub use read::{MAX_DEPTH, MAX_RESULT, ReplyError, Unexplained, read};

use super::envelope::{Envelope, Metadata, Payload, WRITER, rfc3339};
use super::message::{Exchange, Message, Outgoing};
use super::names::{MessageId, event_type};
use super::trace::trace_id;
use crate::saga::event::Reason;
use crate::saga::id::Timestamp;
use crate::saga::json::Json;

/// What a worker answers for good. *Retryable* is no such answer and never recorded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WorkOutcome {
    /// Done, with what came of it.
    Success(Json),
    /// Refused; nothing was done.
    Failure(Reason),
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
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
    // What is answered for good is always the same; what puts off is another message.
    let id = match body {
        ReplyBody::Settled(_) => format!("{}:reply", command.id),
        ReplyBody::Retryable => format!("{}:retryable", command.id),
    };
    let time = rfc3339(now);
    let traceparent = command.traceparent.as_deref().filter(|trace| trace_id(trace).is_some());
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
                trace_id: traceparent.and_then(trace_id),
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
            traceparent: traceparent.map(ToOwned::to_owned),
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
