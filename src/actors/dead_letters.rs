//! Dead letters: stored for the operator, and told to the saga concerned.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::blocking::Blocking;
use super::handle::{Board, poke};
use super::registry::LookForInputs;
use crate::failpoint;
use crate::ports::Clock;
use crate::ports::bus::{Bus, Death, Delivery, Message};
use crate::ports::door::{DeadLetter, Door};
use crate::ports::ledger::Shard;
use crate::ports::source::Source;

/// Dead letters stored in one transaction.
const BATCH: usize = 100;

/// Unsettled dead letters at a time, whatever their size: those that are being stored, and the next.
pub(super) const PREFETCH: usize = 2 * BATCH;

/// The pause after the store failed.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How a message died of which the broker says nothing.
fn unknown(message: &Message) -> Death {
    Death { queue: String::new(), routing_key: message.kind.clone(), reason: "unknown".to_owned() }
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
        let letters: Arc<[DeadLetter]> = batch
            .iter()
            .map(|delivery: &Delivery| {
                let message = &delivery.message;
                let death = message.death.clone().unwrap_or_else(|| unknown(message));
                DeadLetter::of(message, death, clock.now())
            })
            .collect();
        for letter in letters.iter() {
            tracing::warn!(messageId = %letter.message_id, queue = %letter.queue, reason = %letter.reason, "a message died");
            metrics::counter!("skald_dead_letters_total").increment(1);
        }
        let concerned = bury(&door, &blocking, &letters).await;
        failpoint::reach("dead_letters", "before_ack");
        batch.drain(..).for_each(Delivery::ack);
        failpoint::reach("dead_letters", "after_ack");
        for shard in concerned {
            match board.post(shard) {
                Some(post) => post.registry.do_send(LookForInputs),
                None => poke(bus.as_ref(), shard),
            }
        }
    }
}

/// Stores dead letters, and tells in which shards somebody waits now. They are kept until the store is
/// there: given back, they would come again only as often as their queue allows.
async fn bury(
    door: &Arc<dyn Door>,
    blocking: &Blocking,
    letters: &Arc<[DeadLetter]>,
) -> BTreeSet<Shard> {
    loop {
        let (door, letters) = (Arc::clone(door), Arc::clone(letters));
        match blocking.run(move || door.bury(&letters)).await {
            Ok(Ok(concerned)) => return concerned,
            failed => {
                tracing::error!(?failed, "dead letters can't be stored yet");
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    }
}
