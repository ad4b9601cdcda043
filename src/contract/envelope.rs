//! The common shape of all messages.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::names::MessageId;
use crate::saga::id::{SagaId, Sequence, Timestamp};
use crate::saga::json::Json;
use crate::saga::state::Saga;

/// Who writes the messages, for their readers' logs.
pub const WRITER: &str = "skald";

/// The longest body that is read, in bytes: several times the command for the largest order. It
/// bounds the work that a message from outside can cause.
pub const MAX_BODY: usize = 1024 * 1024;

/// The envelope as it is written.
#[derive(Serialize)]
pub(super) struct Envelope<'a> {
    pub specversion: &'static str,
    pub id: &'a str,
    pub source: &'a str,
    #[serde(rename = "type")]
    pub kind: &'a str,
    pub subject: &'a str,
    pub time: &'a str,
    pub datacontenttype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<&'a str>,
    pub pattern: &'a str,
    pub data: Payload<'a>,
}

/// The typed message of the contract.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    pub data: &'a Json,
    pub metadata: Metadata<'a>,
}

/// What is known about the message.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata<'a> {
    pub source: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<&'a str>,
    pub timestamp: &'a str,
    pub saga_id: SagaId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
    pub causation_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<String>,
}

impl Envelope<'_> {
    pub fn to_bytes(&self) -> Result<Bytes, serde_json::Error> {
        // Most bodies are an order of a few lines; one allocation holds them.
        let mut body = Vec::with_capacity(1024);
        serde_json::to_writer(&mut body, self)?;
        // A command may wait in its queue for long; it should not hold what it does not need.
        Ok(Bytes::copy_from_slice(&body))
    }
}

/// The parts of an envelope that its readers need.
#[derive(Deserialize)]
pub(super) struct EnvelopeIn<'a> {
    #[serde(borrow)]
    pub data: PayloadIn<'a>,
}

/// The parts of a typed message that its readers need.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayloadIn<'a> {
    #[serde(borrow, default)]
    pub command_type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub event_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub data: &'a RawValue,
    #[serde(borrow)]
    pub metadata: MetadataIn<'a>,
}

/// The parts of the metadata that readers need.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MetadataIn<'a> {
    #[serde(borrow, default)]
    pub idempotency_key: Option<Cow<'a, str>>,
}

/// The moment as RFC 3339 in UTC with microseconds.
pub fn rfc3339(at: Timestamp) -> String {
    DateTime::from_timestamp_micros(at.0)
        .unwrap_or(DateTime::UNIX_EPOCH)
        .to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A W3C trace context.
pub(super) struct Trace {
    pub traceparent: String,
}

impl Trace {
    /// The context of a message: the submission's trace and whether it is sampled, or a trace made
    /// of the saga's id, with a span of the message's own.
    pub fn of(saga: &Saga, message: MessageId) -> Self {
        let given = saga.birth.traceparent.as_deref().and_then(parts);
        let own;
        let (trace_id, sampled) = match given {
            Some((trace_id, flags)) => (trace_id, flags & SAMPLED),
            None => {
                own = saga.id.0.as_simple().to_string();
                (own.as_str(), SAMPLED)
            }
        };
        // Odd, because a span id must not be zero; in steps of two, so that each message has its own.
        let span = (saga.id.seed() | 1).wrapping_add(message.sequence.wrapping_mul(2));
        Self { traceparent: format!("00-{trace_id}-{span:016x}-{sampled:02x}") }
    }

    pub fn id(&self) -> Option<&str> {
        trace_id(&self.traceparent)
    }
}

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// The trace id within a `traceparent`; none where it is not one.
pub fn trace_id(traceparent: &str) -> Option<&str> {
    parts(traceparent).map(|(trace_id, _)| trace_id)
}

/// The trace id and the flags of a `traceparent` of version 00.
fn parts(traceparent: &str) -> Option<(&str, u8)> {
    let rest = traceparent.strip_prefix("00-")?;
    let (trace_id, rest) = rest.split_once('-')?;
    let (span, flags) = rest.split_once('-')?;
    let is_id = |id: &str, length| {
        id.len() == length
            && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
            && id.bytes().any(|b| b != b'0')
    };
    let flags = u8::from_str_radix(flags, 16).ok().filter(|_| flags.len() == 2)?;
    (is_id(trace_id, 32) && is_id(span, 16)).then_some((trace_id, flags))
}
