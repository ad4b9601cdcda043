//! Messages as AMQP has them. What comes in may be anybody's: whatever is missing or of another type
//! than expected counts as absent.

use bytes::Bytes;
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use sha2::{Digest, Sha256};

use super::bundle;
use super::in_flight::Returned;
use crate::ports::bus::{Death, Exchange, Message, Outgoing};

/// The header with the W3C trace.
const TRACE: &str = "traceparent";

/// On a dead letter that a consumer of ours rejected: the queue it was rejected in.
const DEATH_QUEUE: &str = "skald-death-queue";

/// On a dead letter that a consumer of ours rejected: why. AMQP itself has no place for a reason.
const DEATH_REASON: &str = "skald-death-reason";

/// On a dead letter that the broker made: how often it died, where and of what, the last time first.
const BROKER_DEATHS: &str = "x-death";

/// How often a quorum queue delivered the message before.
const DELIVERIES: &str = "x-delivery-count";

/// AMQP's code for a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// The longest reason of a death, in characters. Reasons are for people, and all headers together
/// have to fit one frame.
const MAX_REASON: usize = 1_000;

/// The longest name of a queue and the longest routing key that are read from a header, in bytes: what
/// AMQP allows. Names are index entries in the store, which takes no long ones.
const MAX_NAME: usize = 255;

/// The longest trace that is read, in bytes. W3C's have 55.
const MAX_TRACE: usize = 255;

/// A message without its body, as the client library wants it.
pub struct Envelope {
    /// The exchange.
    pub exchange: ShortString,
    /// The routing key.
    pub routing_key: ShortString,
    /// Whether it must reach a queue.
    pub options: BasicPublishOptions,
    /// Its properties and headers.
    pub properties: BasicProperties,
}

