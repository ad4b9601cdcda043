//! The spans of messages that are going out, until they are confirmed.

use std::collections::HashMap;
use std::sync::Arc;

use crate::contract::message::Outgoing;
use crate::ports::Clock;
use crate::ports::bus::Settlement;
use crate::ports::spans::{Span, Spans, messages};

/// The spans of messages on their way, by their tags. Empty where traces are off; otherwise at most as
/// many as are unconfirmed.
pub struct Sendings {
    spans: Spans,
    clock: Arc<dyn Clock>,
    open: HashMap<u64, Span>,
}

impl Sendings {
    /// Nothing on its way yet.
    pub fn new(spans: Spans, clock: Arc<dyn Clock>) -> Self {
        Self { spans, clock, open: HashMap::new() }
    }

    /// A message goes out under `tag`, as a part of `parent`. One that goes out again is under way
    /// since it first did.
    pub fn begin(&mut self, tag: u64, outgoing: &Outgoing, parent: impl FnOnce() -> u64) {
        let traceparent = outgoing.message.traceparent.as_deref();
        if self.spans.recorded(traceparent).is_none() || self.open.contains_key(&tag) {
            return;
        }
        let (parent, now) = (Some(parent()), self.clock.now());
        if let Some(span) = messages::sending(&self.spans, outgoing, parent, now) {
            self.open.insert(tag, span);
        }
    }

    /// The message under `tag` was settled.
    pub fn settled(&mut self, tag: u64, settlement: Settlement) {
        if self.open.is_empty() || matches!(settlement, Settlement::Rejected | Settlement::Unknown)
        {
            return;
        }
        let Some(span) = self.open.remove(&tag) else { return };
        if let Some(span) = messages::settled(span, settlement, self.clock.now()) {
            self.spans.record(span);
        }
    }
}
