//! Dead letters.

use std::sync::Arc;

use skald::ports::bus::{DeadLetters, Death, Deliveries, Exchange, Lifetime, Message, QueueSpec};

use super::stage::{Stage, message, next, next_ids};

/// A queue whose dead letters are kept, its key, and the queue that keeps them.
async fn work_and_grave(stage: &Stage) -> (QueueSpec, String, Deliveries) {
    let key = stage.name("key");
    let work = QueueSpec {
        bindings: vec![(Exchange::Commands, key.clone())],
        delivery_limit: 2,
        dead_letters: DeadLetters::Kept,
        lifetime: Lifetime::Lasting,
        ..stage.queue("work")
    };
    let grave = QueueSpec { bindings: vec![(Exchange::Dead, key.clone())], ..stage.queue("grave") };
    stage.declare(&work).await;
    stage.declare(&grave).await;
    let dead = stage.consume(&grave, 10).await;
    (work, key, dead)
}

fn dead(message: Message, queue: &QueueSpec, key: &str, reason: &str) -> Arc<Message> {
    let death = Death {
        queue: queue.name.to_string(),
        routing_key: key.to_owned(),
        reason: reason.to_owned(),
    };
    Arc::new(Message { death: Some(death), ..message })
}

pub async fn a_rejected_message_becomes_a_dead_letter_with_its_reason(mut stage: Stage) {
    let (work, key, mut graves) = work_and_grave(&stage).await;
    let poison = Message { reply_to: Some("somebody".to_owned()), ..message("1") };
    let tag = stage.send(Exchange::Commands, &key, poison.clone());
    next(&mut stage.consume(&work, 10).await).await.reject("not a command");
    let letter = next(&mut graves).await;
    assert_eq!(letter.message, dead(poison, &work, &key, "rejected: not a command"));
    stage.expect_unconfirmed(tag);
    letter.ack();
    stage.expect_confirmed(tag).await;
    stage.expect_depth(&work, 0, 0).await;
}

pub async fn a_message_that_keeps_coming_back_becomes_a_dead_letter(mut stage: Stage) {
    let (work, key, mut graves) = work_and_grave(&stage).await;
    let tag = stage.publish(Exchange::Commands, &key, "1");
    stage.publish(Exchange::Commands, &key, "2");
    let mut deliveries = stage.consume(&work, 1).await;
    for redeliveries in 0..=2 {
        let delivery = next(&mut deliveries).await;
        assert_eq!((delivery.message.id.as_str(), delivery.redeliveries), ("1", redeliveries));
    }
    let letter = next(&mut graves).await;
    assert_eq!(letter.message, dead(message("1"), &work, &key, "delivery_limit"));
    letter.ack();
    stage.expect_confirmed(tag).await;
    assert_eq!(next_ids(&mut deliveries, 1).await, ["2"]);
}

pub async fn dead_letters_that_nobody_keeps_are_dropped(mut stage: Stage) {
    let dropped = QueueSpec { dead_letters: DeadLetters::Dropped, ..stage.queue("dropped") };
    let bindings = vec![(Exchange::Dead, dropped.name.to_string())];
    let grave = QueueSpec { bindings, ..stage.queue("grave") };
    stage.declare(&grave).await;
    stage.declare(&dropped).await;
    let tag = stage.post(&dropped, "1");
    let mut deliveries = stage.consume(&dropped, 10).await;
    next(&mut deliveries).await.reject("not a command");
    stage.expect_confirmed(tag).await;
    stage.expect_depth(&dropped, 0, 0).await;
    stage.expect_depth(&grave, 0, 0).await;
}