/// A message can't be sent: this part of it is longer than 255 bytes.
#[derive(Debug, thiserror::Error)]
#[error("its {0} is longer than AMQP's 255 bytes")]
pub struct TooLong(&'static str);

/// Whether a message must reach a queue, and comes back where it does not.
pub fn is_mandatory(Outgoing { exchange, message, .. }: &Outgoing) -> bool {
    match exchange {
        Exchange::Commands | Exchange::Default => true,
        Exchange::Events => false,
        Exchange::Dead => message.death.is_some(),
    }
}

/// Writes a message's properties. Commands, replies and what a consumer rejected must reach a queue;
/// events need not.
///
/// # Errors
/// When a part of it does not fit.
pub fn envelope(outgoing: &Outgoing) -> Result<Envelope, TooLong> {
    let Outgoing { exchange, routing_key, message } = outgoing;
    let mut headers = FieldTable::default();
    if let Some(trace) = &message.traceparent {
        headers.insert(TRACE.into(), text(trace));
    }
    if let (Exchange::Dead, Some(death)) = (exchange, &message.death) {
        headers.insert(DEATH_QUEUE.into(), text(&death.queue));
        headers.insert(DEATH_REASON.into(), text(&cut(&death.reason)));
    }
    let content_type = match message.kind.as_str() {
        bundle::KIND => bundle::CONTENT_TYPE,
        _ => "application/json",
    };
    let mut properties = BasicProperties::default()
        .with_content_type(content_type.into())
        .with_delivery_mode(PERSISTENT)
        .with_message_id(short("id", &message.id)?)
        .with_type(short("type", &message.kind)?)
        .with_headers(headers);
    if let Some(id) = &message.correlation_id {
        properties = properties.with_correlation_id(short("correlation id", id)?);
    }
    if let Some(queue) = &message.reply_to {
        properties = properties.with_reply_to(short("reply queue", queue)?);
    }
    let mandatory = is_mandatory(outgoing);
    Ok(Envelope {
        exchange: exchange.as_str().into(),
        routing_key: short("routing key", routing_key)?,
        options: BasicPublishOptions { mandatory, ..BasicPublishOptions::default() },
        properties,
    })
}

fn short(part: &'static str, text: &str) -> Result<ShortString, TooLong> {
    ShortString::try_new(text).map_err(|_| TooLong(part))
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

/// What a message that came back to its publisher is recognised by.
pub fn returned(delivery: &Delivery) -> Returned {
    let id = delivery.properties.message_id().as_ref().map_or("", ShortString::as_str);
    (delivery.exchange.to_string(), delivery.routing_key.to_string(), id.to_owned())
}

/// A message from a queue.
#[derive(Debug)]
pub struct Incoming {
    /// The message.
    pub message: Message,
    /// By which key it was routed.
    pub routing_key: String,
    /// How often it was delivered before.
    pub redeliveries: u32,
}

/// Reads a message. One without an id gets one that is made of its body, so that it has the same
/// when it comes again.
pub fn incoming(delivery: Delivery) -> Incoming {
    let properties = &delivery.properties;
    let no_headers = FieldTable::default();
    let headers = properties.headers().as_ref().unwrap_or(&no_headers);
    let redeliveries = redeliveries(delivery.redelivered, headers);
    let routing_key = clean(delivery.routing_key.as_str());
    let death = (delivery.exchange.as_str() == Exchange::Dead.as_str())
        .then(|| death(headers, &routing_key))
        .flatten();
    let id = given(properties.message_id()).unwrap_or_else(|| id_of_body(&delivery.data));
    let message = Message {
        id,
        kind: given(properties.kind()).unwrap_or_default(),
        correlation_id: given(properties.correlation_id()),
        reply_to: given(properties.reply_to()),
        traceparent: header(headers, TRACE).filter(|trace| trace.len() <= MAX_TRACE),
        body: Bytes::from(delivery.data),
        death,
    };
    Incoming { message, routing_key, redeliveries }
}

fn given(property: &Option<ShortString>) -> Option<String> {
    property.as_ref().map(|text| clean(text.as_str())).filter(|text| !text.is_empty())
}

fn header(headers: &FieldTable, name: &str) -> Option<String> {
    headers.inner().get(name).and_then(as_text)
}

fn as_text(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::LongString(text) => Some(clean(&String::from_utf8_lossy(text.as_bytes()))),
        AMQPValue::ShortString(text) => Some(clean(text.as_str())),
        _ => None,
    }
}

/// The text without NUL characters, which no database keeps.
pub fn clean(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').collect()
}

fn id_of_body(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    digest.iter().take(16).fold("sha256:".to_owned(), |id, byte| format!("{id}{byte:02x}"))
}

/// Only quorum queues count; any queue says at least whether it is not the first time.
fn redeliveries(redelivered: bool, headers: &FieldTable) -> u32 {
    if !redelivered {
        return 0;
    }
    let counted = headers.inner().get(DELIVERIES).and_then(as_number);
    counted.and_then(|count| u32::try_from(count).ok()).unwrap_or(1).max(1)
}

fn as_number(value: &AMQPValue) -> Option<i64> {
    match *value {
        AMQPValue::ShortShortInt(n) => Some(n.into()),
        AMQPValue::ShortShortUInt(n) => Some(n.into()),
        AMQPValue::ShortInt(n) => Some(n.into()),
        AMQPValue::ShortUInt(n) => Some(n.into()),
        AMQPValue::LongInt(n) => Some(n.into()),
        AMQPValue::LongUInt(n) => Some(n.into()),
        AMQPValue::LongLongInt(n) => Some(n),
        _ => None,
    }
}

/// How a dead letter died: what our own consumer wrote, or else what the broker knows.
fn death(headers: &FieldTable, routing_key: &str) -> Option<Death> {
    if let Some(reason) = header(headers, DEATH_REASON) {
        return Some(Death {
            queue: name(header(headers, DEATH_QUEUE)).unwrap_or_default(),
            routing_key: routing_key.to_owned(),
            reason: cut(&reason),
        });
    }
    let AMQPValue::FieldArray(deaths) = headers.inner().get(BROKER_DEATHS)? else { return None };
    let AMQPValue::FieldTable(last) = deaths.as_slice().first()? else { return None };
    let keys = last.inner().get("routing-keys");
    let key = match keys {
        Some(AMQPValue::FieldArray(keys)) => keys.as_slice().first().and_then(as_text),
        _ => None,
    };
    Some(Death {
        queue: name(header(last, "queue")).unwrap_or_default(),
        routing_key: name(key).unwrap_or_else(|| routing_key.to_owned()),
        reason: cut(&header(last, "reason").unwrap_or_else(|| "unknown".to_owned())),
    })
}

/// A name that a queue may have; a longer one is none.
fn name(given: Option<String>) -> Option<String> {
    given.filter(|name| name.len() <= MAX_NAME)
}

fn cut(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use lapin::types::FieldArray;
    use proptest::prelude::*;

    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        table
    }

    fn array(values: Vec<AMQPValue>) -> AMQPValue {
        AMQPValue::FieldArray(FieldArray::from(values))
    }

    fn delivery(exchange: &str, headers: FieldTable) -> Delivery {
        let mut delivery =
            Delivery::mock(1, exchange.into(), "a.b".into(), true, b"{\"a\":1}".to_vec());
        delivery.properties = BasicProperties::default().with_headers(headers);
        delivery
    }

    fn message() -> Message {
        Message {
            id: "saga:1".to_owned(),
            kind: "a.b".to_owned(),
            correlation_id: Some("saga:1".to_owned()),
            reply_to: Some("skald.replies.0".to_owned()),
            traceparent: Some("00-1-2-01".to_owned()),
            body: Bytes::from_static(b"{\"a\":1}"),
            death: None,
        }
    }

    fn outgoing(exchange: Exchange, message: Message) -> Outgoing {
        Outgoing { exchange, routing_key: "a.b".to_owned(), message }
    }

    /// Sends a message and reads what arrives.
    fn over_the_wire(outgoing: &Outgoing) -> Message {
        let sent = envelope(outgoing).unwrap();
        let body = outgoing.message.body.to_vec();
        let mut delivery = Delivery::mock(1, sent.exchange, sent.routing_key, false, body);
        delivery.properties = sent.properties;
        incoming(delivery).message
    }

    #[test]
    fn a_message_arrives_as_it_was_sent() {
        let sent = outgoing(Exchange::Commands, message());
        assert_eq!(over_the_wire(&sent), message());
        let bare = Message { correlation_id: None, reply_to: None, traceparent: None, ..message() };
        assert_eq!(over_the_wire(&outgoing(Exchange::Events, bare.clone())), bare);
    }

    #[test]
    fn commands_and_replies_must_reach_a_queue_and_events_need_not() {
        for exchange in [Exchange::Commands, Exchange::Default] {
            assert!(envelope(&outgoing(exchange, message())).unwrap().options.mandatory);
        }
        assert!(!envelope(&outgoing(Exchange::Events, message())).unwrap().options.mandatory);
    }

    #[test]
    fn messages_are_persistent_json() {
        let properties = envelope(&outgoing(Exchange::Events, message())).unwrap().properties;
        assert_eq!(*properties.delivery_mode(), Some(2));
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), "application/json");
        let bundle = Message { kind: bundle::KIND.to_owned(), ..message() };
        let properties = envelope(&outgoing(Exchange::Commands, bundle)).unwrap().properties;
        assert_eq!(properties.content_type().as_ref().unwrap().as_str(), bundle::CONTENT_TYPE);
    }

    #[test]
    fn a_message_that_came_back_is_known_by_where_it_went_and_its_id() {
        let mut delivery = delivery("skald.commands", FieldTable::default());
        delivery.properties = delivery.properties.with_message_id("saga:1".into());
        let expected = ("skald.commands".to_owned(), "a.b".to_owned(), "saga:1".to_owned());
        assert_eq!(returned(&delivery), expected);
    }

    #[test]
    fn the_reason_of_a_rejection_travels_with_the_dead_letter() {
        let death = Death {
            queue: "inventory.commands".to_owned(),
            routing_key: "a.b".to_owned(),
            reason: format!("rejected: {}", "no such product ".repeat(30)),
        };
        let dead = Message { death: Some(death), ..message() };
        assert_eq!(over_the_wire(&outgoing(Exchange::Dead, dead.clone())), dead);
        assert_eq!(over_the_wire(&outgoing(Exchange::Commands, dead)).death, None);
    }

    #[test]
    fn a_death_at_the_hands_of_the_broker_is_understood() {
        let death = |n: &str| {
            AMQPValue::FieldTable(table(&[
                ("queue", text(&format!("queue-{n}"))),
                ("reason", text("delivery_limit")),
                ("routing-keys", array(vec![text(&format!("key-{n}"))])),
                ("count", AMQPValue::LongLongInt(1)),
            ]))
        };
        let headers = table(&[("x-death", array(vec![death("last"), death("first")]))]);
        let expected = Death {
            queue: "queue-last".to_owned(),
            routing_key: "key-last".to_owned(),
            reason: "delivery_limit".to_owned(),
        };
        assert_eq!(incoming(delivery("skald.dead", headers.clone())).message.death, Some(expected));
        assert_eq!(incoming(delivery("skald.commands", headers)).message.death, None);
    }

    #[test]
    fn redeliveries_are_counted_by_quorum_queues_and_guessed_elsewhere() {
        let count = |redelivered, headers: &[_]| redeliveries(redelivered, &table(headers));
        let three = [(DELIVERIES, AMQPValue::LongLongInt(3))];
        assert_eq!(count(true, &three), 3);
        assert_eq!(count(false, &three), 0);
        assert_eq!(count(true, &[]), 1);
        assert_eq!(count(true, &[(DELIVERIES, AMQPValue::LongLongInt(-1))]), 1);
        assert_eq!(count(true, &[(DELIVERIES, text("3"))]), 1);
        // Brokers before and after this one write what fits.
        for three in [
            AMQPValue::ShortShortInt(3),
            AMQPValue::ShortShortUInt(3),
            AMQPValue::ShortInt(3),
            AMQPValue::ShortUInt(3),
            AMQPValue::LongInt(3),
            AMQPValue::LongUInt(3),
        ] {
            assert_eq!(count(true, &[(DELIVERIES, three.clone())]), 3, "{three:?}");
        }
    }

    #[test]
    fn a_text_may_be_a_short_one() {
        let headers = table(&[(TRACE, AMQPValue::ShortString("00-1-2-01".into()))]);
        let trace = incoming(delivery("", headers)).message.traceparent;
        assert_eq!(trace.as_deref(), Some("00-1-2-01"));
    }

    #[test]
    fn a_message_without_an_id_gets_the_same_one_each_time() {
        let first = incoming(delivery("", FieldTable::default()));
        let again = incoming(delivery("", FieldTable::default()));
        assert_eq!(first.message.id, again.message.id);
        assert!(first.message.id.starts_with("sha256:015abd7f"), "{}", first.message.id);
    }

    #[test]
    fn nothing_that_comes_in_holds_what_no_database_keeps() {
        let mut delivery = delivery("skald.dead", table(&[(DEATH_REASON, text("a\0b"))]));
        delivery.properties = delivery.properties.with_message_id("i\0d".into());
        let message = incoming(delivery).message;
        assert_eq!((message.id.as_str(), message.death.unwrap().reason.as_str()), ("id", "ab"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let long = "x".repeat(256);
        for message in [
            Message { id: long.clone(), ..message() },
            Message { kind: long.clone(), ..message() },
            Message { reply_to: Some(long.clone()), ..message() },
        ] {
            assert!(envelope(&outgoing(Exchange::Commands, message)).is_err());
        }
        let routed = Outgoing { routing_key: long, ..outgoing(Exchange::Default, message()) };
        assert!(envelope(&routed).is_err());
    }

    fn anything() -> impl Strategy<Value = AMQPValue> {
        let leaf = prop_oneof![
            Just(AMQPValue::Void),
            any::<bool>().prop_map(AMQPValue::Boolean),
            any::<i64>().prop_map(AMQPValue::LongLongInt),
            any::<f64>().prop_map(AMQPValue::Double),
            any::<u64>().prop_map(AMQPValue::Timestamp),
            prop::collection::vec(any::<u8>(), 0..40)
                .prop_map(|bytes| AMQPValue::LongString(bytes.into())),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            let names = prop::sample::select(vec!["queue", "reason", "routing-keys", "count"]);
            let entries = prop::collection::vec((names, inner.clone()), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(array),
                entries.prop_map(|entries| AMQPValue::FieldTable(table(&entries))),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_header_is_too_strange(
            values in prop::collection::vec(
                (prop::sample::select(vec![TRACE, DEATH_QUEUE, DEATH_REASON, BROKER_DEATHS, DELIVERIES]), anything()),
                0..5,
            ),
        ) {
            let message = incoming(delivery("skald.dead", table(&values))).message;
            let death = message.death.map(|death| death.reason).unwrap_or_default();
            prop_assert!(death.chars().count() <= MAX_REASON && !death.contains('\0'));
        }
    }
}
