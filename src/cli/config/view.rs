//! Settings as a table and as JSON.

use serde_json::{Value as Json, json};

use crate::cli::output::{printable, render, table as empty_table};
use crate::config::{Origin, Place, Setting, Unset, Value};

/// Every setting with its value and where it comes from, one a line.
pub fn table(origins: &[Origin]) -> String {
    let mut lines = empty_table(["SETTING", "VALUE", "FROM"]);
    for Origin { setting, given } in origins {
        let (value, from) = match given {
            Some((value, place)) => (text(value), from(place)),
            None => (setting.default_shown().replace('`', ""), "default".to_owned()),
        };
        lines.add_row([setting.key, &printable(&value), &printable(&from)]);
    }
    render(&lines)
}

/// The same for programs. A default for which there are only words is `null`, with the words beside it.
pub fn json(origins: &[Origin]) -> Json {
    let entry = |Origin { setting, given }: &Origin| match given {
        Some((value, place)) => {
            json!({"setting": setting.key, "value": typed(value), "from": source(place)})
        }
        None => match setting.unset {
            Unset::Value => {
                json!({"setting": setting.key, "value": default(setting), "from": {"kind": "default"}})
            }
            Unset::Words(words) => json!({"setting": setting.key, "value": null,
                "from": {"kind": "default", "words": words.replace('`', "")}}),
        },
    };
    origins.iter().map(entry).collect()
}

fn text(value: &Value) -> String {
    match value {
        Value::Plain(text) | Value::Text(text) => text.clone(),
        Value::List(entries) => entries.join(", "),
        other => other.to_string(),
    }
}

fn from(place: &Place) -> String {
    match place {
        Place::Variable(name) => name.clone(),
        other => other.to_string(),
    }
}

fn typed(value: &Value) -> Json {
    match value {
        Value::Plain(text) | Value::Text(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Decimal(text) => json!(text.parse::<f64>().ok()),
        Value::Boolean(value) => json!(value),
        Value::List(entries) => json!(entries),
        Value::Other(kind) => json!(kind),
    }
}

fn default(setting: &Setting) -> Json {
    let line = format!("value = {}", setting.example);
    let read = toml::from_str::<toml::Table>(&line).ok();
    read.and_then(|table| serde_json::to_value(table.get("value")?).ok()).unwrap_or_default()
}

fn source(place: &Place) -> Json {
    match place {
        Place::Flag(flag) => json!({"kind": "flag", "flag": flag}),
        Place::Variable(name) => json!({"kind": "variable", "variable": name}),
        Place::File { path, line, column } => {
            json!({"kind": "file", "path": path, "line": line, "column": column})
        }
        Place::Command => json!({"kind": "command"}),
    }
}
