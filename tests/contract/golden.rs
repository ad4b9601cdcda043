//! Every message is byte for byte what it was.
//!
//! Each file in `golden/` holds one message with its exchange, routing key and properties; the body
//! is the line after `"body":`, to the byte. A test that fails here means that what goes over the
//! wire has changed, for workers and listeners that nobody here knows. Members may be added; what
//! is there stays as it is. Where that is meant, write the files anew with
//! `GOLDEN=update cargo test --test contract golden`, and look at the difference.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use skald::contract::message::Outgoing;

use crate::messages::messages;

const KINDS: [&str; 3] = ["commands", "events", "replies"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract/golden")
}

fn text_of(Outgoing { exchange, routing_key, message }: &Outgoing) -> String {
    let frame = json!({"exchange": exchange.as_str(), "routing_key": routing_key});
    let properties = [
        ("message_id", Some(&message.id)),
        ("type", Some(&message.kind)),
        ("correlation_id", message.correlation_id.as_ref()),
        ("reply_to", message.reply_to.as_ref()),
        ("traceparent", message.traceparent.as_ref()),
    ];
    let properties = properties.map(|(name, value)| format!("  {}: {}", json!(name), json!(value)));
    format!(
        "{{\"exchange\": {}, \"routing_key\": {},\n \"properties\": {{\n{}}},\n \"body\":\n{}\n}}\n",
        frame["exchange"],
        frame["routing_key"],
        properties.join(",\n"),
        std::str::from_utf8(&message.body).unwrap(),
    )
}

/// Where two texts part, and how they go on from shortly before.
fn difference(was: &str, is: &str) -> String {
    let same = was.bytes().zip(is.bytes()).take_while(|(was, is)| was == is).count();
    let from =
        (0..=same.saturating_sub(40)).rev().find(|at| was.is_char_boundary(*at)).unwrap_or(0);
    let excerpt = |text: &str| text[from..].chars().take(160).collect::<String>();
    format!("from byte {same} on\n  was …{}\n   is …{}", excerpt(was), excerpt(is))
}

fn files() -> BTreeSet<String> {
    let names = KINDS.iter().flat_map(|kind| {
        let entries = fs::read_dir(folder().join(kind)).unwrap();
        entries.map(move |entry| format!("{kind}/{}", entry.unwrap().file_name().to_string_lossy()))
    });
    names.collect()
}

#[test]
fn every_message_is_byte_for_byte_what_it_was() {
    let (mut wrong, mut written) = (Vec::new(), BTreeSet::new());
    for (name, outgoing) in messages() {
        let file = format!("{name}.json");
        let is = text_of(&outgoing);
        if std::env::var_os("GOLDEN").is_some_and(|wish| wish == "update") {
            fs::write(folder().join(&file), &is).unwrap();
        }
        let was = fs::read_to_string(folder().join(&file)).unwrap_or_default();
        if was != is {
            wrong.push(format!("{name}: {}", difference(&was, &is)));
        }
        written.insert(file);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(files(), written, "the files, and the messages that are written");
}
