//! No body, however broken, breaks its reader: it is read, or there is a short reason why not.

use std::sync::LazyLock;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use skald::contract::command::{self, CommandError};
use skald::contract::envelope::MAX_BODY;
use skald::contract::message::Message;
use skald::contract::reply::{self, MAX_RESULT};
use skald::saga::input::Answer;
use skald::workers::inventory::command::InventoryCommand;
use skald::workers::notification::command::NotificationCommand;

use crate::messages::messages;

/// The longest reason of an error, in bytes: some sentences with a quotation of 200 characters.
const MAX_REASON: usize = 2_000;

static GOLDEN: LazyLock<Vec<Message>> =
    LazyLock::new(|| messages().into_values().map(|outgoing| outgoing.message).collect());

/// Has everything that reads messages read this one.
fn read(message: &Message) -> Result<(), TestCaseError> {
    match command::read(message) {
        Ok(command) => {
            let read = [
                InventoryCommand::read(command.clone()).err(),
                NotificationCommand::read(command).err(),
            ];
            for poison in read.into_iter().flatten() {
                prop_assert!(!poison.to_string().is_empty());
            }
        }
        Err(error) => {
            let reason = error.to_string();
            prop_assert!(!reason.is_empty() && reason.len() <= MAX_REASON, "{}", reason);
        }
    }
    match reply::read(message) {
        Ok((_, Ok(Answer::Success(result)))) => {
            prop_assert!(result.as_str().len() <= MAX_RESULT);
            prop_assert!(result.read::<serde::de::IgnoredAny>().is_ok(), "{:?}", result);
        }
        Ok((_, Ok(Answer::Failure(reason)))) => {
            prop_assert!(reason.code.as_str().len() <= 64 && reason.text.chars().count() <= 200);
        }
        Ok((_, Ok(Answer::Setback(_)))) => {}
        Ok((_, Err(unexplained))) => prop_assert!(unexplained.to_string().len() <= MAX_REASON),
        Err(error) => prop_assert!(!error.to_string().is_empty()),
    }
    Ok(())
}

fn with_body(message: &Message, body: impl Into<Bytes>) -> Message {
    // As a reply to itself, so that both readers get to the body.
    Message { body: body.into(), correlation_id: Some(answered(message)), ..message.clone() }
}

fn answered(message: &Message) -> String {
    message.correlation_id.clone().unwrap_or_else(|| message.id.clone())
}

fn golden() -> impl Strategy<Value = Message> {
    any::<Index>().prop_map(|index| index.get(&GOLDEN).clone())
}

/// JSON of any shape, with the members that readers look for and texts that mean something to them.
fn json() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        prop::sample::select(vec![
            "data",
            "eventType",
            "commandType",
            "metadata",
            "idempotencyKey",
            "response",
            "err",
            "isDisposed",
            "reason",
            "code",
            "text",
            "message",
            "status",
            "retryable",
            "items",
            "productId",
            "quantity",
            "price",
            "totalAmount",
            "currency",
            "template",
            "orderId",
        ])
        .prop_map(str::to_owned),
        ".{0,5}",
    ];
    let text = prop_oneof![
        prop::sample::select(vec![
            "RESERVE_INVENTORY",
            "INVENTORY_RESERVATION_FAILED",
            "INSUFFICIENT_STOCK",
            "019b7c9f-0e2e-7000-b000-000000000001:reserve-inventory:1:do",
            "EUR",
            "ORDER_CANCELLED",
            "error",
        ])
        .prop_map(str::to_owned),
        ".{0,20}",
    ];
    let quoted = |text: String| serde_json::to_string(&text).unwrap();
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,9})?",
        text.prop_map(quoted),
        Just("\"\\ud800\"".to_owned()),
    ];
    leaf.prop_recursive(8, 64, 6, move |inner| {
        let members = vec((name.clone().prop_map(quoted), inner.clone()), 0..6);
        prop_oneof![
            vec(inner, 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            members.prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// A way to break a body.
#[derive(Clone, Debug)]
enum Break {
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize),
    Insert(Index, String),
}

fn breaks() -> impl Strategy<Value = Vec<Break>> {
    let any_break = prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Break::Flip(at, byte)),
        any::<Index>().prop_map(Break::Cut),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Break::Remove(at, length)),
        (any::<Index>(), 1..40_usize).prop_map(|(at, length)| Break::Repeat(at, length)),
        (any::<Index>(), json()).prop_map(|(at, json)| Break::Insert(at, json)),
    ];
    vec(any_break, 1..4)
}

