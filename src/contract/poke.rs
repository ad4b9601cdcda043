//! Pokes: one node tells the owner of a shard, over the shard's reply queue, that an input waits.
//!
//! A poke only saves the owner's next look at the store. One that is lost costs a second.

use uuid::Uuid;

use super::message::{Exchange, Message, Outgoing};
use super::names::reply_queue;

/// What a poke is called.
const KIND: &str = "skald.poke";

/// A poke for the owner of `shard`, whoever that is.
pub fn write(shard: u16) -> Outgoing {
    let message = Message {
        id: Uuid::now_v7().to_string(),
        kind: KIND.to_owned(),
        correlation_id: None,
        reply_to: None,
        traceparent: None,
        body: bytes::Bytes::from_static(b"{}"),
        death: None,
    };
    let routing_key = reply_queue(shard).to_string();
    Outgoing { exchange: Exchange::Default, routing_key, message }
}

/// Whether `message` is a poke.
pub fn is_poke(message: &Message) -> bool {
    message.kind == KIND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_poke_goes_where_the_replies_of_its_shard_go_and_is_none_of_them() {
        let poke = write(7);
        assert_eq!((poke.exchange, &*poke.routing_key), (Exchange::Default, "skald.replies.7"));
        assert!(is_poke(&poke.message));
        assert!(!is_poke(&Message { kind: "inventory.reserved".to_owned(), ..poke.message }));
    }
}
