//! Sagas as tables.

use serde_json::{Map, Value};

use crate::cli::failure::Failure;
use crate::cli::output::{
    members, not_skald, optional, plain_table, printable, render, table, text,
};

/// Sagas, one a line; none where the server wrote something else.
pub fn sagas(found: &[Value]) -> Option<String> {
    let mut lines = table(["SAGA", "DEFINITION", "KEY", "STATUS", "UPDATED"]);
    for saga in found {
        let saga = saga.as_object()?;
        lines.add_row(
            [
                text(saga, "sagaId").to_owned(),
                definition(saga),
                text(saga, "key").to_owned(),
                text(saga, "status").to_owned(),
                text(saga, "updatedAt").to_owned(),
            ]
            .map(|cell| printable(&cell)),
        );
    }
    Some(render(&lines))
}

/// A saga with its steps, and its history if it is there.
///
/// # Errors
/// When the server wrote something else.
pub fn saga(saga: &Value, history: Option<&[Value]>) -> Result<String, Failure> {
    let saga = saga.as_object().ok_or_else(not_skald)?;
    let mut parts = vec![summary(saga), steps(saga).ok_or_else(not_skald)?];
    if let Some(history) = history {
        parts.push(events(history).ok_or_else(not_skald)?);
    }
    Ok(parts.join("\n\n"))
}

fn summary(saga: &Map<String, Value>) -> String {
    let mut lines = plain_table();
    let mut add = |name: &str, value: String| {
        lines.add_row([name.to_owned(), printable(&value)]);
    };
    add("saga", text(saga, "sagaId").to_owned());
    add("definition", definition(saga));
    add("key", text(saga, "key").to_owned());
    add("status", text(saga, "status").to_owned());
    if let Some(reason) = saga.get("reason").and_then(Value::as_object) {
        add("reason", format!("{} {}", text(reason, "code"), optional(reason, "text")));
    }
    add("created", text(saga, "createdAt").to_owned());
    add("updated", text(saga, "updatedAt").to_owned());
    let attention = saga.get("attention").and_then(Value::as_array).into_iter().flatten();
    let attention: Vec<_> = attention.filter_map(Value::as_object).collect();
    for attention in &attention {
        add("attention", members(attention));
    }
    if !attention.is_empty() {
        add("next", format!("skald saga retry {} --reason \"...\"", text(saga, "sagaId")));
    }
    render(&lines)
}

fn definition(saga: &Map<String, Value>) -> String {
    let Some(definition) = saga.get("definition").and_then(Value::as_object) else {
        return "-".to_owned();
    };
    let version = definition.get("version").map(Value::to_string).unwrap_or_default();
    format!("{} v{version}", text(definition, "name"))
}

fn steps(saga: &Map<String, Value>) -> Option<String> {
    let mut lines = table(["STEP", "STATE", "ATTEMPT", "DETAIL"]);
    for step in saga.get("steps")?.as_array()? {
        let step = step.as_object()?;
        let detail = ["setback", "reason", "until", "result"];
        let detail: Map<_, _> = detail
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), step.get(*name)?.clone())))
            .collect();
        lines.add_row([
            printable(text(step, "name")),
            printable(text(step, "state")),
            step.get("attempt").map(Value::to_string).unwrap_or_default(),
            printable(&members(&detail)),
        ]);
    }
    Some(render(&lines))
}

fn events(history: &[Value]) -> Option<String> {
    let mut lines = table(["#", "AT", "EVENT", "DETAIL"]);
    for event in history {
        let event = event.as_object()?;
        let detail = event.get("data").and_then(Value::as_object).map(members);
        lines.add_row([
            event.get("sequence").map(Value::to_string).unwrap_or_default(),
            printable(text(event, "at")),
            printable(text(event, "type")),
            printable(&detail.unwrap_or_default()),
        ]);
    }
    Some(render(&lines))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_saga_that_needs_attention_is_shown_with_what_to_do() {
        let stuck = json!({
            "sagaId": "0190", "definition": {"name": "order", "version": 1}, "key": "o-1",
            "status": "NEEDS_ATTENTION", "createdAt": "then", "updatedAt": "now",
            "attention": [{"step": "send-confirmation", "cause": "NOT_ANSWERED", "attempts": 10}],
            "steps": [
                {"name": "reserve-inventory", "state": "SUCCEEDED", "attempt": 1, "result": {"a": 1}},
                {"name": "send-confirmation", "state": "DOING", "setback": "TIMED_OUT"},
            ],
        });
        let history = [json!({"sequence": 1, "at": "then", "type": "SAGA_STARTED", "data": {}})];
        let shown = saga(&stuck, Some(&history)).unwrap();
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "saga        0190");
        assert_eq!(lines[1], "definition  order v1");
        assert!(shown.contains("attempts=10 cause=NOT_ANSWERED step=send-confirmation"), "{shown}");
        assert!(shown.contains("next        skald saga retry 0190 --reason"), "{shown}");
        assert!(
            shown.contains("reserve-inventory  SUCCEEDED  1        result={\"a\":1}"),
            "{shown}"
        );
        assert!(shown.contains("1  then  SAGA_STARTED"), "{shown}");
    }

    #[test]
    fn a_server_cannot_send_commands_to_the_terminal() {
        let listed = sagas(&[json!({"sagaId": "0190", "key": "\u{1b}[2Jgone"})]).unwrap();
        assert!(listed.contains("\u{fffd}[2Jgone"), "{listed:?}");
    }

    #[test]
    fn another_shape_is_told_apart() {
        assert!(saga(&json!([]), None).is_err());
        assert!(saga(&json!({"sagaId": "0190"}), None).is_err());
        assert_eq!(sagas(&[json!(7)]), None);
    }
}
