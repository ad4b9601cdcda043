//! The trace that a saga's messages belong to, and the ids of its spans.
//!
//! A saga outlives the process that began it, so the ids of its spans are not kept anywhere: they are
//! made of what everybody knows, the saga's id, the step and the sequence. Whoever has the saga in
//! hand can say which span a message, a step or the saga itself is.

use std::fmt;

use super::names::MessageId;
use crate::saga::effect::IdempotencyKey;
use crate::saga::id::SagaId;
use crate::saga::state::Saga;

/// The flag of a trace that is recorded.
const SAMPLED: u8 = 1;

/// A span within its trace, as W3C Trace Context writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace; never 0.
    pub trace: u128,
    /// The span; never 0.
    pub span: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` of version 00.
    pub fn parse(traceparent: &str) -> Option<Self> {
        let (trace, span, flags) = parts(traceparent)?;
        Some(Self {
            trace: u128::from_str_radix(trace, 16).ok()?,
            span: u64::from_str_radix(span, 16).ok()?,
            sampled: flags & SAMPLED != 0,
        })
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn with_span(self, span: u64) -> Self {
        Self { span, ..self }
    }

    /// The context of a message of `saga`: the submission's trace and whether it is recorded, or a
    /// trace made of the saga's id.
    pub fn of_message(saga: &Saga, message: MessageId) -> Self {
        let span = message_span(message);
        match saga.birth.traceparent.as_deref().and_then(Self::parse) {
            Some(given) => given.with_span(span),
            None => Self { trace: saga.id.0.as_u128(), span, sampled: true },
        }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, span, sampled } = self;
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(*sampled))
    }
}

/// The trace id within a `traceparent`; none where it is not one.
pub fn trace_id(traceparent: &str) -> Option<&str> {
    parts(traceparent).map(|(trace_id, ..)| trace_id)
}

/// The trace id, the span id and the flags of a `traceparent` of version 00.
fn parts(traceparent: &str) -> Option<(&str, &str, u8)> {
    let rest = traceparent.strip_prefix("00-")?;
    let (trace_id, rest) = rest.split_once('-')?;
    let (span, flags) = rest.split_once('-')?;
    let is_hex = |text: &str, length| {
        text.len() == length
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let is_id = |id: &str, length| is_hex(id, length) && id.bytes().any(|b| b != b'0');
    let fits = is_id(trace_id, 32) && is_id(span, 16) && is_hex(flags, 2);
    fits.then(|| u8::from_str_radix(flags, 16).ok()).flatten().map(|flags| (trace_id, span, flags))
}

/// The span in which a message is sent. Odd, because it must not be zero; in steps of two, so that
/// each message of a saga has its own.
fn message_span(message: MessageId) -> u64 {
    (message.saga.seed() | 1).wrapping_add(message.sequence.wrapping_mul(2))
}

/// The span of the whole saga. Even, so that it is no message's.
pub fn saga_span(saga: SagaId) -> u64 {
    even(saga.seed().rotate_left(17))
}

/// The span from the first asking of a step to its outcome. Even, so that it is no message's.
pub fn step_span(key: &IdempotencyKey) -> u64 {
    // FNV-1a, which is the same in every program of every version.
    let hash = key.to_string().bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    even(hash)
}

/// An even number that is not zero.
fn even(number: u64) -> u64 {
    (number & !1) | 2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::definition::Direction;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_context_is_written_as_it_was_read() {
        let context = TraceContext::parse(TEXT).unwrap();
        assert_eq!(context.to_string(), TEXT);
        assert!(context.sampled);
        let other = context.with_span(1).to_string();
        assert_eq!(other, "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000001-01");
        assert!(!TraceContext::parse(&TEXT.replace("-01", "-02")).unwrap().sampled);
    }

    #[test]
    fn what_is_no_context_is_not_read() {
        let zero_trace = TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32));
        let zero_span = TEXT.replace("00f067aa0ba902b7", &"0".repeat(16));
        for text in
            ["", "00", &zero_trace, &zero_span, &TEXT.to_uppercase(), &TEXT.replace("-01", "-+1")]
        {
            assert_eq!(TraceContext::parse(text), None, "{text}");
        }
    }

    /// Programs of several versions send the spans of one saga.
    #[test]
    fn spans_are_those_of_earlier_versions() {
        let saga = SagaId(uuid::Uuid::from_u128(0x019b_7c9f_0e2e_7001_b000_0000_0000_0001));
        let step = IdempotencyKey {
            saga,
            step: "reserve-inventory".into(),
            generation: 1,
            direction: Direction::Do,
        };
        let message = MessageId { saga, sequence: 2 };
        assert_eq!(
            [saga_span(saga), step_span(&step), message_span(message)],
            [0xf93d_7c5c_e002_0336, 0x6dc6_3ee7_bd8e_564a, 0x019b_7c9e_be2e_7005]
        );
    }

    #[test]
    fn the_spans_of_a_saga_are_different_ones_and_none_is_zero() {
        for id in [uuid::Uuid::nil(), uuid::Uuid::max(), uuid::Uuid::from_u128(7 << 64)] {
            let saga = SagaId(id);
            let key = |step: &str, direction| IdempotencyKey {
                saga,
                step: step.into(),
                generation: 1,
                direction,
            };
            let mut spans: Vec<u64> =
                (1..100).map(|sequence| message_span(MessageId { saga, sequence })).collect();
            spans.push(saga_span(saga));
            spans.push(step_span(&key("reserve-inventory", Direction::Do)));
            spans.push(step_span(&key("reserve-inventory", Direction::Undo)));
            spans.push(step_span(&key("send-confirmation", Direction::Do)));
            assert!(spans.iter().all(|span| *span != 0));
            spans.sort_unstable();
            spans.dedup();
            assert_eq!(spans.len(), 103);
        }
    }
}
