//! Every message is a CloudEvents 1.0 structured event, a NestJS packet, and a message of the
//! contract.

use std::collections::BTreeSet;

use chrono::DateTime;
use serde_json::{Map, Value};
use skald::contract::message::{Exchange, Outgoing};
use skald::contract::names::{MessageId, command_type, event_type};
use skald::saga::effect::IdempotencyKey;

use crate::messages::messages;

type Body = Map<String, Value>;

fn bodies() -> Vec<(&'static str, Outgoing, Body)> {
    let read = |(name, outgoing): (_, Outgoing)| {
        let body = serde_json::from_slice(&outgoing.message.body).unwrap();
        (name, outgoing, body)
    };
    messages().into_iter().map(read).collect()
}

#[track_caller]
fn text<'a>(body: &'a Body, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("{name} is no text"))
}

fn is_utc(time: &str) -> bool {
    DateTime::parse_from_rfc3339(time).is_ok() && time.ends_with('Z')
}

#[test]
fn every_message_is_a_structured_cloud_event() {
    for (name, _, body) in bodies() {
        let members: BTreeSet<&str> = body.keys().map(String::as_str).collect();
        let attributes = members.iter().filter(|member| **member != "data");
        for attribute in attributes {
            let lower = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
            assert!(attribute.bytes().all(lower) && attribute.len() <= 20, "{name}: {attribute}");
            assert!(!text(&body, attribute).is_empty(), "{name}: {attribute} is empty");
        }
        assert_eq!(text(&body, "specversion"), "1.0", "{name}");
        assert_eq!(text(&body, "datacontenttype"), "application/json", "{name}");
        assert!(text(&body, "source").starts_with("/skald/"), "{name}: a path is a URI reference");
        assert!(is_utc(text(&body, "time")), "{name}: {}", body["time"]);
        assert!(body["data"].is_object() && !members.contains("data_base64"), "{name}");
        let needed = ["id", "source", "specversion", "type"];
        let known = ["data", "datacontenttype", "pattern", "subject", "time", "traceparent"];
        assert_eq!(members, needed.into_iter().chain(known).collect(), "{name}");
    }
}

#[test]
fn every_message_has_an_id_of_its_own_within_its_source() {
    let bodies = bodies();
    let ids: BTreeSet<_> =
        bodies.iter().map(|(_, _, body)| (text(body, "source"), text(body, "id"))).collect();
    assert_eq!(ids.len(), bodies.len());
}

#[test]
fn messages_of_one_trace_have_spans_of_their_own() {
    let ours = bodies().into_iter().filter(|(name, ..)| !name.starts_with("replies/"));
    let traces: Vec<String> =
        ours.map(|(_, _, body)| text(&body, "traceparent").to_owned()).collect();
    assert_eq!(traces.iter().collect::<BTreeSet<_>>().len(), traces.len(), "{traces:#?}");
}

#[test]
fn the_body_says_what_the_properties_say() {
    for (name, outgoing, body) in bodies() {
        let message = &outgoing.message;
        assert_eq!(text(&body, "id"), message.id, "{name}");
        assert_eq!(text(&body, "type"), message.kind, "{name}");
        assert_eq!(body["pattern"], body["type"], "{name}: NestJS routes by it");
        assert_eq!(body["traceparent"].as_str(), message.traceparent.as_deref(), "{name}");
        match outgoing.exchange {
            Exchange::Commands => {
                assert_eq!(outgoing.routing_key, message.kind, "{name}");
                assert_eq!(message.correlation_id.as_ref(), Some(&message.id), "{name}");
                assert_eq!(message.reply_to.as_deref(), Some("skald.replies.7"), "{name}");
            }
            Exchange::Events => {
                assert_eq!(outgoing.routing_key, message.kind, "{name}");
                assert_eq!((&message.correlation_id, &message.reply_to), (&None, &None), "{name}");
            }
            Exchange::Default => {
                assert_eq!(outgoing.routing_key, "skald.replies.7", "{name}");
                let command = message.correlation_id.as_deref().and_then(MessageId::parse);
                assert!(command.is_some(), "{name}");
                assert_eq!(message.reply_to, None, "{name}");
            }
            Exchange::Dead => panic!("{name} was born dead"),
        }
    }
}

#[test]
fn the_data_are_a_typed_message_with_its_metadata() {
    for (name, outgoing, body) in bodies() {
        let data = body["data"].as_object().unwrap();
        let metadata = data["metadata"].as_object().unwrap();
        let is_command = outgoing.exchange == Exchange::Commands;
        let (member, expected) = if is_command {
            ("commandType", command_type(&outgoing.message.kind))
        } else {
            ("eventType", event_type(&outgoing.message.kind))
        };
        assert_eq!(text(data, member), expected, "{name}");
        assert_eq!(data.len(), 3, "{name}: {data:?}");
        assert_eq!(text(metadata, "source"), "skald", "{name}");
        assert_eq!(metadata["timestamp"], body["time"], "{name}");
        let trace = text(&body, "traceparent").split('-').nth(1);
        assert_eq!(metadata["traceId"].as_str(), trace, "{name}");
        let saga = text(metadata, "sagaId");
        assert!(text(&body, "id").starts_with(saga), "{name}");
        assert!(MessageId::parse(text(metadata, "causationId")).is_some(), "{name}");
        let is_reply = outgoing.exchange == Exchange::Default;
        assert_eq!(metadata.contains_key("sequence"), !is_reply, "{name}");
        let of_commands = ["idempotencyKey", "attempt", "deadline"];
        for member in of_commands {
            assert_eq!(metadata.contains_key(member), is_command, "{name}: {member}");
        }
        if is_command {
            let key = IdempotencyKey::parse(text(metadata, "idempotencyKey")).unwrap();
            assert_eq!(key.saga.to_string(), saga, "{name}");
            assert!(metadata["attempt"].as_u64() >= Some(1), "{name}");
            assert!(is_utc(text(metadata, "deadline")), "{name}");
        }
        let known = 5 + usize::from(!is_reply) + if is_command { of_commands.len() } else { 0 };
        assert_eq!(metadata.len(), known, "{name}: {metadata:?}");
    }
}

#[test]
fn a_trace_keeps_whether_it_is_sampled() {
    for (name, outgoing, _) in bodies() {
        let trace = outgoing.message.traceparent.unwrap();
        let is_given = trace.contains("-4bf92f3577b34da6a3ce929d0e0e4736-");
        assert!(trace.ends_with(if is_given { "-00" } else { "-01" }), "{name}: {trace}");
    }
}

#[test]
fn amounts_are_numbers_with_the_decimals_of_their_currency() {
    let body_of = |name: &str| {
        let body = messages()[name].message.body.clone();
        String::from_utf8(body.to_vec()).unwrap()
    };
    let euros = body_of("events/order.created");
    assert!(euros.contains(r#""price":199.90}"#) && euros.contains(r#""totalAmount":404.30}"#));
    let yen = body_of("commands/notification.send.order_cancelled");
    assert!(yen.contains(r#""price":19990}"#) && yen.contains(r#""totalAmount":40430,"#), "{yen}");
    let dinars = body_of("commands/inventory.release");
    assert!(dinars.contains(r#""price":19.990}"#), "{dinars}");
}
