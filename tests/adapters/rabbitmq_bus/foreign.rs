//! Clients that are not ours.

use std::sync::Arc;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, BasicRejectOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use skald::ports::bus::{Bus, DeadLetters, Death, Exchange, QueueSpec, Settlement};

use super::{command, connect, publish, queue};
use crate::rabbitmq::shared;

async fn foreign_channel() -> (Connection, Channel) {
    let connection = Connection::connect(&shared(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

#[tokio::test]
async fn what_a_foreign_worker_rejects_becomes_a_dead_letter() {
    let bus = connect(&shared()).await.unwrap();
    let work = QueueSpec { dead_letters: DeadLetters::Kept, ..queue("work") };
    let key = work.name.to_string();
    let grave = QueueSpec { bindings: vec![(Exchange::Dead, key.clone())], ..queue("grave") };
    bus.declare(&work).await.unwrap();
    bus.declare(&grave).await.unwrap();
    assert_eq!(publish(&bus, command(&key, "1")).await, Settlement::Confirmed);
    let (_connection, channel) = foreign_channel().await;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(key.as_str().into(), "".into(), options, arguments);
    let delivery = consumer.await.unwrap().next().await.unwrap().unwrap();
    assert!(delivery.reject(BasicRejectOptions { requeue: false }).await.unwrap());
    let letter = bus.consume(&grave.name, 1).await.unwrap().recv().await.unwrap();
    let death = Death { queue: key.clone(), routing_key: key, reason: "rejected".to_owned() };
    assert_eq!(letter.message.death, Some(death));
    assert_eq!(letter.message.id, "1");
}

#[tokio::test]
async fn a_message_full_of_nonsense_arrives_all_the_same() {
    let bus = connect(&shared()).await.unwrap();
    let grave = QueueSpec { bindings: vec![(Exchange::Dead, "#".to_owned())], ..queue("grave") };
    let grave = QueueSpec { bindings: vec![(Exchange::Dead, grave.name.to_string())], ..grave };
    bus.declare(&grave).await.unwrap();
    let mut deliveries = bus.consume(&grave.name, 10).await.unwrap();
    let (_connection, channel) = foreign_channel().await;
    let mut nonsense = FieldTable::default();
    for name in ["traceparent", "skald-death-reason", "skald-death-queue"] {
        nonsense.insert(name.into(), AMQPValue::LongLongInt(-1));
    }
    let deaths = FieldArray::from(vec![AMQPValue::Void]);
    nonsense.insert("x-death".into(), AMQPValue::FieldArray(deaths));
    for headers in [FieldTable::default(), nonsense] {
        let properties = BasicProperties::default().with_headers(headers);
        let (exchange, key) = ("skald.dead".into(), grave.name.as_str().into());
        let options = BasicPublishOptions::default();
        channel.basic_publish(exchange, key, options, b"\xff\0", properties).await.unwrap();
        let delivery = deliveries.recv().await.unwrap();
        assert_eq!(&delivery.message.body[..], b"\xff\0");
        assert_eq!(delivery.message.death, None);
        assert!(delivery.message.id.starts_with("sha256:"), "{:?}", delivery.message);
        delivery.ack();
    }
}

#[tokio::test]
async fn a_message_that_does_not_fit_amqp_is_unroutable_and_harms_no_other() {
    let bus: Arc<dyn Bus> = Arc::new(connect(&shared()).await.unwrap());
    let work = queue("work");
    bus.declare(&work).await.unwrap();
    let too_long = command(&"x".repeat(256), "1");
    assert_eq!(publish(&*bus, too_long).await, Settlement::Unroutable);
    let sent = publish(&*bus, command(work.name.as_str(), "2")).await;
    assert_eq!(sent, Settlement::Confirmed);
}
