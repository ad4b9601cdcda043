//! Dead letters: stored for the operator, and told to the saga concerned.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::blocking::Blocking;
use super::handle::Board;
use super::poke;
use super::registry::LookForInputs;
use crate::contract::letter::Properties;
use crate::contract::names::MessageId;
use crate::failpoint;
use crate::ports::Clock;
use crate::ports::bus::{Bus, Death, Delivery, Message};
use crate::ports::door::{DeadLetter, Door, NewInput, Request};
use crate::ports::source::Source;
use crate::saga::event::Setback;
use crate::saga::id::Timestamp;

/// Dead letters stored in one transaction.
const BATCH: usize = 100;

/// Unsettled dead letters at a time.
pub(super) const PREFETCH: usize = 1_000;

/// The pause after the store failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How a message died of which the broker says nothing.
fn unknown(message: &Message) -> Death {
    Death { queue: String::new(), routing_key: message.kind.clone(), reason: "unknown".to_owned() }
}

/// Makes a dead letter of a message. A command's saga is told that its outcome is unknown.
pub(super) fn letter(message: &Message, death: Death, now: Timestamp) -> DeadLetter {
    let Death { queue, routing_key, reason } = death;
    let properties = Properties::of(message);
    // Only commands want an answer.
    let command = message.reply_to.as_ref().and_then(|_| MessageId::parse(&message.id));
    let notice = command.map(|MessageId { saga, sequence }| NewInput {
        id: Uuid::now_v7(),
        saga,
        client_key: format!("dead:{}", message.id),
        request: Request::CommandLost { to: sequence, setback: Setback::DeadLettered },
        if_version: None,
        at: now,
    });
    DeadLetter {
        id: Uuid::now_v7(),
        message_id: message.id.clone(),
        queue,
        routing_key,
        reason,
        saga: properties.saga(),
        headers: serde_json::json!(properties).to_string(),
        body: message.body.to_vec(),
        at: now,
        notice,
    }
}

/// Stores dead letters as they come, and has the owners of the sagas look at the notices, for as long
/// as its thread lives.
pub(super) async fn collect(
    mut source: Source,
    bus: Arc<dyn Bus>,
    door: Arc<dyn Door>,
    clock: Arc<dyn Clock>,
    board: Arc<Board>,
) {
    let blocking = Blocking::new(1);
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        source.recv_many(&mut batch, BATCH).await;
        let letters: Vec<DeadLetter> = batch
            .iter()
            .map(|delivery: &Delivery| {
                let message = &delivery.message;
                let death = message.death.clone().unwrap_or_else(|| unknown(message));
                letter(message, death, clock.now())
            })
            .collect();
        for letter in &letters {
            tracing::warn!(messageId = %letter.message_id, queue = %letter.queue, reason = %letter.reason, "a message died");
            metrics::counter!("skald_dead_letters_total").increment(1);
        }
        let door = Arc::clone(&door);
        match blocking.run(move || door.bury(&letters)).await {
            Ok(Ok(concerned)) => {
                failpoint::reach("dead_letters", "before_ack");
                batch.drain(..).for_each(Delivery::ack);
                failpoint::reach("dead_letters", "after_ack");
                for shard in concerned {
                    match board.post(shard) {
                        Some(post) => post.registry.do_send(LookForInputs),
                        None => poke::send(bus.as_ref(), shard),
                    }
                }
            }
            failed => {
                tracing::error!(?failed, "dead letters can't be stored; they stay in their queue");
                tokio::time::sleep(RETRY_AFTER).await;
                batch.clear();
            }
        }
    }
}
