//! Dead letters as tables.

use serde_json::{Map, Value};

use crate::cli::output::{members, plain_table, printable, render, table, text};

/// Letters, one a line; none where the server wrote something else.
pub fn letters(found: &[Value]) -> Option<String> {
    let mut lines = table(["LETTER", "DIED", "QUEUE", "MESSAGE", "STATE", "REASON"]);
    for letter in found {
        let letter = letter.as_object()?;
        let cells = ["letterId", "diedAt", "queue", "routingKey", "state", "reason"];
        lines.add_row(cells.map(|name| printable(text(letter, name))));
    }
    Some(render(&lines))
}

/// A letter with its message and the decisions about it; none where the server wrote something else.
pub fn letter(letter: &Value) -> Option<String> {
    let letter = letter.as_object()?;
    let decisions = letter.get("decisions")?.as_array()?;
    let mut parts = vec![summary(letter)];
    if !decisions.is_empty() {
        let mut lines = table(["AT", "DECISION", "OUTCOME", "BY", "REASON"]);
        for decision in decisions {
            let decision = decision.as_object()?;
            let cells = ["at", "action", "outcome", "by", "reason"];
            lines.add_row(cells.map(|name| printable(text(decision, name))));
        }
        parts.push(render(&lines));
    }
    parts.push(body(letter));
    Some(parts.join("\n\n"))
}

fn summary(letter: &Map<String, Value>) -> String {
    let mut lines = plain_table();
    let mut add = |name: &str, value: &str| {
        lines.add_row([name.to_owned(), printable(value)]);
    };
    for (name, member) in [
        ("letter", "letterId"),
        ("state", "state"),
        ("died", "diedAt"),
        ("reason", "reason"),
        ("queue", "queue"),
        ("key", "routingKey"),
        ("saga", "sagaId"),
    ] {
        add(name, text(letter, member));
    }
    if let Some(headers) = letter.get("headers").and_then(Value::as_object) {
        add("headers", &members(headers));
    }
    if text(letter, "state") == "OPEN" {
        let id = text(letter, "letterId");
        add("next", &format!("skald dead-letters requeue {id} --reason \"...\""));
    }
    render(&lines)
}

fn body(letter: &Map<String, Value>) -> String {
    match (letter.get("body"), letter.get("bodyBase64").and_then(Value::as_str)) {
        // Indented, so that one can read it; escaped as JSON is, so that no terminal obeys it.
        (Some(body), _) => {
            format!("{body:#}").split('\n').map(printable).collect::<Vec<_>>().join("\n")
        }
        (None, Some(base64)) => format!("base64: {}", printable(base64)),
        (None, None) => {
            let bytes = letter.get("bodyBytes").map(Value::to_string).unwrap_or_default();
            format!("the body is not shown: it has {bytes} bytes")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_open_letter_is_shown_with_its_body_and_with_what_to_do() {
        let open = json!({
            "letterId": "0190", "state": "OPEN", "diedAt": "then", "reason": "rejected: not JSON",
            "queue": "inventory.commands", "routingKey": "inventory.reserve", "sagaId": "0191",
            "headers": {"replyTo": "skald.replies.0"}, "body": {"a": "\u{9b}"}, "decisions": [
                {"at": "then", "action": "REQUEUE", "outcome": "UNROUTABLE", "by": "operator", "reason": "try"},
            ],
        });
        let shown = letter(&open).unwrap();
        assert!(shown.starts_with("letter   0190\n"), "{shown}");
        assert!(shown.contains("headers  replyTo=skald.replies.0"), "{shown}");
        assert!(shown.contains("next     skald dead-letters requeue 0190 --reason"), "{shown}");
        assert!(shown.contains("then  REQUEUE   UNROUTABLE  operator  try"), "{shown}");
        assert!(shown.ends_with("{\n  \"a\": \"\u{fffd}\"\n}"), "{shown}");
    }

    #[test]
    fn a_body_that_is_no_json_is_shown_as_the_server_gives_it() {
        let with = |body: Value| {
            let mut letter = json!({"letterId": "0190", "state": "DISCARDED", "decisions": []});
            letter.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
            super::letter(&letter).unwrap()
        };
        assert!(with(json!({"bodyBase64": "/3s="})).ends_with("\nbase64: /3s="));
        assert!(with(json!({"bodyBytes": 2000000})).ends_with("it has 2000000 bytes"));
        assert!(!with(json!({"body": null})).contains("next"));
    }

    #[test]
    fn another_shape_is_told_apart() {
        assert_eq!(letters(&[json!(7)]), None);
        assert_eq!(letter(&json!({"letterId": "0190"})), None);
    }
}
