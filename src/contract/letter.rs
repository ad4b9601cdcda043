//! Dead letters: what is kept of a message, and how it is sent again as the same message.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::message::{Exchange, Message, Outgoing};
use super::names::{MessageId, is_reply_queue};
use crate::saga::id::{CommandName, SagaId};

/// A message's properties, as they are kept with its dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Properties {
    /// Its id.
    pub message_id: String,
    /// What it is called.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id of the command that it answers, or for a command its own.
    pub correlation_id: Option<String>,
    /// The queue that wants the answer.
    pub reply_to: Option<String>,
    /// The W3C trace that it belongs to.
    pub traceparent: Option<String>,
}

/// Why a dead letter can't be sent again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotSendable {
    /// It is neither a command nor a reply.
    #[error(
        "it died in the queue {queue:?} under the key {routing_key:?}, so it is neither a command nor a reply of Skald's: \
         have its sender send it again, then discard the letter"
    )]
    NotOurs {
        /// The queue it died in.
        queue: String,
        /// Its routing key there.
        routing_key: String,
    },
    /// What was kept of it makes no sense.
    #[error("its properties can't be read: {0}")]
    Unreadable(String),
}

impl Properties {
    /// The properties of a message.
    pub fn of(message: &Message) -> Self {
        Self {
            message_id: message.id.clone(),
            kind: message.kind.clone(),
            correlation_id: message.correlation_id.clone(),
            reply_to: message.reply_to.clone(),
            traceparent: message.traceparent.clone(),
        }
    }

    /// The saga that it is about: that of the command that it is or answers. Nobody has checked that
    /// there is such a saga.
    pub fn saga(&self) -> Option<SagaId> {
        let ids = [self.correlation_id.as_deref(), Some(&self.message_id)];
        ids.into_iter().flatten().find_map(MessageId::parse).map(|id| id.saga)
    }
}

/// The message that died in `queue` under `routing_key`, on its way to where it belonged: a command
/// to its exchange, a reply to the queue of its shard. `properties` is the JSON of [`Properties`].
///
/// # Errors
/// When it is neither, or its properties can't be read.
pub fn send_again(
    queue: &str,
    routing_key: &str,
    properties: &str,
    body: &[u8],
) -> Result<Outgoing, NotSendable> {
    let (exchange, routing_key) = if is_reply_queue(queue) {
        (Exchange::Default, queue)
    } else if CommandName::from(routing_key).queue().as_str() == queue {
        (Exchange::Commands, routing_key)
    } else {
        let (queue, routing_key) = (queue.to_owned(), routing_key.to_owned());
        return Err(NotSendable::NotOurs { queue, routing_key });
    };
    let properties: Properties = serde_json::from_str(properties)
        .map_err(|error| NotSendable::Unreadable(error.to_string()))?;
    let message = Message {
        id: properties.message_id,
        kind: properties.kind,
        correlation_id: properties.correlation_id,
        reply_to: properties.reply_to,
        traceparent: properties.traceparent,
        body: Bytes::copy_from_slice(body),
        death: None,
    };
    Ok(Outgoing { exchange, routing_key: routing_key.to_owned(), message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::message::Death;

    const SAGA: &str = "01a201cb-d7b5-7040-82df-8b2c20a2b2c1";

    fn command() -> Message {
        Message {
            id: format!("{SAGA}:2"),
            kind: "inventory.reserve".to_owned(),
            correlation_id: Some(format!("{SAGA}:2")),
            reply_to: Some("skald.replies.7".to_owned()),
            traceparent: Some("00-1-2-01".to_owned()),
            body: Bytes::from_static(b"{\"a\": 1}"),
            death: None,
        }
    }

    fn kept(message: &Message) -> String {
        serde_json::to_string(&Properties::of(message)).unwrap()
    }

    #[test]
    fn a_command_goes_to_its_exchange_as_the_message_that_it_was() {
        let death = Death {
            queue: "inventory.commands".into(),
            routing_key: "inventory.reserve".into(),
            reason: "rejected".into(),
        };
        let dead = Message { death: Some(death), ..command() };
        let again = send_again("inventory.commands", "inventory.reserve", &kept(&dead), &dead.body)
            .unwrap();
        assert_eq!(
            (again.exchange, &*again.routing_key),
            (Exchange::Commands, "inventory.reserve")
        );
        assert_eq!(again.message, command());
    }

    #[test]
    fn a_reply_goes_straight_to_the_queue_it_came_from() {
        let reply = Message { kind: "inventory.reserved".into(), reply_to: None, ..command() };
        let again = send_again("skald.replies.7", "inventory.reserved", &kept(&reply), &reply.body)
            .unwrap();
        assert_eq!((again.exchange, &*again.routing_key), (Exchange::Default, "skald.replies.7"));
        assert_eq!(again.message, reply);
    }

    #[test]
    fn what_is_neither_is_not_sent_anywhere() {
        let kept = kept(&command());
        for (queue, key) in [
            ("", "inventory.reserve"),
            ("shop.events", "order.created"),
            ("shop.commands", "inventory.reserve"),
            ("skald.replies.", "inventory.reserved"),
            ("skald.replies.x", "inventory.reserved"),
            ("skald.dead-letters", "inventory.reserve"),
        ] {
            let refused = send_again(queue, key, &kept, b"{}").unwrap_err();
            assert!(matches!(refused, NotSendable::NotOurs { .. }), "{queue}: {refused}");
        }
        let refused = send_again("inventory.commands", "inventory.reserve", "{}", b"").unwrap_err();
        assert!(matches!(refused, NotSendable::Unreadable(_)), "{refused}");
    }

    #[test]
    fn a_letter_is_about_the_saga_of_its_command() {
        let saga = Some(SAGA.parse().unwrap());
        let of = |id: &str, correlation_id: Option<&str>| {
            let correlation_id = correlation_id.map(str::to_owned);
            Properties::of(&Message { id: id.to_owned(), correlation_id, ..command() }).saga()
        };
        assert_eq!(of(&format!("{SAGA}:2"), None), saga);
        assert_eq!(of("anything", Some(&format!("{SAGA}:2"))), saga);
        assert_eq!(of("anything", Some("nonsense")), None);
    }
}
