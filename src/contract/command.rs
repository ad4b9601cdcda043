//! Commands, as the orchestrator writes and workers read them.

use super::envelope::{Envelope, EnvelopeIn, MAX_BODY, Metadata, Payload, WRITER, rfc3339};
use super::message::{Exchange, Message, Outgoing};
use super::names::{MessageId, command_type};
use super::trace::{TraceContext, trace_id};
use crate::saga::effect::{Command, IdempotencyKey, Script, ScriptError};
use crate::saga::id::QueueName;
use crate::saga::json::Json;

/// Writes a command, to be answered in `reply_to`.
///
/// # Errors
/// When the script can't write the command's body.
pub fn write(
    script: &dyn Script,
    command: &Command<'_>,
    reply_to: &QueueName,
) -> Result<Outgoing, ScriptError> {
    let message_id = MessageId { saga: command.saga.id, sequence: command.sequence };
    let id = message_id.to_string();
    let traceparent = TraceContext::of_message(command.saga, message_id).to_string();
    let time = rfc3339(command.asked_at);
    let name = command.name.as_str();
    let body = Envelope {
        specversion: "1.0",
        id: &id,
        source: script.source(),
        kind: name,
        subject: &command.saga.birth.key,
        time: &time,
        datacontenttype: "application/json",
        traceparent: Some(&traceparent),
        pattern: name,
        data: Payload {
            command_type: Some(command_type(name)),
            event_type: None,
            data: &script.command(command)?,
            metadata: Metadata {
                source: WRITER,
                trace_id: trace_id(&traceparent),
                timestamp: &time,
                saga_id: command.saga.id,
                sequence: Some(command.sequence),
                causation_id: cause_of(message_id),
                idempotency_key: Some(command.key.to_string()),
                attempt: Some(command.attempt),
                deadline: Some(rfc3339(command.until)),
            },
        },
    }
    .to_bytes()?;
    Ok(Outgoing {
        exchange: Exchange::Commands,
        routing_key: name.to_owned(),
        message: Message {
            correlation_id: Some(id.clone()),
            id,
            kind: name.to_owned(),
            reply_to: Some(reply_to.to_string()),
            traceparent: Some(traceparent),
            body,
            death: None,
        },
    })
}

/// The event before in the same saga; the first has only itself.
pub(super) fn cause_of(id: MessageId) -> String {
    MessageId { sequence: id.sequence.saturating_sub(1).max(1), ..id }.to_string()
}

/// A command as a worker reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncomingCommand {
    /// What it asks for, e.g. `inventory.reserve`.
    pub name: String,
    /// What makes repeats recognisable.
    pub key: IdempotencyKey,
    /// What it is about.
    pub body: Json,
}

/// The longest piece of a foreign text that an error repeats, in characters. Errors go into logs and
/// stay with dead letters.
const MAX_QUOTE: usize = 200;

/// Why a message is no command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Longer than any command is.
    #[error("the body is {0} bytes long, not up to {MAX_BODY}")]
    TooLong(usize),
    /// Not the envelope of the contract; what is wrong with it, and where.
    #[error("the body is no command of the contract: {0}")]
    Unreadable(String),
    /// The type in the body is not what the message claims to be.
    #[error("the message is a {kind}, but its body is a {found}")]
    WrongType {
        /// What the message claims to be.
        kind: String,
        /// What its body is.
        found: String,
    },
    /// No idempotency key, or not one.
    #[error("the metadata hold no readable idempotencyKey")]
    NoKey,
}

/// Reads a command.
///
/// # Errors
/// When the message is none; reading it again won't help.
pub fn read(message: &Message) -> Result<IncomingCommand, CommandError> {
    if message.body.len() > MAX_BODY {
        return Err(CommandError::TooLong(message.body.len()));
    }
    let envelope: EnvelopeIn<'_> = serde_json::from_slice(&message.body)
        .map_err(|error| CommandError::Unreadable(quote(&error.to_string())))?;
    let payload = envelope.data;
    let expected = command_type(&message.kind);
    if payload.command_type.as_deref() != Some(&expected) {
        let found = payload.command_type.or(payload.event_type).unwrap_or_default();
        return Err(CommandError::WrongType { kind: quote(&message.kind), found: quote(&found) });
    }
    let key = payload.metadata.idempotency_key.as_deref().and_then(IdempotencyKey::parse);
    Ok(IncomingCommand {
        name: message.kind.clone(),
        key: key.ok_or(CommandError::NoKey)?,
        body: Json::from(payload.data),
    })
}

fn quote(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_QUOTE).collect()
}
