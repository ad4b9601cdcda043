//! Message ids, contract names and queues.

use std::fmt;

use crate::saga::id::{QueueName, SagaId, Sequence};

/// Identifies a message: the saga and the event that it is sent for, so that a re-send has the same
/// id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageId {
    /// The saga.
    pub saga: SagaId,
    /// The event's position in its history.
    pub sequence: Sequence,
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.saga, self.sequence)
    }
}

impl MessageId {
    /// Reads what [`Display`](fmt::Display) wrote. Each id has one spelling, for ids are compared as
    /// texts.
    pub fn parse(text: &str) -> Option<Self> {
        let (saga, sequence) = text.split_once(':')?;
        let id = Self { saga: saga.parse().ok()?, sequence: sequence.parse().ok()? };
        (id.to_string() == text).then_some(id)
    }
}

/// The contract name of an event: `inventory.reserved` is `INVENTORY_RESERVED`.
pub fn event_type(name: &str) -> String {
    name.replace(['.', '-'], "_").to_ascii_uppercase()
}

/// The contract name of a command: `inventory.reserve` is `RESERVE_INVENTORY`.
pub fn command_type(name: &str) -> String {
    match name.split_once('.') {
        Some((service, verb)) => event_type(&format!("{verb}_{service}")),
        None => event_type(name),
    }
}

/// What the queues for answers begin with; the shard's number follows.
const REPLY_QUEUES: &str = "skald.replies.";

/// The queue in which the owner of `shard` finds its answers.
pub fn reply_queue(shard: u16) -> QueueName {
    QueueName::from(format!("{REPLY_QUEUES}{shard}").as_str())
}

/// Whether a queue of this name is for the answers to some shard.
pub fn is_reply_queue(name: &str) -> bool {
    name.strip_prefix(REPLY_QUEUES).is_some_and(|shard| shard.parse::<u16>().is_ok())
}

/// The queue in which dead letters wait for the operator's store.
pub fn dead_letter_queue() -> QueueName {
    "skald.dead-letters".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contract_names_follow_from_routing_keys() {
        assert_eq!(command_type("inventory.reserve"), "RESERVE_INVENTORY");
        assert_eq!(command_type("notification.send"), "SEND_NOTIFICATION");
        assert_eq!(event_type("inventory.reservation_failed"), "INVENTORY_RESERVATION_FAILED");
        assert_eq!(event_type("saga.needs_attention"), "SAGA_NEEDS_ATTENTION");
    }

    #[test]
    fn message_ids_can_be_read_back() {
        let id = MessageId { saga: SagaId(uuid::Uuid::from_u128(7)), sequence: 12 };
        assert_eq!(MessageId::parse(&id.to_string()), Some(id));
        for broken in [
            "",
            "x:1",
            "00000000-0000-0000-0000-000000000007",
            "00000000-0000-0000-0000-000000000007:x",
            "00000000-0000-0000-0000-000000000007:+1",
            "00000000-0000-0000-0000-000000000007:01",
            "00000000000000000000000000000007:1",
            "{00000000-0000-0000-0000-000000000007}:1",
        ] {
            assert_eq!(MessageId::parse(broken), None);
        }
    }
}
