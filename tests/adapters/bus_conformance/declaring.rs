//! Queues and how they are doing.

use skald::ports::bus::{BusError, DeadLetters, Exchange, QueueSpec};

use super::stage::{Stage, next, next_ids};

pub async fn a_queue_may_be_declared_again_and_gains_bindings(mut stage: Stage) {
    let topic = stage.name("topic");
    let bound_to = |word: &str| (Exchange::Events, format!("{topic}.{word}"));
    let first = QueueSpec { bindings: vec![bound_to("a")], ..stage.queue("work") };
    let again = QueueSpec { bindings: vec![bound_to("b")], ..first.clone() };
    for spec in [&first, &first, &again] {
        stage.declare(spec).await;
    }
    stage.publish(Exchange::Events, &format!("{topic}.a"), "1");
    stage.publish(Exchange::Events, &format!("{topic}.b"), "2");
    let mut deliveries = stage.consume(&first, 10).await;
    assert_eq!(next_ids(&mut deliveries, 2).await, ["1", "2"]);
}

pub async fn a_queue_with_other_properties_is_a_mismatch(mut stage: Stage) {
    let first = stage.queue("work");
    stage.declare(&first).await;
    for other in [
        QueueSpec { max_length: 7, ..first.clone() },
        QueueSpec { delivery_limit: 7, ..first.clone() },
        QueueSpec { dead_letters: DeadLetters::Kept, ..first.clone() },
    ] {
        let refused = stage.bus.declare(&other).await.unwrap_err();
        assert!(matches!(&refused, BusError::Mismatch { queue, .. } if *queue == first.name));
    }
    stage.post(&first, "1");
    assert_eq!(next_ids(&mut stage.consume(&first, 10).await, 1).await, ["1"]);
}

pub async fn an_undeclared_queue_cannot_be_consumed(stage: Stage) {
    let spec = stage.queue("nowhere");
    let refused = stage.bus.consume(&spec.name, 10).await.err();
    assert_eq!(refused, Some(BusError::NoSuchQueue(spec.name)));
}

pub async fn depths_tell_what_waits_and_what_is_out(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    stage.expect_depth(&work, 0, 0).await;
    for id in ["1", "2", "3"] {
        stage.post(&work, id);
    }
    stage.expect_depth(&work, 3, 0).await;
    let mut deliveries = stage.consume(&work, 1).await;
    let first = next(&mut deliveries).await;
    stage.expect_depth(&work, 2, 1).await;
    first.ack();
    next_ids(&mut deliveries, 2).await;
    stage.expect_depth(&work, 0, 0).await;
}
