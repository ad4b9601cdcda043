//! Reading answers.
//!
//! Whatever comes, it is either an answer or has a reason why it is none. Members are taken apart as
//! texts and only as far as they are needed, so that no other member, however odd, changes what is
//! made of an answer.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::contract::envelope::MAX_BODY;
use crate::contract::message::Message;
use crate::contract::names::MessageId;
use crate::saga::check::is_reason_code;
use crate::saga::event::{Reason, Setback};
use crate::saga::input::Answer;
use crate::saga::json::Json;

/// The largest result of a step, in bytes. Results live in the saga's row and in memory.
pub const MAX_RESULT: usize = 16 * 1024;

/// The deepest nesting of a result. Results are shown within other documents, and common readers of
/// JSON stop at a depth of 64; databases refuse what is nested a few thousand deep.
pub const MAX_DEPTH: usize = 32;

/// The longest text beside a reason code, in characters.
const MAX_REASON_TEXT: usize = 200;

/// Why a message is no answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It does not say what it answers.
    #[error("the correlation id {0:?} is not that of a command")]
    NoCommand(Option<String>),
}

/// Why an answer does not tell what became of its command. The step may have been done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unexplained {
    /// Longer than anything that is read.
    #[error("the answer is {0} bytes long, not up to {MAX_BODY}")]
    TooLong(usize),
    /// No JSON.
    #[error("the answer is no JSON from line {line}, column {column} on")]
    NotJson {
        /// From 1.
        line: usize,
        /// From 1; 0 where the line has nothing.
        column: usize,
    },
    /// One member has two values.
    #[error("the answer has a member twice and could mean either")]
    Ambiguous,
    /// The result takes too much room.
    #[error("the result is {0} bytes long, not up to {MAX_RESULT}")]
    LongResult(usize),
    /// The result is nested too deeply.
    #[error("the result is nested deeper than {MAX_DEPTH}")]
    DeepResult,
    /// An error that could have happened before or after the step was done.
    #[error("an error without a reason code; name one of the step's codes to refuse")]
    NoCode,
    /// It is called a failure, or *retryable*, and does not say so in its data.
    #[error(
        "called a failure or retryable, but its data hold neither a reason code nor \"retryable\":true"
    )]
    EmptyVerdict,
}

impl From<Unexplained> for Answer {
    fn from(_: Unexplained) -> Self {
        Self::Setback(Setback::Unexplained)
    }
}

/// Reads an answer: which command it answers, and what it says or why that can't be told.
///
/// # Errors
/// When it answers nothing.
pub fn read(message: &Message) -> Result<(MessageId, Result<Answer, Unexplained>), ReplyError> {
    let to = message
        .correlation_id
        .as_deref()
        .and_then(MessageId::parse)
        .ok_or_else(|| ReplyError::NoCommand(message.correlation_id.clone()))?;
    Ok((to, read_body(&message.body)))
}

fn read_body(body: &[u8]) -> Result<Answer, Unexplained> {
    if body.len() > MAX_BODY {
        return Err(Unexplained::TooLong(body.len()));
    }
    if body.is_empty() {
        // How golevelup and FastStream send the result of a handler that has none.
        return success(RawValue::NULL);
    }
    let json: &RawValue = serde_json::from_slice(body)
        .map_err(|error| Unexplained::NotJson { line: error.line(), column: error.column() })?;
    let Some(packet) = object::<Packet<'_>>(json)? else { return success(json) };
    let Packet { data, response, err, is_disposed } = packet;
    // In its envelope, as it is, and as the response of a NestJS handler.
    for place in [data, Some(json), response].into_iter().flatten() {
        if let Some(typed) = Typed::read(place)? {
            return typed.verdict();
        }
    }
    match (err, response) {
        (Some(err), _) => foreign_error(err),
        (None, response) if is_disposed.is_some() => foreign(response.unwrap_or(RawValue::NULL)),
        // A value of a stream; its end follows as a message of its own and finds all settled.
        (None, Some(response)) if is_value_of_stream(json) => foreign(response),
        (None, _) => foreign(json),
    }
}

/// What a foreign worker sends that is not typed: a result, unless it calls itself an error. That
/// is how the error handlers are written that people copy from one another for golevelup. An error
/// that is taken for a success lets an order go on without its goods; a success that is taken for an
/// error is asked again, and an operator sees it.
fn foreign(json: &RawValue) -> Result<Answer, Unexplained> {
    #[derive(Deserialize)]
    struct Members<'a> {
        #[serde(borrow, default)]
        status: Option<&'a RawValue>,
    }
    let status = object::<Members<'_>>(json)?.and_then(|members| members.status).and_then(text);
    if status.is_some_and(|status| status == "error") { foreign_error(json) } else { success(json) }
}

