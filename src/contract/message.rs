//! Messages and where they go.

use bytes::Bytes;

/// An exchange, which routes a message to queues by its routing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exchange {
    /// Commands to workers; topic.
    Commands,
    /// Domain events for whoever binds; topic.
    Events,
    /// What could not be processed; topic.
    Dead,
    /// Straight to the queue that the routing key names.
    Default,
}

impl Exchange {
    /// Its name on the broker.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Commands => "skald.commands",
            Self::Events => "order-events",
            Self::Dead => "skald.dead",
            Self::Default => "",
        }
    }
}

/// A message. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id; a re-send has the same.
    pub id: String,
    /// What it is, e.g. `inventory.reserve`; also the routing key of commands and events.
    pub kind: String,
    /// The id of the command that it answers, or for a command its own.
    pub correlation_id: Option<String>,
    /// The queue that wants the answer.
    pub reply_to: Option<String>,
    /// The W3C trace that it belongs to.
    pub traceparent: Option<String>,
    /// The JSON envelope.
    pub body: Bytes,
    /// How it died, on messages that come from a dead-letter queue.
    pub death: Option<Death>,
}

#[cfg(test)]
impl Message {
    /// A message of which nothing matters but its id.
    pub fn example(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            kind: "test".to_owned(),
            correlation_id: None,
            reply_to: None,
            traceparent: None,
            body: Bytes::new(),
            death: None,
        }
    }
}

/// How a message died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    /// The queue it died in.
    pub queue: String,
    /// Its routing key there.
    pub routing_key: String,
    /// `rejected: …` with the consumer's reason, or `delivery_limit`.
    pub reason: String,
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Where it goes.
    pub exchange: Exchange,
    /// By which key it is routed.
    pub routing_key: String,
    /// The message.
    pub message: Message,
}
