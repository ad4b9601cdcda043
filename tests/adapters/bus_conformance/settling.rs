//! What becomes of deliveries, and what publishers hear of it.

use skald::ports::bus::{Exchange, QueueSpec, Settlement};

use super::stage::{Stage, next, next_ids};

pub async fn an_acknowledged_message_is_confirmed_and_gone(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    let tag = stage.post(&work, "1");
    let mut deliveries = stage.consume(&work, 10).await;
    let delivery = next(&mut deliveries).await;
    stage.expect_unconfirmed(tag);
    delivery.ack();
    stage.expect_confirmed(tag).await;
    stage.expect_depth(&work, 0, 0).await;
    drop(deliveries);
    stage.post(&work, "2");
    assert_eq!(next_ids(&mut stage.consume(&work, 10).await, 1).await, ["2"]);
}

pub async fn a_message_for_two_is_confirmed_when_both_have_it(mut stage: Stage) {
    let topic = stage.name("topic");
    let bindings = vec![(Exchange::Events, topic.clone())];
    let queues =
        ["one", "two"].map(|name| QueueSpec { bindings: bindings.clone(), ..stage.queue(name) });
    for queue in &queues {
        stage.declare(queue).await;
    }
    let tag = stage.publish(Exchange::Events, &topic, "1");
    for queue in &queues {
        stage.expect_unconfirmed(tag);
        next_ids(&mut stage.consume(queue, 10).await, 1).await;
    }
    stage.expect_confirmed(tag).await;
}

pub async fn a_dropped_delivery_comes_again_before_what_waits(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    for id in ["1", "2", "3"] {
        stage.post(&work, id);
    }
    let mut deliveries = stage.consume(&work, 1).await;
    for redeliveries in 0..3 {
        let delivery = next(&mut deliveries).await;
        assert_eq!((delivery.message.id.as_str(), delivery.redeliveries), ("1", redeliveries));
    }
    assert_eq!(next_ids(&mut deliveries, 3).await, ["1", "2", "3"]);
}

pub async fn a_full_queue_rejects_and_loses_nothing(mut stage: Stage) {
    let work = QueueSpec { max_length: 10, ..stage.queue("work") };
    stage.declare(&work).await;
    // More than enough for a broker that notices late that it is full.
    let ids: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let mut tags = Vec::new();
    for id in &ids {
        tags.push(stage.post(&work, id));
        stage.let_it_notice(tags[tags.len() - 1]).await;
    }
    assert_eq!(stage.settlement(tags[59]).await, Settlement::Rejected);
    let mut deliveries = stage.consume(&work, 5).await;
    let got = stage.drain(&work, &mut deliveries).await;
    let mut confirmed = Vec::new();
    for (tag, id) in tags.into_iter().zip(ids) {
        match stage.settlement(tag).await {
            Settlement::Confirmed => confirmed.push(id),
            other => assert_eq!(other, Settlement::Rejected),
        }
    }
    assert_eq!(got, confirmed);
    let tag = stage.post(&work, "there is room again");
    next_ids(&mut deliveries, 1).await;
    stage.expect_confirmed(tag).await;
}

pub async fn a_full_queue_does_not_keep_a_message_from_others(mut stage: Stage) {
    let topic = stage.name("topic");
    let bindings = vec![(Exchange::Events, topic.clone())];
    let small = QueueSpec { max_length: 5, bindings: bindings.clone(), ..stage.queue("small") };
    let large = QueueSpec { bindings, ..stage.queue("large") };
    stage.declare(&small).await;
    stage.declare(&large).await;
    let ids: Vec<String> = (0..30).map(|n| n.to_string()).collect();
    let mut tag = 0;
    for id in &ids {
        tag = stage.publish(Exchange::Events, &topic, id);
        stage.let_it_notice(tag).await;
    }
    assert_eq!(stage.settlement(tag).await, Settlement::Rejected);
    let mut deliveries = stage.consume(&large, 100).await;
    assert_eq!(next_ids(&mut deliveries, 30).await, ids);
}
