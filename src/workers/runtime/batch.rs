//! What is done with a batch, on a thread that may block.

use std::collections::VecDeque;

use crate::contract::command;
use crate::contract::envelope::trace_id;
use crate::contract::message::{Message, Outgoing};
use crate::contract::reply::{self, ReplyBody, WorkOutcome};
use crate::ports::bus::Delivery;
use crate::saga::check::is_name;
use crate::saga::id::Timestamp;
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
    /// The reply.
    pub reply: Option<Outgoing>,
}

/// Does a batch. Whatever is not among the outcome is settled already. Blocks.
///
/// If it panics, all its deliveries are dropped and come again.
pub fn work<W: Worker>(worker: &W, batch: Vec<Delivery>, now: Timestamp) -> Vec<Done> {
    let mut commands = Vec::with_capacity(batch.len());
    let mut deliveries = Vec::with_capacity(batch.len());
    for delivery in batch {
        match read(worker, &delivery) {
            Ok(command) => {
                commands.push(command);
                deliveries.push(delivery);
            }
            Err(poison) => bury(delivery, &poison),
        }
    }
    if commands.is_empty() {
        return Vec::new();
    }
    let answers = worker.handle(&commands, now);
    let done = deliveries.into_iter().zip(answers).filter_map(|(command, answer)| {
        let answer = answer
            .inspect(|answer| report(&command.message, answer))
            .and_then(|answer| write(&command, &answer, now));
        match answer {
            Ok(reply) => Some(Done { command, reply }),
            Err(poison) => {
                bury(command, &poison);
                None
            }
        }
    });
    done.collect()
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

fn write(command: &Delivery, answer: &Answer, now: Timestamp) -> Result<Option<Outgoing>, Poison> {
    reply::write(&command.message, answer.name, &answer.body, now)
        .map_err(|error| Poison(format!("the answer can't be written: {error}")))
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
