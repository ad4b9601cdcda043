//! A broker in trouble, each test with its own.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use skald::ports::bus::{Bus, Exchange, Outgoing, QueueSpec, Settlement};

use super::{
    command, connect, consume_until, expect_depth, publish, publish_until_confirmed, queue, until,
};
use crate::proxy::{Proxy, Wire, address_of};
use crate::rabbitmq::Broker;

#[tokio::test]
async fn a_killed_broker_loses_nothing_that_was_confirmed() {
    const MESSAGES: u64 = 3_000;
    let mut broker = Broker::start();
    let bus: Arc<dyn Bus> = Arc::new(connect(&broker.url()).await.unwrap());
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    broker.write_down_names();
    let confirmed = Arc::new(Mutex::new(BTreeSet::new()));
    let told = Arc::clone(&confirmed);
    let publishing = tokio::spawn(publish_until_confirmed(
        Arc::clone(&bus),
        work.name.to_string(),
        0..MESSAGES,
        move |id| assert!(told.lock().unwrap().insert(id), "{id} was confirmed twice"),
    ));
    let consuming = tokio::spawn(consume_until(bus.clone(), work.clone(), MESSAGES as usize));
    for share in [4, 2] {
        until("some messages are confirmed", async || {
            confirmed.lock().unwrap().len() as u64 > MESSAGES / share
        })
        .await;
        broker.kill();
        until("the outage is noticed", async || bus.health().is_err()).await;
        assert!(bus.consume(&work.name, 1).await.is_err());
        broker.boot();
    }
    publishing.await.unwrap();
    let seen = consuming.await.unwrap();
    assert_eq!(seen.len() as u64, MESSAGES);
    assert_eq!(bus.health(), Ok(()));
    // What was sent twice may still be there.
    let mut deliveries = bus.consume(&work.name, 1_000).await.unwrap();
    until("the queue is empty", async || {
        let rest = tokio::time::timeout(super::GLANCE, deliveries.recv()).await;
        if let Ok(Some(delivery)) = rest {
            assert!(seen.contains_key(&delivery.message.id));
            delivery.ack();
        }
        let depths = bus.depths().await.unwrap_or_default();
        depths.iter().any(|depth| (depth.ready, depth.unsettled) == (0, 0))
    })
    .await;
}

#[tokio::test]
async fn a_broker_that_lost_everything_gets_its_queues_again() {
    let broker = Broker::start();
    let bus = connect(&broker.url()).await.unwrap();
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    let mut deliveries = bus.consume(&work.name, 1).await.unwrap();
    broker.ctl(&["stop_app"]);
    broker.ctl(&["reset"]);
    broker.ctl(&["start_app"]);
    assert!(deliveries.recv().await.is_none());
    until("the connections are back", async || bus.health().is_ok()).await;
    assert_eq!(publish(&bus, command(work.name.as_str(), "1")).await, Settlement::Confirmed);
    let mut deliveries = bus.consume(&work.name, 1).await.unwrap();
    assert_eq!(deliveries.recv().await.unwrap().message.id, "1");
}

#[tokio::test]
async fn a_deleted_queue_ends_its_consumer_and_comes_back_with_the_next() {
    let broker = Broker::start();
    let bus = connect(&broker.url()).await.unwrap();
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    let mut deliveries = bus.consume(&work.name, 1).await.unwrap();
    broker.ctl(&["delete_queue", work.name.as_str()]);
    assert!(deliveries.recv().await.is_none());
    assert_eq!(publish(&bus, command(work.name.as_str(), "1")).await, Settlement::Unroutable);
    let mut deliveries = bus.consume(&work.name, 1).await.unwrap();
    assert_eq!(publish(&bus, command(work.name.as_str(), "2")).await, Settlement::Confirmed);
    assert_eq!(deliveries.recv().await.unwrap().message.id, "2");
}

#[tokio::test]
async fn a_deleted_exchange_comes_back() {
    let broker = Broker::start();
    let bus = connect(&broker.url()).await.unwrap();
    let event = || Outgoing { exchange: Exchange::Events, ..command("order.created", "1") };
    assert_eq!(publish(&bus, event()).await, Settlement::Confirmed);
    broker.ctl(&[
        "eval",
        r#"rabbit_exchange:delete(rabbit_misc:r(<<"/">>, exchange, <<"order-events">>), false, <<"test">>)."#,
    ]);
    assert_eq!(publish(&bus, event()).await, Settlement::Unknown);
    assert_eq!(publish(&bus, event()).await, Settlement::Confirmed);
}