fn broken(body: &[u8], breaks: &[Break]) -> Vec<u8> {
    let mut body = body.to_vec();
    for one in breaks {
        let place = |at: &Index| at.index(body.len() + 1);
        let piece = |from: usize, length: usize| from..(from + length).min(body.len());
        match one {
            Break::Flip(at, byte) if !body.is_empty() => {
                let at = at.index(body.len());
                body[at] = *byte;
            }
            Break::Flip(..) => {}
            Break::Cut(at) => body.truncate(place(at)),
            Break::Remove(at, length) => drop(body.drain(piece(place(at), *length))),
            Break::Repeat(at, length) => {
                let from = place(at);
                let again = body[piece(from, *length)].to_vec();
                body.splice(from..from, again);
            }
            Break::Insert(at, json) => {
                let at = place(at);
                body.splice(at..at, json.bytes());
            }
        }
    }
    body
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_have_a_reason(message in golden(), body in vec(any::<u8>(), 0..400)) {
        read(&with_body(&message, body))?;
    }

    #[test]
    fn any_json_is_read_or_has_a_reason(message in golden(), body in json()) {
        read(&with_body(&message, body))?;
    }

    #[test]
    fn any_data_in_the_envelope_are_read_or_have_a_reason(
        message in golden(),
        (data, metadata) in (json(), json()),
        kind in prop_oneof![Just("commandType"), Just("eventType")],
    ) {
        let name = skald::contract::names::command_type(&message.kind);
        let body = format!(
            r#"{{"data":{{"{kind}":"{name}","data":{data},"metadata":{metadata}}}}}"#
        );
        read(&with_body(&message, body))?;
    }

    #[test]
    fn a_broken_message_is_read_or_has_a_reason(message in golden(), breaks in breaks()) {
        read(&with_body(&message, broken(&message.body, &breaks)))?;
    }
}

#[test]
fn every_golden_message_passes_its_readers() {
    for message in GOLDEN.iter() {
        let said = reply::read(&with_body(message, message.body.clone())).unwrap().1;
        assert!(said.is_ok(), "{message:?}");
        if message.reply_to.is_some() {
            let command = command::read(message).unwrap();
            let poison = match command.name.split('.').next() {
                Some("inventory") => InventoryCommand::read(command).err(),
                _ => NotificationCommand::read(command).err(),
            };
            assert_eq!(poison, None, "{message:?}");
        }
    }
}

#[test]
fn a_command_that_is_too_long_is_not_even_parsed() {
    let message = with_body(&GOLDEN[0], vec![b'['; MAX_BODY + 1]);
    assert_eq!(command::read(&message), Err(CommandError::TooLong(MAX_BODY + 1)));
    let nested = command::read(&with_body(&GOLDEN[0], vec![b'['; MAX_BODY]));
    assert!(matches!(nested, Err(CommandError::Unreadable(_))));
}

#[test]
fn a_reason_does_not_repeat_a_whole_body() {
    let text = "x".repeat(MAX_BODY / 2);
    for body in [
        format!("\"{text}\""),
        format!(r#"{{"data":"{text}"}}"#),
        format!(r#"{{"data":{{"commandType":"{text}","data":1,"metadata":{{}}}}}}"#),
    ] {
        let reason = command::read(&with_body(&GOLDEN[0], body)).unwrap_err().to_string();
        assert!(reason.len() <= MAX_REASON, "{} bytes", reason.len());
    }
}
