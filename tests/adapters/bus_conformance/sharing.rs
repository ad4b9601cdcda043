//! Consumers of one queue.

use futures_util::FutureExt;
use skald::ports::bus::Delivery;
use tokio::task::yield_now;

use super::stage::{Stage, next, next_ids};

pub async fn messages_arrive_in_the_order_they_were_published(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    let ids: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let mut deliveries = stage.consume(&work, 7).await;
    for id in &ids {
        stage.post(&work, id);
    }
    assert_eq!(next_ids(&mut deliveries, ids.len()).await, ids);
}

pub async fn no_consumer_holds_more_than_its_prefetch(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    for n in 0..20 {
        stage.post(&work, &n.to_string());
    }
    let mut deliveries = stage.consume(&work, 3).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(next(&mut deliveries).await);
    }
    stage.expect_depth(&work, 17, 3).await;
    assert!(deliveries.recv().now_or_never().is_none(), "a fourth delivery");
    held.remove(0).ack();
    held.push(next(&mut deliveries).await);
    stage.expect_depth(&work, 16, 3).await;
}

pub async fn settling_wakes_a_consumer_whose_prefetch_was_used_up(mut stage: Stage) {
    type Settle = fn(Delivery);
    let kinds: [(&str, Settle, &str); 3] = [
        ("ack", Delivery::ack, "2"),
        ("drop", drop, "1"),
        ("reject", |delivery| delivery.reject("bad luck"), "2"),
    ];
    for (kind, settle, expected) in kinds {
        let work = stage.queue(kind);
        stage.declare(&work).await;
        stage.post(&work, "1");
        stage.post(&work, "2");
        let mut deliveries = stage.consume(&work, 1).await;
        let first = next(&mut deliveries).await;
        let waiting = tokio::spawn(async move { next_ids(&mut deliveries, 1).await });
        yield_now().await;
        settle(first);
        assert_eq!(waiting.await.unwrap(), [expected], "{kind}");
    }
}

pub async fn idle_consumers_take_turns(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    let mut first = stage.consume(&work, 100).await;
    let mut second = stage.consume(&work, 100).await;
    for n in 0..20 {
        stage.post(&work, &n.to_string());
    }
    next_ids(&mut first, 10).await;
    next_ids(&mut second, 10).await;
}

pub async fn a_cancelled_consumer_leaves_its_messages_to_others(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    let ids: Vec<String> = (0..6).map(|n| n.to_string()).collect();
    for id in &ids {
        stage.post(&work, id);
    }
    let mut leaving = stage.consume(&work, 4).await;
    let in_hand = [next(&mut leaving).await, next(&mut leaving).await];
    let mut staying = stage.consume(&work, 10).await;
    let staying = tokio::spawn(async move { next_ids(&mut staying, 6).await });
    yield_now().await;
    drop(leaving);
    drop(in_hand);
    let mut got = staying.await.unwrap();
    got.sort();
    assert_eq!(got, ids);
    stage.expect_depth(&work, 0, 0).await;
}

pub async fn the_highest_priority_gets_everything_that_it_has_room_for(mut stage: Stage) {
    let work = stage.queue("work");
    stage.declare(&work).await;
    let mut before = stage.bus.consume_before_others(&work.name, 100, 7).await.unwrap();
    let mut after = stage.bus.consume_before_others(&work.name, 3, 1 << 40).await.unwrap();
    for n in 0..3 {
        stage.post(&work, &n.to_string());
    }
    let in_hand = [next(&mut after).await, next(&mut after).await, next(&mut after).await];
    for n in 3..6 {
        stage.post(&work, &n.to_string());
    }
    assert_eq!(next_ids(&mut before, 3).await, ["3", "4", "5"]);
    drop(in_hand);
}