#[tokio::test]
async fn connections_that_the_broker_closes_are_made_anew() {
    let broker = Broker::start();
    let bus: Arc<dyn Bus> = Arc::new(connect(&broker.url()).await.unwrap());
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    let consuming = tokio::spawn(consume_until(bus.clone(), work.clone(), 10));
    for round in 0..3 {
        broker.ctl(&["close_all_connections", "maintenance"]);
        until("the outage is noticed", async || bus.health().is_err()).await;
        let ids = round * 3..round * 3 + 4;
        publish_until_confirmed(bus.clone(), work.name.to_string(), ids, |_| {}).await;
    }
    consuming.await.unwrap();
}

/// As a broker does over a channel whose first message to a queue found no leader.
#[tokio::test]
async fn a_connection_over_which_everything_is_refused_is_made_anew() {
    let broker = Broker::start();
    let proxy = Proxy::to(address_of(&broker.url()), Wire::Amqp);
    let bus = connect(&proxy.url(&broker.url())).await.unwrap();
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    let key = work.name.as_str();
    assert_eq!(publish(&bus, command(key, "1")).await, Settlement::Confirmed);
    proxy.refuse_over_what_is_open();
    assert_eq!(publish(&bus, command(key, "2")).await, Settlement::Rejected);
    until("it is taken over another connection", async || {
        publish(&bus, command(key, "2")).await == Settlement::Confirmed
    })
    .await;
}

#[tokio::test]
async fn under_a_memory_alarm_nothing_hangs_and_all_goes_on_after_it() {
    let broker = Broker::start();
    let bus = connect(&broker.url()).await.unwrap();
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    let key = work.name.as_str();
    for id in ["1", "2", "3"] {
        assert_eq!(publish(&bus, command(key, id)).await, Settlement::Confirmed);
    }
    let mut deliveries = bus.consume(&work.name, 2).await.unwrap();
    let first = deliveries.recv().await.unwrap();
    broker.ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    assert_eq!(publish(&bus, command(key, "4")).await, Settlement::Unknown);
    let trouble = bus.health().unwrap_err().to_string();
    assert!(trouble.contains("memory"), "{trouble}");
    // Nothing more is sent meanwhile, and it is not forgotten that somebody waits.
    assert_eq!(publish(&bus, command(key, "5")).await, Settlement::Unknown);
    // The other connection does all it does.
    first.ack();
    for id in ["2", "3"] {
        let delivery = deliveries.recv().await.unwrap();
        assert_eq!(delivery.message.id, id);
        delivery.ack();
    }
    expect_depth(&bus, &work, (0, 0)).await;
    let another = QueueSpec { bindings: Vec::new(), ..queue("another") };
    bus.declare(&another).await.unwrap();
    broker.ctl(&["set_vm_memory_high_watermark", "0.4"]);
    until("the broker takes messages again", async || bus.health().is_ok()).await;
    assert_eq!(publish(&bus, command(key, "6")).await, Settlement::Confirmed);
    let came = deliveries.recv().await.unwrap();
    assert_eq!(came.message.id, "4", "its time-out did not mean that it was not sent");
    came.ack();
    assert_eq!(deliveries.recv().await.unwrap().message.id, "6");
}

#[tokio::test]
async fn a_consumer_that_came_too_late_takes_nothing_away_from_the_next() {
    let broker = Broker::start();
    let bus = connect(&broker.url()).await.unwrap();
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    // As where a queue of a cluster has no leader for long.
    let tell = |what: &str| {
        let name = &work.name;
        broker.ctl(&[
            "eval",
            &format!(
                r#"{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{name}">>)),
                   sys:{what}(element(1, amqqueue:get_pid(Q)))."#
            ),
        ]);
    };
    tell("suspend");
    assert!(bus.consume(&work.name, 10).await.is_err());
    tell("resume");
    let mut deliveries = bus.consume(&work.name, 10).await.unwrap();
    for id in ["1", "2", "3", "4"] {
        assert_eq!(publish(&bus, command(work.name.as_str(), id)).await, Settlement::Confirmed);
        let delivery = tokio::time::timeout(super::PATIENCE, deliveries.recv()).await;
        let delivery = delivery.expect("somebody else has it").unwrap();
        assert_eq!(delivery.message.id, id);
        delivery.ack();
    }
}
