//! Messages as spans, in the words of OpenTelemetry's semantic conventions 1.30 for RabbitMQ.

use super::{Attribute, Span, SpanKind, Spans, new_span};
use crate::contract::message::{Exchange, Message, Outgoing};
use crate::contract::names::{MessageId, is_reply_queue};
use crate::ports::bus::Settlement;
use crate::saga::id::Timestamp;

/// The span in which a message goes out, as a part of `parent`; none where its trace is not recorded.
/// It is over once [`settled`] has been told how it ended.
pub fn sending(
    spans: &Spans,
    outgoing: &Outgoing,
    parent: Option<u64>,
    from: Timestamp,
) -> Option<Span> {
    let Outgoing { exchange, routing_key, message } = outgoing;
    let context = spans.recorded(message.traceparent.as_deref())?;
    let destination = joined(&[exchange.as_str(), routing_key]);
    let mut attributes = described(spans, message, "publish", "send", destination.clone());
    attributes.push(("messaging.rabbitmq.destination.routing_key", routing_key.as_str().into()));
    Some(Span {
        context,
        parent,
        name: format!("publish {}", few(routing_key, destination)),
        kind: SpanKind::Producer,
        from,
        to: from,
        attributes,
        error: None,
    })
}

/// Ends the span of a message that went out; none where it is going out still.
pub fn settled(span: Span, settlement: Settlement, now: Timestamp) -> Option<Span> {
    let error = match settlement {
        Settlement::Confirmed => None,
        Settlement::Unroutable => Some("unroutable"),
        // It is sent again.
        Settlement::Rejected | Settlement::Unknown => return None,
    };
    Some(Span { to: now, error, ..span })
}

/// The span in which a message from `queue` was processed; none where its trace is not recorded.
pub fn processed(
    spans: &Spans,
    message: &Message,
    queue: &str,
    from: Timestamp,
    to: Timestamp,
    error: Option<&'static str>,
) -> Option<Span> {
    let sender = spans.recorded(message.traceparent.as_deref())?;
    let destination = match is_reply_queue(queue) {
        true => queue.to_owned(),
        false => joined(&[Exchange::Commands.as_str(), &message.kind, queue]),
    };
    Some(Span {
        context: sender.with_span(new_span()),
        parent: Some(sender.span),
        name: format!("process {}", few(queue, destination.clone())),
        kind: SpanKind::Consumer,
        from,
        to,
        attributes: described(spans, message, "process", "process", destination),
        error,
    })
}

/// There are as many reply queues as shards; they count as one.
fn few(queue: &str, destination: String) -> String {
    if is_reply_queue(queue) { "skald.replies".to_owned() } else { destination }
}

fn joined(parts: &[&str]) -> String {
    let parts: Vec<&str> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(":")
}

fn described(
    spans: &Spans,
    message: &Message,
    name: &'static str,
    kind: &'static str,
    destination: String,
) -> Vec<(&'static str, Attribute)> {
    let size = i64::try_from(message.body.len()).unwrap_or(i64::MAX);
    let mut attributes: Vec<(&'static str, Attribute)> = vec![
        ("messaging.system", spans.messaging_system.into()),
        ("messaging.operation.name", name.into()),
        ("messaging.operation.type", kind.into()),
        ("messaging.destination.name", destination.into()),
        ("messaging.message.id", message.id.as_str().into()),
        ("messaging.message.body.size", size.into()),
    ];
    let conversation = message.correlation_id.as_deref();
    attributes.extend(conversation.map(|id| ("messaging.message.conversation_id", id.into())));
    let saga = MessageId::parse(conversation.unwrap_or(&message.id)).map(|id| id.saga);
    attributes.extend(saga.map(|saga| ("skald.saga.id", saga.to_string().into())));
    attributes
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::ports::spans::SpanSink;

    struct Nowhere;

    impl SpanSink for Nowhere {
        fn record(&self, _: Span) {}

        fn samples(&self, _: u128) -> bool {
            true
        }
    }

    fn message(flags: &str) -> Message {
        Message {
            id: "01890a5d-ac96-774b-bcce-b302099a8057:2".to_owned(),
            kind: "inventory.reserve".to_owned(),
            correlation_id: None,
            reply_to: None,
            traceparent: Some(format!(
                "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}"
            )),
            body: Bytes::from_static(b"{}"),
            death: None,
        }
    }

    fn text<'a>(span: &'a Span, name: &str) -> &'a Attribute {
        &span.attributes.iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn a_message_is_sent_in_its_own_span_and_processed_in_one_below_it() {
        let spans = Spans::to(Arc::new(Nowhere), "rabbitmq");
        let (exchange, routing_key) = (Exchange::Commands, "inventory.reserve".to_owned());
        let outgoing = Outgoing { exchange, routing_key, message: message("01") };
        let sent = sending(&spans, &outgoing, Some(7), Timestamp(1)).unwrap();
        assert_eq!((sent.context.span, sent.parent), (0x00f0_67aa_0ba9_02b7, Some(7)));
        assert_eq!(sent.name, "publish skald.commands:inventory.reserve");
        let saga = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(*text(&sent, "skald.saga.id"), saga.into());
        assert_eq!(settled(sent.clone(), Settlement::Unknown, Timestamp(2)), None);
        let lost = settled(sent, Settlement::Unroutable, Timestamp(2)).unwrap();
        assert_eq!((lost.to, lost.error), (Timestamp(2), Some("unroutable")));

        let queue = "inventory.commands";
        let processed =
            processed(&spans, &outgoing.message, queue, Timestamp(3), Timestamp(4), None).unwrap();
        assert_eq!(processed.parent, Some(0x00f0_67aa_0ba9_02b7));
        assert_eq!(processed.name, "process skald.commands:inventory.reserve:inventory.commands");
    }

    #[test]
    fn the_queues_of_all_shards_have_one_name() {
        let spans = Spans::to(Arc::new(Nowhere), "rabbitmq");
        let span =
            processed(&spans, &message("01"), "skald.replies.7", Timestamp(3), Timestamp(4), None);
        let span = span.unwrap();
        assert_eq!(span.name, "process skald.replies");
        assert_eq!(*text(&span, "messaging.destination.name"), "skald.replies.7".into());
    }

    #[test]
    fn what_is_not_recorded_makes_no_span() {
        let on = Spans::to(Arc::new(Nowhere), "rabbitmq");
        let made = |spans: &Spans, flags| {
            processed(spans, &message(flags), "x", Timestamp(0), Timestamp(1), None).is_some()
        };
        assert!(made(&on, "01"));
        assert!(!made(&on, "00"));
        assert!(!made(&Spans::default(), "01"));
    }
}
