//! Rejected messages on their way to the dead letters.

use std::collections::BTreeSet;

use skald::ports::bus::{Bus, DeadLetters, Exchange, QueueSpec, Settlement};

use super::{command, connect, expect_depth, publish, queue, until};
use crate::rabbitmq::shared;

async fn depth(bus: &dyn Bus, spec: &QueueSpec) -> (u64, u64) {
    let depths = bus.depths().await.unwrap();
    let depth = depths.into_iter().find(|depth| depth.queue == spec.name).unwrap();
    (depth.ready, depth.unsettled)
}

#[tokio::test]
async fn a_rejected_message_stays_with_its_queue_until_its_dead_letter_is_safe() {
    const MESSAGES: u64 = 8;
    let bus = connect(&shared()).await.unwrap();
    let work = QueueSpec { dead_letters: DeadLetters::Kept, ..queue("work") };
    let key = work.name.to_string();
    let small = QueueSpec { max_length: 1, ..queue("grave") };
    let grave = QueueSpec { bindings: vec![(Exchange::Dead, key.clone())], ..small };
    bus.declare(&work).await.unwrap();
    bus.declare(&grave).await.unwrap();
    let mut deliveries = bus.consume(&work.name, 10).await.unwrap();
    for id in 0..MESSAGES {
        assert_eq!(publish(&bus, command(&key, &id.to_string())).await, Settlement::Confirmed);
        deliveries.recv().await.unwrap().reject("no such product");
        until("it is dead, or kept", async || {
            let (dead, kept) = (depth(&bus, &grave).await.0, depth(&bus, &work).await.1);
            dead + kept == id + 1
        })
        .await;
    }
    assert!(depth(&bus, &work).await.1 > 0, "the grave has room for all");
    // Whoever rejected them is gone, and they still find their way.
    drop(deliveries);
    let mut letters = bus.consume(&grave.name, 1).await.unwrap();
    let mut buried = BTreeSet::new();
    while buried.len() < MESSAGES as usize {
        let letter = letters.recv().await.unwrap();
        assert_eq!(letter.message.death.as_ref().unwrap().reason, "rejected: no such product");
        buried.insert(letter.message.id.clone());
        letter.ack();
    }
    expect_depth(&bus, &work, (0, 0)).await;
}

#[tokio::test]
async fn a_rejected_message_waits_for_the_queue_of_dead_letters_where_that_is_missing() {
    let bus = connect(&shared()).await.unwrap();
    let work = QueueSpec { dead_letters: DeadLetters::Kept, ..queue("work") };
    let key = work.name.to_string();
    bus.declare(&work).await.unwrap();
    let mut deliveries = bus.consume(&work.name, 10).await.unwrap();
    assert_eq!(publish(&bus, command(&key, "1")).await, Settlement::Confirmed);
    deliveries.recv().await.unwrap().reject("no such product");
    // What comes later shows that the first one was seen to, and had nowhere to go.
    assert_eq!(publish(&bus, command(&key, "2")).await, Settlement::Confirmed);
    deliveries.recv().await.unwrap().ack();
    expect_depth(&bus, &work, (0, 1)).await;
    let grave = QueueSpec { bindings: vec![(Exchange::Dead, key)], ..queue("grave") };
    bus.declare(&grave).await.unwrap();
    let mut letters = bus.consume(&grave.name, 1).await.unwrap();
    let letter = letters.recv().await.unwrap();
    assert_eq!(letter.message.death.as_ref().unwrap().reason, "rejected: no such product");
    letter.ack();
    expect_depth(&bus, &work, (0, 0)).await;
}
