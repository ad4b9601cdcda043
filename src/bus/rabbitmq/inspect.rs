//! Looking at a broker: nothing is declared, published or consumed.

use std::collections::BTreeMap;
use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use serde_json::Value;
use tokio::time::timeout;

use super::address::Address;
use super::connection::cause_of;
use super::topology::{EXCHANGES, NOT_FOUND, arguments, queue_name};
use crate::ports::bus::QueueSpec;

/// How long one broker may take for all that it is asked.
const WITHIN: Duration = Duration::from_secs(10);

/// A broker and what there is of an installation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Exchanges that it lacks.
    pub missing_exchanges: Vec<&'static str>,
    /// The queues that were asked for, in that order.
    pub queues: Vec<QueueFound>,
}

/// A queue that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFound {
    /// Its name.
    pub name: String,
    /// How it is.
    pub found: Found,
}

/// How a queue is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is not there.
    Missing,
    /// It is there, but does not answer, for this reason: a quorum queue without a leader, say.
    Silent(String),
    /// It is there.
    There {
        /// Messages that wait for a consumer.
        ready: u32,
        /// Its consumers.
        consumers: u32,
    },
}

/// Looks for these queues on the broker at `address`.
///
/// # Errors
/// When it can't be reached, does not let us in, or takes too long; without its password.
pub async fn inspect(address: &Address, queues: &[QueueSpec]) -> Result<Inspection, String> {
    let look = async {
        let properties =
            ConnectionProperties::default().with_connection_name("skald doctor".into());
        let connection = Connection::connect_uri(address.uri(), properties)
            .await
            .map_err(|error| cause_of(&error))?;
        let inspection = look(&connection, queues).await.map_err(|error| cause_of(&error));
        // What was found counts, however the good-bye goes.
        let _ = connection.close(200, "done".into()).await;
        inspection
    };
    timeout(WITHIN, look)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", WITHIN.as_secs())))
}

async fn look(connection: &Connection, queues: &[QueueSpec]) -> Result<Inspection, lapin::Error> {
    let mut channel = connection.create_channel().await?;
    let mut inspection = Inspection::default();
    for exchange in EXCHANGES {
        let options = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let (name, kind) = (ShortString::from(exchange.as_str()), ExchangeKind::Topic);
        let asked = channel.exchange_declare(name, kind, options, FieldTable::default());
        if let Err(error) = asked.await {
            if !is_not_found(&error) {
                return Err(error);
            }
            inspection.missing_exchanges.push(exchange.as_str());
            // The broker closed the channel over it.
            channel = connection.create_channel().await?;
        }
    }
    for spec in queues {
        let found = find(&channel, spec).await;
        if !matches!(found, Found::There { .. }) {
            channel = connection.create_channel().await?;
        }
        inspection.queues.push(QueueFound { name: spec.name.to_string(), found });
    }
    Ok(inspection)
}

async fn find(channel: &Channel, spec: &QueueSpec) -> Found {
    /// A queue that is well answers in a millisecond.
    const WITHIN: Duration = Duration::from_secs(2);
    let name = match queue_name(&spec.name) {
        Ok(name) => name,
        Err(error) => return Found::Silent(error.to_string()),
    };
    let options = QueueDeclareOptions::durable().passive();
    let asked = channel.queue_declare(name, options, FieldTable::default());
    match timeout(WITHIN, asked).await {
        Ok(Ok(queue)) => {
            Found::There { ready: queue.message_count(), consumers: queue.consumer_count() }
        }
        Ok(Err(error)) if is_not_found(&error) => Found::Missing,
        Ok(Err(error)) => Found::Silent(cause_of(&error)),
        Err(_) => Found::Silent(format!("no answer within {} s", WITHIN.as_secs())),
    }
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == NOT_FOUND)
}

/// The arguments that a queue is declared with, as the management API writes them.
pub fn wanted_arguments(spec: &QueueSpec) -> BTreeMap<String, Value> {
    let value = |value: &AMQPValue| match value {
        AMQPValue::LongLongInt(number) => Value::from(*number),
        AMQPValue::LongString(text) => Value::from(text.to_string()),
        _ => Value::Null,
    };
    arguments(spec).inner().iter().map(|(name, it)| (name.to_string(), value(it))).collect()
}
