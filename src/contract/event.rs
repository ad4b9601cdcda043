//! Domain events.

use super::command::cause_of;
use super::envelope::{Envelope, Metadata, Payload, WRITER, rfc3339};
use super::message::{Exchange, Message, Outgoing};
use super::names::{MessageId, event_type};
use super::trace::{TraceContext, trace_id};
use crate::saga::effect::{Script, ScriptError};
use crate::saga::event::Recorded;
use crate::saga::state::Saga;

/// Writes what the world is told because of `recorded`, if anything.
///
/// Events carry neither `reply_to` nor `correlation_id`: a library that answers whatever it handles
/// answers nobody.
///
/// # Errors
/// When the script can't write the event's body.
pub fn write(
    script: &dyn Script,
    saga: &Saga,
    recorded: &Recorded,
) -> Result<Option<Outgoing>, ScriptError> {
    let Some(fact) = script.announcement(saga, recorded)? else { return Ok(None) };
    let message_id = MessageId { saga: saga.id, sequence: recorded.sequence };
    let id = message_id.to_string();
    let traceparent = TraceContext::of_message(saga, message_id).to_string();
    let time = rfc3339(recorded.at);
    let body = Envelope {
        specversion: "1.0",
        id: &id,
        source: script.source(),
        kind: fact.name,
        subject: &fact.subject,
        time: &time,
        datacontenttype: "application/json",
        traceparent: Some(&traceparent),
        pattern: fact.name,
        data: Payload {
            command_type: None,
            event_type: Some(event_type(fact.name)),
            data: &fact.data,
            metadata: Metadata {
                source: WRITER,
                trace_id: trace_id(&traceparent),
                timestamp: &time,
                saga_id: saga.id,
                sequence: Some(recorded.sequence),
                causation_id: cause_of(message_id),
                idempotency_key: None,
                attempt: None,
                deadline: None,
            },
        },
    }
    .to_bytes()?;
    Ok(Some(Outgoing {
        exchange: Exchange::Events,
        routing_key: fact.name.to_owned(),
        message: Message {
            id,
            kind: fact.name.to_owned(),
            correlation_id: None,
            reply_to: None,
            traceparent: Some(traceparent),
            body,
            death: None,
        },
    }))
}
