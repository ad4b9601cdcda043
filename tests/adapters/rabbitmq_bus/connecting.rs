//! At the start and at the end.

use skald::bus::rabbitmq::{Address, Bundling, RabbitBus};
use skald::ports::bus::{Bus, BusError, Settlement};

use super::{command, connect, expect_depth, publish, queue};
use crate::ports::free_port;
use crate::rabbitmq::shared;

/// Account and place of the shared broker.
fn account_and_place() -> (String, String) {
    let url = shared();
    let (account, place) = url.strip_prefix("amqp://").unwrap().split_once('@').unwrap();
    (account.to_owned(), place.split('/').next().unwrap().to_owned())
}

fn unavailable(result: Result<RabbitBus, BusError>) -> String {
    match result {
        Err(BusError::Unavailable(cause)) => cause,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_unreachable_broker_is_named_without_its_password() {
    let port = free_port();
    let cause = unavailable(connect(&format!("amqp://ann:s3cret@127.0.0.1:{port}")).await);
    assert!(cause.contains(&format!("amqp://127.0.0.1:{port}: ")), "{cause}");
    assert!(!cause.contains("s3cret"), "{cause}");
}

#[tokio::test]
async fn a_wrong_password_is_told_as_such() {
    let (account, place) = account_and_place();
    let (user, _) = account.split_once(':').unwrap();
    let cause = unavailable(connect(&format!("amqp://{user}:s3cret@{place}")).await);
    assert!(cause.contains("ACCESS_REFUSED") && !cause.contains("s3cret"), "{cause}");
}

#[tokio::test]
async fn an_unknown_virtual_host_is_told_as_such() {
    let (account, place) = account_and_place();
    let cause = unavailable(connect(&format!("amqp://{account}@{place}/nowhere")).await);
    assert!(cause.contains("nowhere"), "{cause}");
}

#[tokio::test]
async fn a_broker_without_tls_is_no_broker_for_amqps() {
    let cause = unavailable(connect(&shared().replace("amqp://", "amqps://")).await);
    assert!(cause.starts_with("amqps://"), "{cause}");
}

#[tokio::test]
async fn addresses_are_tried_in_turn() {
    let dead = format!("amqp://127.0.0.1:{}", free_port());
    let addresses = [&dead, &shared()].map(|url| Address::parse(url).unwrap());
    let bus =
        RabbitBus::connect(addresses.into(), "skald test", Bundling::default()).await.unwrap();
    assert_eq!(bus.health(), Ok(()));
}

#[tokio::test]
async fn what_was_acknowledged_before_the_bus_ends_is_acknowledged() {
    let work = queue("work");
    let bus = connect(&shared()).await.unwrap();
    bus.declare(&work).await.unwrap();
    for id in 0..50 {
        let sent = publish(&bus, command(work.name.as_str(), &id.to_string())).await;
        assert_eq!(sent, Settlement::Confirmed);
    }
    let mut deliveries = bus.consume(&work.name, 50).await.unwrap();
    for _ in 0..50 {
        deliveries.recv().await.unwrap().ack();
    }
    drop(bus);
    assert!(deliveries.recv().await.is_none(), "a consumer ends with its bus");
    let next = connect(&shared()).await.unwrap();
    next.declare(&work).await.unwrap();
    expect_depth(&next, &work, (0, 0)).await;
    assert_eq!(publish(&next, command(work.name.as_str(), "more")).await, Settlement::Confirmed);
    let mut deliveries = next.consume(&work.name, 50).await.unwrap();
    assert_eq!(deliveries.recv().await.unwrap().message.id, "more");
}
