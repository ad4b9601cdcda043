//! Messages through a quorum queue.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::StreamExt;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};

/// Messages that may be unconfirmed: what a publisher of Skald has at full load.
const UNCONFIRMED: usize = 500;
/// Messages that one acknowledgement covers.
const ACKED_AT_ONCE: u64 = 50;
/// A command of Skald, roughly, in bytes.
const BODY: [u8; 500] = [b'x'; 500];
/// How a publisher marks what has to outlive the broker (AMQP 0-9-1, `delivery-mode`).
const PERSISTENT: u8 = 2;

/// Publishes with confirmation, consumes and acknowledges, all at the same time over one connection
/// each way.
///
/// # Errors
/// When the broker refuses something.
pub fn messages_per_second(url: &str, long: Duration) -> anyhow::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (publishing, consuming) = (channel(url).await?, channel(url).await?);
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let durable = QueueDeclareOptions::durable();
        consuming.queue_declare("limit".into(), durable, arguments).await?;
        let started = Instant::now();
        let published = tokio::spawn(publish(publishing, started + long));
        let consumed = consume(consuming, started + long).await?;
        published.await??;
        Ok(consumed as f64 / long.as_secs_f64())
    })
}

async fn channel(url: &str) -> anyhow::Result<Channel> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    Ok(connection.create_channel().await?)
}

/// Publishes until the time has come.
async fn publish(channel: Channel, until: Instant) -> anyhow::Result<()> {
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let mut unconfirmed = VecDeque::with_capacity(UNCONFIRMED);
    while Instant::now() < until {
        if unconfirmed.len() == UNCONFIRMED {
            let oldest = unconfirmed.pop_front().context("nothing is unconfirmed")?;
            oldest.await?;
        }
        let properties = BasicProperties::default().with_delivery_mode(PERSISTENT);
        let options = BasicPublishOptions::default();
        let confirmed =
            channel.basic_publish("".into(), "limit".into(), options, &BODY, properties).await?;
        unconfirmed.push_back(confirmed);
    }
    Ok(())
}

/// Consumes until the time has come; returns how many were acknowledged.
async fn consume(channel: Channel, until: Instant) -> anyhow::Result<u64> {
    channel.basic_qos(2 * UNCONFIRMED as u16, BasicQosOptions::default()).await?;
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume("limit".into(), "limit".into(), options, arguments);
    let mut deliveries = consumer.await?;
    let (mut taken, mut acknowledged) = (0, 0);
    while let Ok(Some(delivery)) = tokio::time::timeout_at(until.into(), deliveries.next()).await {
        let tag = delivery?.delivery_tag;
        taken += 1;
        if taken - acknowledged == ACKED_AT_ONCE {
            channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
            acknowledged = taken;
        }
    }
    Ok(acknowledged)
}
