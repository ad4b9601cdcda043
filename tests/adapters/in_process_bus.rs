//! What the embedded bus does beyond the conformance suite.

use std::sync::Arc;

use bytes::Bytes;
use skald::bus::in_process::InProcessBus;
use skald::ports::bus::{
    Bus, DeadLetters, Exchange, Lifetime, Message, Outgoing, QueueSpec, Receipt, Settlement,
};
use tokio::sync::mpsc;

fn queue(name: &str, bindings: &[(Exchange, &str)], max_length: usize) -> QueueSpec {
    QueueSpec {
        name: name.into(),
        bindings: bindings.iter().map(|(from, pattern)| (*from, pattern.to_string())).collect(),
        max_length,
        delivery_limit: 3,
        dead_letters: DeadLetters::Kept,
        lifetime: Lifetime::Lasting,
    }
}

fn outgoing(key: &str) -> Outgoing {
    let message = Message {
        id: "1".to_owned(),
        kind: key.to_owned(),
        correlation_id: None,
        reply_to: None,
        traceparent: None,
        body: Bytes::new(),
        death: None,
    };
    Outgoing { exchange: Exchange::Commands, routing_key: key.to_owned(), message }
}

#[tokio::test]
async fn when_the_bus_ends_its_open_receipts_are_unknown() {
    let bus = InProcessBus::default();
    bus.declare(&queue("work", &[(Exchange::Commands, "a")], 10)).await.unwrap();
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    bus.publish(outgoing("a"), Receipt::new(outlet, 1));
    assert!(settlements.try_recv().is_err());
    drop(bus);
    assert_eq!(settlements.try_recv(), Ok((1, Settlement::Unknown)));
}

#[tokio::test]
async fn a_dead_letter_that_finds_its_queue_full_is_the_publishers_again() {
    let bus = Arc::new(InProcessBus::default());
    bus.declare(&queue("work", &[(Exchange::Commands, "a")], 10)).await.unwrap();
    bus.declare(&queue("grave", &[(Exchange::Dead, "#")], 0)).await.unwrap();
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    bus.publish(outgoing("a"), Receipt::new(outlet, 1));
    let mut deliveries = bus.consume(&"work".into(), 1).await.unwrap();
    deliveries.recv().await.unwrap().reject("not a command");
    assert_eq!(settlements.try_recv(), Ok((1, Settlement::Rejected)));
}

#[tokio::test]
async fn what_is_out_takes_up_room_in_the_queue() {
    let bus = InProcessBus::default();
    bus.declare(&queue("work", &[(Exchange::Commands, "a")], 2)).await.unwrap();
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    let mut deliveries = bus.consume(&"work".into(), 1).await.unwrap();
    for tag in 1..=3 {
        bus.publish(outgoing("a"), Receipt::new(outlet.clone(), tag));
    }
    assert_eq!(settlements.try_recv(), Ok((3, Settlement::Rejected)));
    deliveries.recv().await.unwrap().ack();
    assert_eq!(settlements.try_recv(), Ok((1, Settlement::Confirmed)));
    bus.publish(outgoing("a"), Receipt::new(outlet, 4));
    assert!(settlements.try_recv().is_err(), "there was room");
}