/// An error of a foreign worker counts as a refusal only by a reason code; its text is nobody's
/// business.
fn foreign_error(err: &RawValue) -> Result<Answer, Unexplained> {
    let of_object = object::<ForeignError<'_>>(err)?.map(|err| [err.code, err.message]);
    let places = of_object.unwrap_or([Some(err), None]).into_iter().flatten();
    let code = places.filter_map(text).find(|code| is_reason_code(code));
    code.map(|code| Answer::Failure(Reason::of(&code))).ok_or(Unexplained::NoCode)
}

fn success(result: &RawValue) -> Result<Answer, Unexplained> {
    let length = result.get().len();
    if length > MAX_RESULT {
        return Err(Unexplained::LongResult(length));
    }
    if depth(result.get()) > MAX_DEPTH {
        return Err(Unexplained::DeepResult);
    }
    Ok(Answer::Success(Json::from(result)))
}

/// How deeply a JSON text is nested.
fn depth(json: &str) -> usize {
    let (mut open, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    let mut in_text = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_text = !in_text,
            // What it escapes can't end the text.
            b'\\' => drop(bytes.next()),
            b'[' | b'{' if !in_text => {
                open += 1;
                deepest = deepest.max(open);
            }
            b']' | b'}' if !in_text => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Reads an object; none where the JSON is something else. An array must not be taken for the
/// members of an object in their order, as serde would.
fn object<'a, T: Deserialize<'a>>(json: &'a RawValue) -> Result<Option<T>, Unexplained> {
    if !json.get().starts_with('{') {
        return Ok(None);
    }
    serde_json::from_str(json.get()).map(Some).map_err(|_| Unexplained::Ambiguous)
}

fn text(json: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str(json.get()).ok()
}

/// The members that tell the forms apart. Each is read as it stands, so that an object can't be read
/// only if it has one of them twice.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Packet<'a> {
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    err: Option<&'a RawValue>,
    #[serde(borrow, default)]
    is_disposed: Option<&'a RawValue>,
}

fn is_value_of_stream(json: &RawValue) -> bool {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Value<'a> {
        #[serde(borrow, rename = "response")]
        _response: &'a RawValue,
    }
    serde_json::from_str::<Value<'_>>(json.get()).is_ok()
}

#[derive(Deserialize)]
struct ForeignError<'a> {
    #[serde(borrow, default)]
    code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    message: Option<&'a RawValue>,
}

/// A message of the contract, known by its `eventType`; an answer needs no metadata.
struct Typed<'a> {
    event_type: Cow<'a, str>,
    data: &'a RawValue,
}

impl<'a> Typed<'a> {
    fn read(json: &'a RawValue) -> Result<Option<Self>, Unexplained> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Members<'a> {
            #[serde(borrow, default)]
            event_type: Option<&'a RawValue>,
            #[serde(borrow, default)]
            data: Option<&'a RawValue>,
        }
        let Some(members) = object::<Members<'_>>(json)? else { return Ok(None) };
        let event_type = members.event_type.and_then(text);
        let data = members.data.unwrap_or(RawValue::NULL);
        Ok(event_type.map(|event_type| Self { event_type, data }))
    }

    fn verdict(self) -> Result<Answer, Unexplained> {
        #[derive(Default, Deserialize)]
        struct Members<'a> {
            #[serde(borrow, default)]
            retryable: Option<&'a RawValue>,
            #[serde(borrow, default)]
            reason: Option<&'a RawValue>,
        }
        let Members { retryable, reason } = object(self.data)?.unwrap_or_default();
        if retryable.is_some_and(|retryable| retryable.get() == "true") {
            return Ok(Answer::Setback(Setback::Retryable));
        }
        if let Some(reason) = reason.map(reason_of).transpose()?.flatten() {
            return Ok(Answer::Failure(reason));
        }
        if ["_FAILED", "_RETRYABLE"].iter().any(|end| self.event_type.ends_with(end)) {
            return Err(Unexplained::EmptyVerdict);
        }
        success(self.data)
    }
}

/// A reason that says why by a code. None where it is something else of that name; one that has a
/// code which is none explains nothing.
fn reason_of(json: &RawValue) -> Result<Option<Reason>, Unexplained> {
    #[derive(Deserialize)]
    struct Members<'a> {
        #[serde(borrow, default)]
        code: Option<&'a RawValue>,
        #[serde(borrow, default)]
        text: Option<&'a RawValue>,
    }
    let Some(Members { code: Some(code), text: said }) = object(json)? else { return Ok(None) };
    let code = text(code).filter(|code| is_reason_code(code)).ok_or(Unexplained::NoCode)?;
    let said = said.and_then(text).unwrap_or_default();
    let said = said.chars().filter(|c| !c.is_control()).take(MAX_REASON_TEXT).collect();
    Ok(Some(Reason { code: code.as_ref().into(), text: said }))
}
