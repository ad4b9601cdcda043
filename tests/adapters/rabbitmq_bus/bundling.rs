//! Messages that travel together.

use std::collections::BTreeSet;

use skald::bus::rabbitmq::{Address, Bundling, RabbitBus};
use skald::ports::bus::{
    Bus, DeadLetters, Deliveries, Delivery, Exchange, Outgoing, QueueSpec, Receipt, Settlement,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::{PATIENCE, connect, expect_depth, message, queue};
use crate::rabbitmq::shared;

/// A bus that bundles the commands to a service, and the queue of the service, in which a message may
/// come back so often.
async fn bundling(delivery_limit: u32) -> (RabbitBus, QueueSpec) {
    let service = format!("work-{}", Uuid::now_v7().simple());
    let bundling = Bundling { services: vec![service.clone()] };
    let address = Address::parse(&shared()).unwrap();
    let bus = RabbitBus::connect(vec![address], "skald test", bundling).await.unwrap();
    let work = QueueSpec {
        name: service.as_str().into(),
        bindings: vec![(Exchange::Commands, format!("{service}.*"))],
        dead_letters: DeadLetters::Kept,
        delivery_limit,
        ..queue("work")
    };
    bus.declare(&work).await.unwrap();
    (bus, work)
}

/// A place for what died in `work`.
async fn grave(bus: &dyn Bus, work: &QueueSpec) -> QueueSpec {
    let pattern = format!("{}.*", work.name);
    let grave = QueueSpec { bindings: vec![(Exchange::Dead, pattern)], ..queue("grave") };
    bus.declare(&grave).await.unwrap();
    grave
}

/// Publishes `ids` together, and tells what became of each.
async fn publish_together(
    bus: &dyn Bus,
    exchange: Exchange,
    key: &str,
    ids: &[&str],
) -> Vec<Settlement> {
    let (outlet, mut settlements) = mpsc::unbounded_channel();
    let outgoing = |(id, tag): (&&str, u64)| {
        let mut message = message(id);
        message.kind = key.to_owned();
        let routing_key = key.to_owned();
        (Outgoing { exchange, routing_key, message }, Receipt::new(outlet.clone(), tag))
    };
    bus.publish_all(ids.iter().zip(0..).map(outgoing).collect());
    let mut heard = BTreeSet::new();
    let mut all = Vec::new();
    for _ in ids {
        let (tag, settlement) = timeout(PATIENCE, settlements.recv()).await.unwrap().unwrap();
        assert!(heard.insert(tag));
        all.push(settlement);
    }
    all
}

async fn send(bus: &dyn Bus, work: &QueueSpec, ids: &[&str]) {
    let key = format!("{}.do", work.name);
    let sent = publish_together(bus, Exchange::Commands, &key, ids).await;
    assert!(sent.iter().all(|settlement| *settlement == Settlement::Confirmed), "{sent:?}");
}

/// Takes so many messages, which may come in several deliveries.
async fn take(deliveries: &mut Deliveries, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        timeout(PATIENCE, deliveries.recv_many(&mut taken, 100)).await.unwrap();
    }
    taken
}

fn ids(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(|delivery| delivery.message.id.as_str()).collect()
}

#[tokio::test]
async fn commands_to_a_service_of_ours_are_one_message_on_the_broker() {
    let (bus, work) = bundling(20).await;
    send(&bus, &work, &["1", "2", "3"]).await;
    expect_depth(&bus, &work, (1, 0)).await;
    let mut deliveries = bus.consume(&work.name, 100).await.unwrap();
    let mut taken = take(&mut deliveries, 3).await;
    assert_eq!(ids(&taken), ["1", "2", "3"]);
    expect_depth(&bus, &work, (0, 3)).await;
    taken.pop().unwrap().ack();
    expect_depth(&bus, &work, (0, 2)).await;
    taken.into_iter().for_each(Delivery::ack);
    expect_depth(&bus, &work, (0, 0)).await;
    drop(deliveries);
    expect_depth(&bus, &work, (0, 0)).await;
}

#[tokio::test]
async fn commands_to_others_and_events_go_one_by_one_and_replies_together() {
    let bus = connect(&shared()).await.unwrap();
    let listening = queue("listening");
    let key = listening.name.to_string();
    let bindings = [Exchange::Commands, Exchange::Events].map(|exchange| (exchange, key.clone()));
    let listening = QueueSpec { bindings: bindings.into(), ..listening };
    bus.declare(&listening).await.unwrap();
    for (exchange, messages) in
        [(Exchange::Commands, 2), (Exchange::Events, 4), (Exchange::Default, 5)]
    {
        let sent = publish_together(&bus, exchange, &key, &["1", "2"]).await;
        assert_eq!(sent, [Settlement::Confirmed; 2]);
        expect_depth(&bus, &listening, (messages, 0)).await;
    }
}

