//! The common shape of all messages.

use std::borrow::Cow;

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::saga::id::{SagaId, Sequence, Timestamp};
use crate::saga::json::Json;

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
