//! Exchanges and queues on the broker.
//!
//! Declaring costs a round trip and changes nothing where all is as declared, so every new
//! connection declares all that this process ever declared: a broker that lost everything, or a
//! queue that somebody deleted, heals by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, Error, ErrorKind, ExchangeKind};

use crate::ports::bus::{BusError, DeadLetters, Exchange, Lifetime, QueueSpec};
use crate::saga::id::QueueName;

/// AMQP's code for a declaration that differs from what exists.
const PRECONDITION_FAILED: u16 = 406;

/// AMQP's code for a queue that does not exist.
pub const NOT_FOUND: u16 = 404;

/// The exchanges to declare; the default one is always there.
pub const EXCHANGES: [Exchange; 3] = [Exchange::Commands, Exchange::Events, Exchange::Dead];

/// The queues that this process declared. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Declared(Arc<Mutex<BTreeMap<QueueName, QueueSpec>>>);

impl Declared {
    /// Remembers a queue; its bindings add to those known before.
    pub fn remember(&self, spec: &QueueSpec) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known
            .entry(spec.name.clone())
            .or_insert_with(|| QueueSpec { bindings: Vec::new(), ..spec.clone() });
        for binding in &spec.bindings {
            if !known.bindings.contains(binding) {
                known.bindings.push(binding.clone());
            }
        }
    }

    /// A queue, if it was declared here.
    pub fn get(&self, queue: &QueueName) -> Option<QueueSpec> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(queue).cloned()
    }

    /// All queues.
    pub fn all(&self) -> Vec<QueueSpec> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Declares the exchanges and every queue. One queue that can't be declared is logged and does
    /// not keep the others from it.
    ///
    /// # Errors
    /// When an exchange can't be declared, or the broker does not answer.
    pub async fn declare_again(&self, connection: &Connection) -> Result<(), Error> {
        let mut channel = connection.create_channel().await?;
        declare_exchanges(&channel).await?;
        let lasting = |spec: &QueueSpec| spec.lifetime == Lifetime::Lasting;
        for spec in self.all().into_iter().filter(lasting) {
            if let Err(error) = declare(&channel, &spec).await {
                tracing::error!(queue = %spec.name, %error, "a queue can't be declared again");
                // The broker closed the channel over it.
                channel = connection.create_channel().await?;
            }
        }
        close(channel).await;
        Ok(())
    }
}

async fn declare_exchanges(channel: &Channel) -> Result<(), Error> {
    for exchange in EXCHANGES {
        let options = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let (name, topic) = (exchange.as_str().into(), ExchangeKind::Topic);
        channel.exchange_declare(name, topic, options, FieldTable::default()).await?;
    }
    Ok(())
}

/// Declares a queue and binds it. The exchanges exist.
///
/// # Errors
/// When it exists otherwise, or the broker does not answer; the channel is closed then.
pub async fn declare(channel: &Channel, spec: &QueueSpec) -> Result<(), BusError> {
    let name = queue_name(&spec.name)?;
    let options = match spec.lifetime {
        Lifetime::Lasting => QueueDeclareOptions::durable(),
        Lifetime::Fleeting => {
            QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() }
        }
    };
    let declared = channel.queue_declare(name.clone(), options, arguments(spec));
    declared.await.map_err(|error| refusal(&spec.name, &error))?;
    for (exchange, pattern) in &spec.bindings {
        let pattern = ShortString::try_new(pattern.as_str()).map_err(|_| too_long(pattern))?;
        let (exchange, options) = (exchange.as_str().into(), QueueBindOptions::default());
        channel
            .queue_bind(name.clone(), exchange, pattern, options, FieldTable::default())
            .await
            .map_err(|error| refusal(&spec.name, &error))?;
    }
    Ok(())
}

/// How many messages wait in a queue; none if it does not exist, and the channel is closed then.
///
/// # Errors
/// When the broker does not answer.
pub async fn ready(channel: &Channel, queue: &QueueName) -> Result<Option<u64>, BusError> {
    let options = QueueDeclareOptions::durable().passive();
    let asked = channel.queue_declare(queue_name(queue)?, options, FieldTable::default());
    match asked.await.map_err(|error| refusal(queue, &error)) {
        Ok(found) => Ok(Some(found.message_count().into())),
        Err(BusError::NoSuchQueue(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A queue's name as AMQP wants it.
///
/// # Errors
/// When it is longer than 255 bytes.
pub fn queue_name(queue: &QueueName) -> Result<ShortString, BusError> {
    ShortString::try_new(queue.as_str()).map_err(|_| too_long(queue.as_str()))
}

fn too_long(name: &str) -> BusError {
    BusError::Unavailable(format!("{name} is longer than AMQP's 255 bytes"))
}

/// Closes a channel that is not needed any more; if that fails, it is closed already.
pub async fn close(channel: Channel) {
    const DONE: u16 = 200;
    let _ = channel.close(DONE, "done".into()).await;
}

/// Why something about a queue was refused.
pub fn refusal(queue: &QueueName, error: &Error) -> BusError {
    let ErrorKind::ProtocolError(protocol) = error.kind() else {
        return BusError::Unavailable(error.to_string());
    };
    let cause = protocol.get_message().to_string();
    match protocol.get_id() {
        PRECONDITION_FAILED => BusError::Mismatch { queue: queue.clone(), cause },
        NOT_FOUND => BusError::NoSuchQueue(queue.clone()),
        _ => BusError::Unavailable(cause),
    }
}

/// A quorum queue that refuses what it has no room for; or a queue in memory that makes room.
pub fn arguments(spec: &QueueSpec) -> FieldTable {
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    let number = |n: u64| AMQPValue::LongLongInt(i64::try_from(n).unwrap_or(i64::MAX));
    arguments.insert("x-max-length".into(), number(spec.max_length as u64));
    let (kind, overflow) = match spec.lifetime {
        Lifetime::Lasting => ("quorum", "reject-publish"),
        Lifetime::Fleeting => ("classic", "drop-head"),
    };
    arguments.insert("x-queue-type".into(), text(kind));
    arguments.insert("x-overflow".into(), text(overflow));
    if spec.lifetime == Lifetime::Lasting {
        arguments.insert("x-delivery-limit".into(), number(spec.delivery_limit.into()));
    }
    if spec.dead_letters == DeadLetters::Kept {
        arguments.insert("x-dead-letter-exchange".into(), text(Exchange::Dead.as_str()));
        arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bindings_add_up_while_the_first_declaration_stands() {
        let declared = Declared::default();
        let spec = |pattern: &str, max_length| QueueSpec {
            name: "work".into(),
            bindings: vec![(Exchange::Commands, pattern.to_owned())],
            max_length,
            delivery_limit: 20,
            dead_letters: DeadLetters::Kept,
            lifetime: Lifetime::Lasting,
        };
        for spec in [spec("a", 10), spec("b", 10), spec("a", 10)] {
            declared.remember(&spec);
        }
        let expected = QueueSpec {
            bindings: vec![spec("a", 10).bindings.remove(0), spec("b", 10).bindings.remove(0)],
            ..spec("a", 10)
        };
        assert_eq!(declared.all(), [expected]);
    }
}
