//! What is done with a batch, on a thread that may block.

use std::collections::VecDeque;

use crate::contract::command;
use crate::contract::message::{Message, Outgoing};
use crate::contract::reply::{self, ReplyBody, WorkOutcome};
use crate::contract::trace::{TraceContext, trace_id};
use crate::ports::Clock;
use crate::ports::bus::Delivery;
use crate::ports::spans::{Span, Spans, messages, new_span};
use crate::saga::check::is_name;
use crate::saga::id::{QueueName, Timestamp};
use crate::workers::worker::{Answer, Poison, Worker};

/// From so many returns on, a command is done in a batch of its own. Something goes wrong again and
/// again near it, and what makes the whole process or its thread fail must not take others with it
/// until the queue's delivery limit ends it.
const SUSPECT: u32 = 2;

/// The longest reason that stays with a dead letter, in characters: a few sentences.
const MAX_REASON: usize = 500;

/// Takes the next batch: the commands before the first suspect, or a single suspect.
pub fn next_batch(waiting: &mut VecDeque<Delivery>) -> Vec<Delivery> {
    let suspect = |delivery: &Delivery| delivery.redeliveries >= SUSPECT;
    let harmless = waiting.iter().take_while(|delivery| !suspect(delivery)).count();
    waiting.drain(..harmless.max(1).min(waiting.len())).collect()
}

/// A command that was done, and the reply to it; none where nobody wants one.
pub struct Done {
    /// The command.
    pub command: Delivery,
    /// The reply, and the span in which it goes out, if its trace is recorded.
    pub reply: Option<Reply>,
}

/// A reply, and the span in which it goes out.
type Reply = (Outgoing, Option<Span>);

/// Does a batch. Whatever is not among the outcome is settled already. Blocks.
///
/// If it panics, all its deliveries are dropped and come again.
pub fn work<W: Worker>(
    worker: &W,
    batch: Vec<Delivery>,
    clock: &dyn Clock,
    spans: &Spans,
) -> Vec<Done> {
    let now = clock.now();
    let batch = Batch::read(worker, batch, now, spans);
    if batch.commands.is_empty() {
        return Vec::new();
    }
    let answers = worker.handle(&batch.commands, now);
    batch.answered(answers, clock.now())
}

/// Commands that were read, and the deliveries that brought them.
pub struct Batch<'a, C> {
    /// The commands.
    pub commands: Vec<C>,
    deliveries: Vec<Delivery>,
    trace: Trace<'a>,
}

impl<'a, C> Batch<'a, C> {
    /// Reads commands at this moment; what is none becomes a dead letter.
    pub fn read<W: Worker<Command = C>>(
        worker: &W,
        deliveries: Vec<Delivery>,
        now: Timestamp,
        spans: &'a Spans,
    ) -> Self {
        let size = deliveries.len();
        let mut batch = Self {
            commands: Vec::with_capacity(size),
            deliveries: Vec::with_capacity(size),
            trace: Trace { spans, queue: worker.queue(), from: now },
        };
        for delivery in deliveries {
            match read(worker, &delivery) {
                Ok(command) => {
                    batch.commands.push(command);
                    batch.deliveries.push(delivery);
                }
                Err(poison) => {
                    batch.trace.processed(&delivery.message, now, Some("rejected"));
                    bury(delivery, &poison);
                }
            }
        }
        batch
    }

    /// Writes the replies at the moment `to`; a command that will never be done becomes a dead letter.
    pub fn answered(self, answers: Vec<Result<Answer, Poison>>, to: Timestamp) -> Vec<Done> {
        let Self { deliveries, trace, .. } = self;
        let done = deliveries.into_iter().zip(answers).filter_map(|(command, answer)| {
            let answer = answer
                .inspect(|answer| report(&command.message, answer))
                .and_then(|answer| trace.reply(&command.message, &answer, to));
            match answer {
                Ok(reply) => Some(Done { command, reply }),
                Err(poison) => {
                    trace.processed(&command.message, to, Some("rejected"));
                    bury(command, &poison);
                    None
                }
            }
        });
        done.collect()
    }
}

fn read<W: Worker>(worker: &W, delivery: &Delivery) -> Result<W::Command, Poison> {
    let command = command::read(&delivery.message).map_err(|error| Poison(error.to_string()))?;
    if !is_name(command.key.step.as_str()) {
        return Err(Poison("the idempotency key names no step".to_owned()));
    }
    let Message { id, kind, traceparent, .. } = delivery.message.as_ref();
    let trace_id = traceparent.as_deref().and_then(trace_id);
    tracing::debug!(sagaId = %command.key.saga, key = %command.key, messageId = %id, kind, traceId = trace_id, "a command came");
    worker.read(command)
}

fn write(command: &Message, answer: &Answer, now: Timestamp) -> Result<Option<Outgoing>, Poison> {
    reply::write(command, answer.name, &answer.body, now)
        .map_err(|error| Poison(format!("the answer can't be written: {error}")))
}

/// What a batch that began at `from` looks like in the traces of its commands.
struct Trace<'a> {
    spans: &'a Spans,
    queue: QueueName,
    from: Timestamp,
}

impl Trace<'_> {
    /// A command is done; the span that tells so, if its trace is recorded.
    fn processed(
        &self,
        command: &Message,
        to: Timestamp,
        error: Option<&'static str>,
    ) -> Option<TraceContext> {
        let span =
            messages::processed(self.spans, command, self.queue.as_str(), self.from, to, error)?;
        let context = span.context;
        self.spans.record(span);
        Some(context)
    }

    /// The reply to a command that is done, in a span of its own below the command's.
    fn reply(
        &self,
        command: &Message,
        answer: &Answer,
        to: Timestamp,
    ) -> Result<Option<Reply>, Poison> {
        let error = matches!(answer.body, ReplyBody::Retryable).then_some("retryable");
        let Some(processed) = self.processed(command, to, error) else {
            return Ok(write(command, answer, self.from)?.map(|reply| (reply, None)));
        };
        let own = processed.with_span(new_span());
        let traced = Message { traceparent: Some(own.to_string()), ..command.clone() };
        let reply = write(&traced, answer, self.from)?;
        Ok(reply.map(|reply| {
            let span = messages::sending(self.spans, &reply, Some(processed.span), to);
            (reply, span)
        }))
    }
}

fn bury(delivery: Delivery, poison: &Poison) {
    let message = &delivery.message;
    // It may repeat what was read; a log line and an operator's page have to hold it.
    let reason: String = poison.to_string().chars().take(MAX_REASON).collect();
    tracing::warn!(id = %message.id, kind = %message.kind, reason, "a command is rejected");
    metrics::counter!("skald_worker_poison_total").increment(1);
    delivery.reject(reason);
}

/// Tells the log and the metrics what a command came to.
fn report(command: &Message, answer: &Answer) {
    let trace_id = command.traceparent.as_deref().and_then(trace_id);
    let correlation = command.correlation_id.as_deref();
    tracing::debug!(messageId = %command.id, correlationId = correlation, traceId = trace_id, answer = answer.name, "a command is done");
    let kind = match &answer.body {
        ReplyBody::Settled(WorkOutcome::Success(_)) => "success",
        ReplyBody::Settled(WorkOutcome::Failure(_)) => "failure",
        ReplyBody::Retryable => "retryable",
    };
    metrics::counter!("skald_worker_answers_total", "answer" => answer.name, "kind" => kind)
        .increment(1);
}
