//! The reply consumer: reads what workers answer and hands it to the registry.

use actix::Addr;

use super::registry::{Answers, Bury, LookForInputs, Registry};
use crate::contract::poke::is_poke;
use crate::contract::reply;
use crate::failpoint;
use crate::ports::bus::Delivery;
use crate::ports::source::Source;
use crate::saga::input::Answer;

/// Answers handed over at a time.
const BATCH: usize = 256;

/// Unsettled answers at a time: enough for two full transactions, so that one gathers while the
/// other commits.
pub(super) const PREFETCH: usize = 2_000;

/// Hands answers over as they come. Ends with the registry.
pub(super) async fn consume(mut source: Source, registry: Addr<Registry>) {
    let mut batch: Vec<Delivery> = Vec::with_capacity(BATCH);
    loop {
        source.recv_many(&mut batch, BATCH).await;
        let mut answers = Vec::with_capacity(batch.len());
        for delivery in batch.drain(..) {
            if is_poke(&delivery.message) {
                registry.do_send(LookForInputs);
                failpoint::reach("poke", "before_ack");
                delivery.ack();
                failpoint::reach("poke", "after_ack");
                continue;
            }
            match reply::read(&delivery.message) {
                Ok((id, answer)) => {
                    let answer = answer.unwrap_or_else(|unexplained| {
                        let saga = id.saga;
                        tracing::warn!(sagaId = %saga, command = %id, %unexplained, "an answer explains nothing");
                        Answer::from(unexplained)
                    });
                    answers.push((id, answer, delivery));
                }
                Err(error) => {
                    tracing::warn!(messageId = %delivery.message.id, %error, "an answer to nothing");
                    let reason = error.to_string();
                    registry.do_send(Bury { delivery, reason });
                }
            }
        }
        // Waits for a place in the registry's mailbox: its pace is the consumer's.
        if registry.send(Answers(answers)).await.is_err() {
            return;
        }
    }
}