#[tokio::test]
async fn every_message_of_a_bundle_hears_that_it_reached_no_queue() {
    let (bus, work) = bundling(20).await;
    let nowhere = format!("skald.replies.{}", work.name);
    let sent = publish_together(&bus, Exchange::Default, &nowhere, &["1", "2"]).await;
    assert_eq!(sent, [Settlement::Unroutable; 2]);
}

#[tokio::test]
async fn a_bundle_comes_again_whole_if_one_message_of_it_has_to() {
    let (bus, work) = bundling(20).await;
    send(&bus, &work, &["1", "2", "3"]).await;
    let mut deliveries = bus.consume(&work.name, 100).await.unwrap();
    let mut taken = take(&mut deliveries, 3).await;
    drop(taken.remove(1));
    taken.into_iter().for_each(Delivery::ack);
    let again = take(&mut deliveries, 3).await;
    assert_eq!(ids(&again), ["1", "2", "3"]);
    assert!(again.iter().all(|delivery| delivery.redeliveries == 1), "{again:?}");
    again.into_iter().for_each(Delivery::ack);
    expect_depth(&bus, &work, (0, 0)).await;
}

#[tokio::test]
async fn one_message_of_a_bundle_dies_without_the_others() {
    let (bus, work) = bundling(20).await;
    let grave = grave(&bus, &work).await;
    send(&bus, &work, &["1", "2", "3"]).await;
    let mut deliveries = bus.consume(&work.name, 100).await.unwrap();
    let mut taken = take(&mut deliveries, 3).await;
    taken.remove(1).reject("no such product");
    taken.into_iter().for_each(Delivery::ack);
    let mut graveyard = bus.consume(&grave.name, 100).await.unwrap();
    let letters = take(&mut graveyard, 1).await;
    assert_eq!(ids(&letters), ["2"]);
    let death = letters[0].message.death.as_ref().unwrap();
    assert_eq!(death.reason, "rejected: no such product");
    assert_eq!(death.routing_key, format!("{}.do", work.name));
    letters.into_iter().for_each(Delivery::ack);
    expect_depth(&bus, &work, (0, 0)).await;
    expect_depth(&bus, &grave, (0, 0)).await;
}

#[tokio::test]
async fn the_messages_of_a_bundle_that_comes_again_and_again_go_on_alone() {
    let (bus, work) = bundling(20).await;
    send(&bus, &work, &["1", "2", "3"]).await;
    let mut deliveries = bus.consume(&work.name, 100).await.unwrap();
    for returns in 0..2 {
        let taken = take(&mut deliveries, 3).await;
        assert!(taken.iter().all(|delivery| delivery.redeliveries == returns), "{taken:?}");
    }
    let mut alone = take(&mut deliveries, 3).await;
    alone.sort_by_key(|delivery| delivery.message.id.clone());
    assert_eq!(ids(&alone), ["1", "2", "3"]);
    assert!(alone.iter().all(|delivery| delivery.redeliveries == 0), "{alone:?}");
    let key = format!("{}.do", work.name);
    assert!(alone.iter().all(|delivery| delivery.message.kind == key), "{alone:?}");
    drop(alone.remove(1));
    alone.into_iter().for_each(Delivery::ack);
    let again = take(&mut deliveries, 1).await;
    assert_eq!((ids(&again), again[0].redeliveries), (vec!["2"], 1));
    again.into_iter().for_each(Delivery::ack);
    expect_depth(&bus, &work, (0, 0)).await;
}

#[tokio::test]
async fn a_bundle_that_the_broker_gives_up_becomes_one_dead_letter_a_message() {
    let (bus, work) = bundling(1).await;
    let grave = grave(&bus, &work).await;
    send(&bus, &work, &["1", "2"]).await;
    let mut deliveries = bus.consume(&work.name, 100).await.unwrap();
    for _ in 0..2 {
        drop(take(&mut deliveries, 2).await);
    }
    let mut graveyard = bus.consume(&grave.name, 100).await.unwrap();
    let mut letters = take(&mut graveyard, 2).await;
    letters.sort_by_key(|delivery| delivery.message.id.clone());
    assert_eq!(ids(&letters), ["1", "2"]);
    let key = format!("{}.do", work.name);
    for letter in &letters {
        let death = letter.message.death.as_ref().unwrap();
        assert_eq!(
            (death.routing_key.as_str(), death.reason.as_str()),
            (key.as_str(), "delivery_limit")
        );
    }
    letters.into_iter().for_each(Delivery::ack);
}
