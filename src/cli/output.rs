//! Results go to standard output, everything else to standard error.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Map, Value};

use super::failure::{Exit, Failure};

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs: one JSON value.
    Json,
}

/// Writes a result and a line break.
///
/// # Errors
/// When it can't be written. A reader who has read enough is no error.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let what = format!("the result can't be written: {error}");
            Err(Failure::new(Exit::Failed, "NOT_WRITTEN", what))
        }
        _ => Ok(()),
    }
}

/// An empty table without lines, as wide as it needs to be.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = plain_table();
    table.set_header(header);
    table
}

/// An empty table without lines and header.
pub fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// The table as text, without the spaces at its edges.
pub fn render(table: &Table) -> String {
    let lines = table.lines().map(|line| {
        let line = line.trim_end();
        line.strip_prefix(' ').unwrap_or(line).to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Text from outside without anything that a terminal would obey.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The failure of a server that answers in another shape than Skald does.
pub fn not_skald() -> Failure {
    Failure::new(Exit::Failed, "NOT_SKALD", "the server did not answer as Skald does")
        .next("check the URL, and that the server's version fits this program's")
}

/// The text in `object` under `name`; a dash where there is none.
pub fn text<'a>(object: &'a Map<String, Value>, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or("-")
}

/// The members of an object as words: `step=send-confirmation attempts=10`.
pub fn members(object: &Map<String, Value>) -> String {
    let words = object.iter().map(|(name, value)| match value {
        Value::String(text) => format!("{name}={text}"),
        value => format!("{name}={value}"),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The text in `object` under `name`; nothing where there is none.
pub fn optional<'a>(object: &'a Map<String, Value>, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}
