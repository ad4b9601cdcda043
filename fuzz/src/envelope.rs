//! Commands as workers read them, bundles, and what is kept of a message that died.

use bytes::Bytes;
use serde::de::IgnoredAny;
use serde_json::json;
use skald::bus::rabbitmq::bundle::{self, unpack};
use skald::bus::rabbitmq::wire::Incoming;
use skald::contract::command::{self, IncomingCommand};
use skald::contract::letter::{Properties, send_again};
use skald::contract::message::{Exchange, Message};
use skald::contract::names::command_type;
use skald::saga::effect::IdempotencyKey;
use skald::saga::id::CommandName;
use skald::workers::inventory::command::InventoryCommand;
use skald::workers::notification::command::NotificationCommand;

/// What a bundle may hold.
const MEMBERS: usize = 64;
const LONGEST_PROPERTY: usize = 255;

pub fn check(data: &[u8]) {
    let (kind, body) = super::head(data);
    let message = message(&kind, Bytes::copy_from_slice(body));
    is_read_or_refused(&message);
    comes_back_from_a_letter(&message);
    if kind == bundle::KIND {
        is_taken_apart_or_left_whole(message);
    }
}

fn message(kind: &str, body: Bytes) -> Message {
    let id = "019b7c9f-0e2e-7000-b000-000000000001:2";
    Message {
        id: id.to_owned(),
        kind: kind.to_owned(),
        correlation_id: Some(id.to_owned()),
        reply_to: Some("skald.replies.7".to_owned()),
        traceparent: None,
        body,
        death: None,
    }
}

/// A command reads the same once it is written again; what is none has a reason.
fn is_read_or_refused(message: &Message) {
    let command = match command::read(message) {
        Ok(command) => command,
        Err(error) => return super::is_reason(&error.to_string()),
    };
    assert_eq!(IdempotencyKey::parse(&command.key.to_string()).as_ref(), Some(&command.key));
    let written = Message { body: written(&command), ..message.clone() };
    assert_eq!(command::read(&written).as_ref(), Ok(&command));
    let poison =
        [InventoryCommand::read(command.clone()).err(), NotificationCommand::read(command).err()];
    assert!(poison.iter().any(Option::is_some), "{message:?} is a command of two workers");
    // A worker cuts it before it tells anybody.
    assert!(poison.into_iter().flatten().all(|poison| !poison.0.is_empty()));
}

fn written(IncomingCommand { name, key, body }: &IncomingCommand) -> Bytes {
    let metadata = json!({"idempotencyKey": key.to_string()});
    let (kind, metadata) = (json!(command_type(name)), metadata.to_string());
    let body = body.as_str();
    let text =
        format!(r#"{{"data":{{"commandType":{kind},"data":{body},"metadata":{metadata}}}}}"#);
    Bytes::from(text)
}

/// A message that died is the same message once it is sent again.
fn comes_back_from_a_letter(message: &Message) {
    let kept = json!(Properties::of(message)).to_string();
    let queue = CommandName::from(message.kind.as_str()).queue();
    let again = send_again(queue.as_str(), &message.kind, &kept, &message.body).unwrap();
    assert_eq!((again.exchange, &again.routing_key), (Exchange::Commands, &message.kind));
    assert_eq!(&again.message, message);
    let reply = send_again("skald.replies.7", &message.kind, &kept, &message.body).unwrap();
    assert_eq!((reply.exchange, &*reply.routing_key), (Exchange::Default, "skald.replies.7"));
    // Somebody may have changed what was kept; it is a message or has a reason.
    let kept = String::from_utf8_lossy(&message.body);
    if let Err(error) = send_again("skald.replies.7", &message.kind, &kept, b"{}") {
        super::is_reason(&error.to_string());
    }
}

/// What says that it is a bundle is one, of messages as they could have come alone, or stays as it is.
fn is_taken_apart_or_left_whole(message: Message) {
    let routing_key = "inventory.bundle".to_owned();
    let bundle = Incoming { message: message.clone(), routing_key, redeliveries: 3 };
    let members = match unpack(bundle) {
        Ok(members) => members,
        Err(whole) => return assert_eq!(whole.message, message),
    };
    assert!((1..=MEMBERS).contains(&members.len()));
    for Incoming { message, routing_key, redeliveries } in members {
        assert_eq!((routing_key.as_str(), redeliveries), (message.kind.as_str(), 3));
        let properties = [message.correlation_id, message.reply_to, message.traceparent];
        let all = properties.into_iter().flatten().chain([message.id, message.kind]);
        all.for_each(|text| assert!(text.len() <= LONGEST_PROPERTY && !text.contains('\0')));
        assert!(serde_json::from_slice::<IgnoredAny>(&message.body).is_ok());
    }
}
