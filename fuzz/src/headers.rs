//! Headers, of requests and of messages.

use std::net::IpAddr;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use lapin::BasicProperties;
use lapin::message::Delivery;
use lapin::types::parsing::parse_field_table;
use skald::bus::rabbitmq::wire::{envelope, incoming};
use skald::contract::message::{Exchange, Message, Outgoing};
use skald::contract::trace::TraceContext;
use skald::http::reading::{Guard, Key, Trace, Wait, check_headers, if_match, last_event_id};

/// The longest name and property of a message, and the longest reason of a death in characters.
const LONGEST_NAME: usize = 255;
const LONGEST_REASON: usize = 1_000;

/// The name under which the server may be reached.
const OWN_NAME: &str = "skald.example";

pub fn check(data: &[u8]) {
    let (first, rest) = super::head(data);
    let mut words = first.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("http"), Some(method), Some(path)) => of_a_request(method, path, rest),
        (Some("amqp"), Some(exchange), None) => of_a_message(exchange, rest),
        _ => {}
    }
}

fn of_a_request(method: &str, path: &str, lines: &[u8]) {
    let (Ok(method), Ok(uri)) = (Method::from_bytes(method.as_bytes()), path.parse::<Uri>()) else {
        return;
    };
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    what_is_wanted(&headers);
    let refused = [
        check_headers(&headers, "application/json").err(),
        Guard::new([OWN_NAME])
            .check(&method, &uri, &headers)
            .map(|()| is_ours(&uri, &headers))
            .err(),
    ];
    refused.iter().flatten().for_each(super::is_told);
}

/// What is understood reads the same once it is written again.
fn what_is_wanted(headers: &HeaderMap) {
    match Key::of(headers, "orders") {
        Ok(Some(key)) => {
            let text = key.clone().into_string();
            let text = text.strip_prefix("orders:").unwrap();
            assert!((1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()));
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            let again = Key::of(&alone("idempotency-key", &quoted), "orders");
            assert_eq!(again.unwrap(), Some(key));
        }
        Ok(None) => {}
        Err(problem) => super::is_told(&problem),
    }
    if let Some(wait) = Wait::of(headers) {
        assert!((1..=60).contains(&wait.duration().as_secs()));
        let (_, value) = wait.applied();
        assert_eq!(Wait::of(&alone("prefer", value.to_str().unwrap())), Some(wait));
    }
    if let Some(trace) = Trace::of(headers) {
        let context = TraceContext::parse(trace.as_str()).unwrap();
        assert_eq!(format!("{:032x}", context.trace), trace.id());
        assert_eq!(Trace::of(&alone("traceparent", trace.as_str())), Some(trace));
    }
    match if_match(headers) {
        Ok(Some(version)) => {
            let given = headers.get("if-match").unwrap().to_str().unwrap();
            assert_eq!(given.trim(), format!("\"{version}\""));
        }
        Ok(None) => {}
        Err(problem) => super::is_told(&problem),
    }
    match last_event_id(headers) {
        Ok(Some(id)) => assert_eq!(headers.get("last-event-id").unwrap(), &id.to_string()),
        Ok(None) => {}
        Err(problem) => super::is_told(&problem),
    }
}

fn alone(name: &'static str, value: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    headers
}

/// Whoever is let in named a host that is ours, whatever else was said.
fn is_ours(uri: &Uri, headers: &HeaderMap) {
    let named = headers.get("host").map(|host| host.to_str().unwrap());
    let named = named.or(uri.authority().map(|authority| authority.as_str())).unwrap();
    let host = match named.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => named.split(':').next(),
    };
    let host = host.unwrap().to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    let by_address = ["/livez", "/readyz", "/metrics"].contains(&uri.path());
    let fits = match address {
        Some(address) => address.is_loopback() || by_address,
        None => host == "localhost" || host == OWN_NAME,
    };
    assert!(fits, "{named}");
}

/// A message has properties that a store keeps, and is the same after another journey.
fn of_a_message(exchange: &str, table: &[u8]) {
    let Ok((_, headers)) = parse_field_table(table) else { return };
    if exchange.len() > LONGEST_NAME {
        return;
    }
    let mut delivery =
        Delivery::mock(1, exchange.into(), "inventory.reserve".into(), true, b"{}".to_vec());
    let properties = BasicProperties::default().with_headers(headers);
    delivery.properties = properties.with_type("inventory.reserve".into());
    let read = incoming(delivery);
    assert!(read.redeliveries >= 1);
    let message = read.message;
    let trace = message.traceparent.iter();
    let death = message.death.iter();
    let names = trace.chain(death.clone().flat_map(|death| [&death.queue, &death.routing_key]));
    names.for_each(|name| assert!(name.len() <= LONGEST_NAME && !name.contains('\0')));
    death.for_each(|death| {
        assert_eq!(exchange, Exchange::Dead.as_str());
        assert!(death.reason.chars().count() <= LONGEST_REASON && !death.reason.contains('\0'));
    });
    let exchange = if message.death.is_some() { Exchange::Dead } else { Exchange::Commands };
    assert_eq!(over_the_wire(exchange, &message), message);
}

fn over_the_wire(exchange: Exchange, message: &Message) -> Message {
    let routing_key = message.death.as_ref().map_or(&message.kind, |death| &death.routing_key);
    let outgoing =
        Outgoing { exchange, routing_key: routing_key.clone(), message: message.clone() };
    let sent = envelope(&outgoing).unwrap();
    let body = message.body.to_vec();
    let mut delivery = Delivery::mock(1, sent.exchange, sent.routing_key, false, body);
    delivery.properties = sent.properties;
    incoming(delivery).message
}
