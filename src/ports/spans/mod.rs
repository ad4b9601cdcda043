//! Spans: what took how long within a trace.
//!
//! A span is told once it is over, in one piece. Nothing waits for it and nothing depends on it: it may
//! be lost. What messages look like is in [`messages`].

pub mod messages;

use std::fmt;
use std::sync::Arc;

use crate::contract::trace::TraceContext;
use crate::saga::id::Timestamp;

/// Something that took time.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Its trace and its own id.
    pub context: TraceContext,
    /// The span that it is a part of; none for the first one of a trace.
    pub parent: Option<u64>,
    /// What it is called: few different names, never an id.
    pub name: String,
    /// Its side of a conversation.
    pub kind: SpanKind,
    /// When it began.
    pub from: Timestamp,
    /// When it was over.
    pub to: Timestamp,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// How it went wrong, as a word; none where it did not.
    pub error: Option<&'static str>,
}

/// A span's side of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Neither.
    Internal,
    /// Answers a request.
    Server,
    /// Sends a message.
    Producer,
    /// Processes a message.
    Consumer,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
}

impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Attribute {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

/// Takes spans. Neither blocks nor fails: what it has no room for it drops.
pub trait SpanSink: Send + Sync {
    /// Takes a span of a trace that is recorded.
    fn record(&self, span: Span);

    /// Whether a trace that begins here is recorded.
    fn samples(&self, trace: u128) -> bool;
}

/// Where spans go; nowhere where traces are switched off.
#[derive(Clone, Default)]
pub struct Spans {
    sink: Option<Arc<dyn SpanSink>>,
    messaging_system: &'static str,
}

impl Spans {
    /// Spans that go to `sink`. Messages go through the `messaging_system`.
    pub fn to(sink: Arc<dyn SpanSink>, messaging_system: &'static str) -> Self {
        Self { sink: Some(sink), messaging_system }
    }

    /// Whether anybody records spans.
    pub fn are_on(&self) -> bool {
        self.sink.is_some()
    }

    /// The context that a `traceparent` names, where spans of its trace are recorded.
    pub fn recorded(&self, traceparent: Option<&str>) -> Option<TraceContext> {
        self.sink.as_ref()?;
        TraceContext::parse(traceparent?).filter(|context| context.sampled)
    }

    /// The first span of a new trace; none where traces are off.
    pub fn begin(&self) -> Option<TraceContext> {
        let sink = self.sink.as_ref()?;
        let trace = fastrand::u128(1..);
        Some(TraceContext { trace, span: new_span(), sampled: sink.samples(trace) })
    }

    /// Records a span, unless its trace is not recorded.
    pub fn record(&self, span: Span) {
        if let Some(sink) = self.sink.as_ref().filter(|_| span.context.sampled) {
            sink.record(span);
        }
    }
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_on() { "Spans(on)" } else { "Spans(off)" })
    }
}

/// The id of a span that nobody else need know.
pub fn new_span() -> u64 {
    fastrand::u64(1..)
}
