//! The way of a message to queues.

use bytes::Bytes;
use skald::ports::bus::{Exchange, Message, QueueSpec, Settlement};

use super::stage::{Stage, message, next, next_ids};

pub async fn a_message_reaches_every_queue_bound_for_it_once(mut stage: Stage) {
    let topic = stage.name("topic");
    let bound_to = |patterns: &[&str]| {
        let pattern = |words: &&str| (Exchange::Commands, format!("{topic}.{words}"));
        patterns.iter().map(pattern).collect::<Vec<_>>()
    };
    let twice = QueueSpec { bindings: bound_to(&["a.*", "#"]), ..stage.queue("twice") };
    let once = QueueSpec { bindings: bound_to(&["a.b"]), ..stage.queue("once") };
    let never = QueueSpec { bindings: bound_to(&["b.*"]), ..stage.queue("never") };
    for spec in [&twice, &once, &never] {
        stage.declare(spec).await;
    }
    stage.publish(Exchange::Commands, &format!("{topic}.a.b"), "message");
    for (spec, expected) in
        [(&twice, &["message", "end"][..]), (&once, &["message", "end"]), (&never, &["end"])]
    {
        stage.post(spec, "end");
        let mut deliveries = stage.consume(spec, 10).await;
        assert_eq!(next_ids(&mut deliveries, expected.len()).await, expected);
    }
}

pub async fn patterns_select_by_words(mut stage: Stage) {
    let topic = stage.name("topic");
    let keys = ["order", "order.created", "order.created.late", "order.cancelled", "mail.created"];
    for (pattern, expected) in [
        ("order.*", &["order.created", "order.cancelled"][..]),
        ("order.#", &["order", "order.created", "order.created.late", "order.cancelled"]),
        ("*.created", &["order.created", "mail.created"]),
        ("#.created.#", &["order.created", "order.created.late", "mail.created"]),
        ("order.created", &["order.created"]),
    ] {
        let bindings = vec![(Exchange::Events, format!("{topic}.{pattern}"))];
        let spec = QueueSpec { bindings, ..stage.queue(&format!("by {pattern}")) };
        stage.declare(&spec).await;
        for key in keys {
            stage.publish(Exchange::Events, &format!("{topic}.{key}"), key);
        }
        stage.post(&spec, "end");
        let mut deliveries = stage.consume(&spec, 10).await;
        let got = next_ids(&mut deliveries, expected.len() + 1).await;
        assert_eq!(got, [expected, &["end"]].concat(), "{pattern}");
    }
}

pub async fn the_default_exchange_reaches_the_named_queue(mut stage: Stage) {
    let (mine, other) = (stage.queue("mine"), stage.queue("other"));
    stage.declare(&mine).await;
    stage.declare(&other).await;
    stage.publish(Exchange::Default, mine.name.as_str(), "1");
    stage.publish(Exchange::Default, other.name.as_str(), "2");
    assert_eq!(next_ids(&mut stage.consume(&mine, 10).await, 1).await, ["1"]);
    assert_eq!(next_ids(&mut stage.consume(&other, 10).await, 1).await, ["2"]);
}

pub async fn what_reaches_no_queue_is_unroutable(mut stage: Stage) {
    let key = stage.name("nowhere");
    for exchange in [Exchange::Commands, Exchange::Default] {
        let tag = stage.publish(exchange, &key, "1");
        assert_eq!(stage.settlement(tag).await, Settlement::Unroutable);
    }
}

pub async fn an_event_that_nobody_bound_is_confirmed(mut stage: Stage) {
    let key = stage.name("nowhere");
    let tag = stage.publish(Exchange::Events, &key, "1");
    stage.expect_confirmed(tag).await;
}

pub async fn a_message_arrives_as_it_was_sent(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    let bare = message("bare");
    let full = Message {
        id: "an id:1".to_owned(),
        kind: "inventory.reserve".to_owned(),
        correlation_id: Some("correlation:1".to_owned()),
        reply_to: Some("skald.replies.0".to_owned()),
        traceparent: Some(format!("00-{}-{}-01", "a".repeat(32), "b".repeat(16))),
        body: Bytes::from("{\"text\":\"ä\u{1F4E6}\"}"),
        death: None,
    };
    let mut deliveries = stage.consume(&work, 10).await;
    for message in [bare, full] {
        stage.send(Exchange::Default, work.name.as_str(), message.clone());
        let delivery = next(&mut deliveries).await;
        assert_eq!((&*delivery.message, delivery.redeliveries), (&message, 0));
        delivery.ack();
    }
}
