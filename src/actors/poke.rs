//! Pokes: one node tells the owner of a shard, over the shard's reply queue, that an input waits.
//!
//! A poke only saves the owner's next look at the store. One that is lost costs a second.

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::contract::message::{Exchange, Message, Outgoing};
use crate::contract::names::reply_queue;
use crate::ports::bus::{Bus, Receipt};
use crate::ports::ledger::Shard;

/// What a poke is called.
const KIND: &str = "skald.poke";

/// Pokes the owner of `shard`, whoever that is.
pub(super) fn send(bus: &dyn Bus, shard: Shard) {
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
    // Nobody wants to know what became of it.
    let (nobody, _) = mpsc::unbounded_channel();
    bus.publish(
        Outgoing { exchange: Exchange::Default, routing_key, message },
        Receipt::new(nobody, 0),
    );
}

/// Whether `message` is a poke.
pub(super) fn is_poke(message: &Message) -> bool {
    message.kind == KIND
}
