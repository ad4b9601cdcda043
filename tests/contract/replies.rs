//! What is made of each form of answer.

use bytes::Bytes;
use skald::contract::envelope::MAX_BODY;
use skald::contract::message::Message;
use skald::contract::reply::{MAX_DEPTH, MAX_RESULT, ReplyError, Unexplained, read};
use skald::saga::event::{Reason, Setback};
use skald::saga::input::Answer;

const COMMAND: &str = "019b7c9f-0e2e-7000-b000-000000000001:2";

pub fn reply(correlation_id: Option<&str>, body: impl Into<Bytes>) -> Message {
    Message {
        id: "whatever".to_owned(),
        kind: String::new(),
        correlation_id: correlation_id.map(ToOwned::to_owned),
        reply_to: None,
        traceparent: None,
        body: body.into(),
        death: None,
    }
}

fn said(body: impl Into<Bytes>) -> Result<Answer, Unexplained> {
    let (to, said) = read(&reply(Some(COMMAND), body)).unwrap();
    assert_eq!(to.to_string(), COMMAND);
    said
}

fn success(json: &str) -> Result<Answer, Unexplained> {
    Ok(Answer::Success(serde_json::from_str(json).unwrap()))
}

fn refusal(code: &str, text: &str) -> Result<Answer, Unexplained> {
    Ok(Answer::Failure(Reason { code: code.into(), text: text.to_owned() }))
}

/// Checks a table of bodies and what they say; the first column is why.
#[track_caller]
fn check(table: Vec<(&str, &'static str, Result<Answer, Unexplained>)>) {
    for (why, body, expected) in table {
        assert_eq!(said(body), expected, "{why}: {body}");
    }
}

#[test]
fn a_typed_message_is_understood_in_its_envelope_alone_and_as_a_nest_response() {
    let later = Ok(Answer::Setback(Setback::Retryable));
    let messages = [
        (r#"{"eventType":"INVENTORY_RESERVED","data":{"shelf":7}}"#, success(r#"{"shelf":7}"#)),
        (r#"{"eventType":"INVENTORY_RESERVED","data":[true]}"#, success("[true]")),
        (
            r#"{"eventType":"INVENTORY_RESERVED","data":{"reason":"a gift"}}"#,
            success(r#"{"reason":"a gift"}"#),
        ),
        (
            r#"{"eventType":"INVENTORY_RESERVED","data":{"retryable":false}}"#,
            success(r#"{"retryable":false}"#),
        ),
        (r#"{"eventType":"INVENTORY_RELEASED"}"#, success("null")),
        (r#"{"eventType":"INVENTORY_RELEASED","metadata":{},"data":null,"x":1}"#, success("null")),
        (
            r#"{"eventType":"INVENTORY_RESERVATION_FAILED","data":{"reason":{"code":"INSUFFICIENT_STOCK","text":"no harp"}}}"#,
            refusal("INSUFFICIENT_STOCK", "no harp"),
        ),
        (
            r#"{"eventType":"ANYTHING","data":{"reason":{"code":"NO_STOCK","text":7}}}"#,
            refusal("NO_STOCK", ""),
        ),
        (
            r#"{"eventType":"ANYTHING","data":{"reason":{"code":"sold out"}}}"#,
            Err(Unexplained::NoCode),
        ),
        (r#"{"eventType":"ANYTHING","data":{"reason":{"code":409}}}"#, Err(Unexplained::NoCode)),
        (
            r#"{"eventType":"INVENTORY_RESERVATION_FAILED","data":{"reason":"sold out"}}"#,
            Err(Unexplained::EmptyVerdict),
        ),
        (
            r#"{"eventType":"INVENTORY_RESERVATION_FAILED","data":{}}"#,
            Err(Unexplained::EmptyVerdict),
        ),
        (r#"{"eventType":"INVENTORY_RESERVATION_FAILED"}"#, Err(Unexplained::EmptyVerdict)),
        (r#"{"eventType":"INVENTORY_RETRYABLE","data":{"retryable":true}}"#, later.clone()),
        (
            r#"{"eventType":"ANYTHING","data":{"retryable":true,"reason":{"code":"NO_STOCK"}}}"#,
            later,
        ),
        (
            r#"{"eventType":"INVENTORY_RETRYABLE","data":{"retryable":"yes"}}"#,
            Err(Unexplained::EmptyVerdict),
        ),
    ];
    for (message, expected) in messages {
        for body in [
            message.to_owned(),
            format!(r#"{{"data":{message}}}"#),
            format!(r#"{{"specversion":"1.0","id":"1","data":{message},"pattern":"x"}}"#),
            format!(r#"{{"response":{message},"isDisposed":true}}"#),
            format!(r#"{{"response":{message}}}"#),
        ] {
            assert_eq!(said(body.clone()), expected, "{body}");
        }
    }
}

#[test]
fn a_nest_packet_without_an_error_is_a_success() {
    check(vec![
        ("a value", r#"{"response":{"a":1},"isDisposed":true}"#, success(r#"{"a":1}"#)),
        ("a handler without a value", r#"{"isDisposed":true}"#, success("null")),
        ("null", r#"{"response":null,"isDisposed":true}"#, success("null")),
        ("no error", r#"{"err":null,"response":5,"isDisposed":true}"#, success("5")),
        ("spaces", " {\n\"response\" : 5 , \"isDisposed\":true} ", success("5")),
        ("a value of a stream", r#"{"response":[1,2]}"#, success("[1,2]")),
        ("a stream goes on", r#"{"response":5,"isDisposed":false}"#, success("5")),
        ("not alone", r#"{"response":5,"other":6}"#, success(r#"{"response":5,"other":6}"#)),
    ]);
}

#[test]
fn a_nest_error_is_a_refusal_only_by_a_reason_code() {
    let refused = || refusal("INSUFFICIENT_STOCK", "");
    let unexplained = || Err(Unexplained::NoCode);
    check(vec![
        ("a text", r#"{"err":"INSUFFICIENT_STOCK","isDisposed":true}"#, refused()),
        ("not disposed", r#"{"err":"INSUFFICIENT_STOCK"}"#, refused()),
        ("a code", r#"{"err":{"code":"INSUFFICIENT_STOCK","message":"SELECT failed"}}"#, refused()),
        (
            "RpcException of a text",
            r#"{"err":{"status":"error","message":"INSUFFICIENT_STOCK"},"isDisposed":true}"#,
            refused(),
        ),
        (
            "a number and a code",
            r#"{"err":{"code":409,"message":"INSUFFICIENT_STOCK"}}"#,
            refused(),
        ),
        (
            "any exception",
            r#"{"err":{"status":"error","message":"Internal server error"},"isDisposed":true}"#,
            unexplained(),
        ),
        (
            "a stack",
            r#"{"err":"connect ECONNREFUSED 10.0.0.1:5432","isDisposed":true}"#,
            unexplained(),
        ),
        ("after a value", r#"{"response":5,"err":"boom","isDisposed":true}"#, unexplained()),
        ("disposed in some other way", r#"{"err":"boom","isDisposed":"yes"}"#, unexplained()),
        ("empty", r#"{"err":"","isDisposed":true}"#, unexplained()),
        ("no members", r#"{"err":{},"isDisposed":true}"#, unexplained()),
        ("a flag", r#"{"err":false,"isDisposed":true}"#, unexplained()),
        ("a list", r#"{"err":["INSUFFICIENT_STOCK"],"isDisposed":true}"#, unexplained()),
        (
            "too long for a code",
            concat!(
                r#"{"err":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"#,
                r#"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#
            ),
            unexplained(),
        ),
    ]);
}

#[test]
fn what_calls_itself_an_error_is_a_refusal_only_by_a_reason_code() {
    let refused = || refusal("INSUFFICIENT_STOCK", "");
    let unexplained = || Err(Unexplained::NoCode);
    let errors = [
        (r#"{"status":"error","message":"INSUFFICIENT_STOCK"}"#, refused()),
        (r#"{"status":"error","code":"INSUFFICIENT_STOCK","message":"SELECT failed"}"#, refused()),
        (r#"{"message":"INSUFFICIENT_STOCK","status":"\u0065rror","more":1}"#, refused()),
        (r#"{"status":"error","message":"connect ECONNREFUSED 10.0.0.1:5432"}"#, unexplained()),
        (r#"{"status":"error","response":{"statusCode":500}}"#, unexplained()),
        (r#"{"status":"error","message":["INSUFFICIENT_STOCK"]}"#, unexplained()),
        (r#"{"status":"error"}"#, unexplained()),
        (r#"{"status":"error","status":"ok"}"#, Err(Unexplained::Ambiguous)),
        (r#"{"status":"error","message":"A","message":"B"}"#, Err(Unexplained::Ambiguous)),
    ];
    for (error, expected) in errors {
        for body in [
            error.to_owned(),
            format!(r#"{{"response":{error},"isDisposed":true}}"#),
            format!(r#"{{"response":{error}}}"#),
        ] {
            assert_eq!(said(body.clone()), expected, "{body}");
        }
    }
    check(vec![(
        "typed, and so explicit",
        r#"{"eventType":"STATUS_READ","data":{"status":"error","message":"of the drive"}}"#,
        success(r#"{"status":"error","message":"of the drive"}"#),
    )]);
}

#[test]
fn an_empty_answer_is_a_success_without_a_result() {
    assert_eq!(said(""), success("null"));
}

#[test]
fn any_other_json_is_a_success_and_all_of_it_the_result() {
    for json in [
        "null",
        "true",
        "false",
        "42",
        "-1.50e3",
        r#""done""#,
        r#""\u0000 \" { [""#,
        "[]",
        "{}",
        r#"{"anything":"else"}"#,
        r#"{"status":"ok","message":"INSUFFICIENT_STOCK"}"#,
        r#"{"status":"ERROR"}"#,
        r#"{"status":["error"],"message":"INSUFFICIENT_STOCK"}"#,
        r#"[{"status":"error"}]"#,
        r#"{"data":{"eventType":7}}"#,
        r#"{"data":"INVENTORY_RESERVATION_FAILED"}"#,
        // Not the members of an object in their order.
        r#"[1,"INSUFFICIENT_STOCK",true]"#,
        r#"[["INVENTORY_RESERVATION_FAILED",{"retryable":true}]]"#,
    ] {
        assert_eq!(said(json), success(json), "{json}");
    }
}

#[test]
fn what_is_no_json_says_where_it_stops_being_it() {
    let not_json = |line, column| Err(Unexplained::NotJson { line, column });
    check(vec![
        ("blank", " ", not_json(1, 1)),
        ("cut short", "{", not_json(1, 1)),
        ("words", "not json", not_json(1, 2)),
        ("two values", "1\n2", not_json(2, 1)),
        ("a byte order mark", "\u{feff}{}", not_json(1, 1)),
        ("a number of JavaScript", "NaN", not_json(1, 1)),
    ]);
    for bytes in [&b"\xff\xfe"[..], b"\"\xff\"", b"\x00", b"{\"a\":\"\xc3\x28\"}"] {
        assert!(matches!(said(bytes), Err(Unexplained::NotJson { .. })), "{bytes:?}");
    }
}

#[test]
fn a_member_that_is_there_twice_explains_nothing() {
    for body in [
        r#"{"err":"INSUFFICIENT_STOCK","err":null,"isDisposed":true}"#,
        r#"{"response":1,"response":2,"isDisposed":true}"#,
        r#"{"data":{"eventType":"A_FAILED","eventType":"A_DONE"}}"#,
        r#"{"eventType":"A","data":{"retryable":true,"retryable":false}}"#,
        r#"{"err":{"code":"A","code":"B"}}"#,
    ] {
        assert_eq!(said(body), Err(Unexplained::Ambiguous), "{body}");
    }
}

#[test]
fn a_body_a_result_and_a_text_have_their_bounds() {
    let long = |length: usize| format!("\"{}\"", "x".repeat(length - 2));
    assert_eq!(said(long(MAX_RESULT)), success(&long(MAX_RESULT)));
    assert_eq!(said(long(MAX_RESULT + 1)), Err(Unexplained::LongResult(MAX_RESULT + 1)));
    assert_eq!(said(long(MAX_BODY)), Err(Unexplained::LongResult(MAX_BODY)));
    assert_eq!(said(long(MAX_BODY + 1)), Err(Unexplained::TooLong(MAX_BODY + 1)));
    let stack = format!(r#"{{"err":{{"code":"NO_STOCK","stack":{}}}}}"#, long(MAX_BODY / 2));
    assert_eq!(said(stack), refusal("NO_STOCK", ""));
    let text = format!(
        r#"{{"eventType":"A_FAILED","data":{{"reason":{{"code":"A","text":"\u0007{}"}}}}}}"#,
        "é".repeat(1_000)
    );
    assert_eq!(said(text), refusal("A", &"é".repeat(200)));
}

#[test]
fn what_is_nested_too_deeply_is_not_kept() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(said(deep(MAX_DEPTH)), success(&deep(MAX_DEPTH)));
    assert_eq!(said(deep(MAX_DEPTH + 1)), Err(Unexplained::DeepResult));
    assert_eq!(said(deep(MAX_RESULT / 2)), Err(Unexplained::DeepResult));
    assert_eq!(said(deep(MAX_BODY / 2)), Err(Unexplained::LongResult(MAX_BODY)));
    let open = said("[".repeat(MAX_BODY));
    assert!(matches!(open, Err(Unexplained::NotJson { .. })));
    let texts = "[".repeat(MAX_DEPTH * 10);
    let flat = format!("[{}\"\\\"{texts}\"]", "[],".repeat(MAX_DEPTH * 10));
    assert_eq!(said(flat.clone()), success(&flat));
    let shut_in_texts =
        format!("{}1{}", r#"["]","#.repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    assert_eq!(said(shut_in_texts), Err(Unexplained::DeepResult));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(2_000), "}".repeat(2_000));
    assert_eq!(said(objects), Err(Unexplained::DeepResult));
}

#[test]
fn what_explains_nothing_is_an_unknown_outcome_and_says_why() {
    let unexplained = said(r#"{"err":"boom"}"#).unwrap_err();
    assert_eq!(Answer::from(unexplained), Answer::Setback(Setback::Unexplained));
    assert_eq!(
        unexplained.to_string(),
        "an error without a reason code; name one of the step's codes to refuse"
    );
    let broken = said("{").unwrap_err();
    assert_eq!(broken.to_string(), "the answer is no JSON from line 1, column 1 on");
}

#[test]
fn an_answer_to_nothing_is_an_error() {
    for id in [None, Some(""), Some("1"), Some("019b7c9f-0e2e-7000-b000-000000000001:2:reply")] {
        let error = read(&reply(id, "null")).unwrap_err();
        assert_eq!(error, ReplyError::NoCommand(id.map(ToOwned::to_owned)));
    }
}
