//! The queues that a Skald installation needs, the same on every bus.

use crate::contract::names::{dead_letter_queue, reply_queue};
use crate::ports::bus::{DeadLetters, Exchange, Lifetime, QueueSpec};
use crate::ports::ledger::Shard;
use crate::saga::catalogue::Catalogue;
use crate::saga::id::QueueName;

/// What any queue holds. Above what admission lets wait for one worker, so that a command that was
/// accepted finds room; it bounds what a queue that nobody consumes can take.
const MAX_LENGTH: usize = 200_000;

/// How often a command may come back from a worker. It guards against messages that kill their
/// worker; retrying is the core's.
const COMMAND_DELIVERIES: u32 = 20;

/// Nothing is ever rejected on reply and dead-letter queues: what comes back there was not
/// processed for the consumer's reasons, and must not be lost for it.
const ENDLESS_DELIVERIES: u32 = 100_000;

/// The queues of one installation: one for the commands of each service, one for the replies to
/// each shard, one for dead letters.
pub fn queues(catalogue: &Catalogue, shards: Shard) -> Vec<QueueSpec> {
    let commands = command_queues(catalogue);
    let replies = (0..shards).map(|shard| unrouted(reply_queue(shard), Vec::new()));
    commands.chain(replies).chain([dead_letters()]).collect()
}

/// The queue of dead letters.
pub fn dead_letters() -> QueueSpec {
    unrouted(dead_letter_queue(), vec![(Exchange::Dead, "#".to_owned())])
}

/// The queues for the commands of each service.
pub fn command_queues(catalogue: &Catalogue) -> impl Iterator<Item = QueueSpec> {
    catalogue.queues().into_iter().map(command_queue)
}

/// The queue for the commands of one service, `<service>.commands`.
fn command_queue(name: QueueName) -> QueueSpec {
    let service = name.as_str().trim_end_matches(".commands").to_owned();
    QueueSpec {
        bindings: vec![(Exchange::Commands, format!("{service}.*"))],
        name,
        max_length: MAX_LENGTH,
        delivery_limit: COMMAND_DELIVERIES,
        dead_letters: DeadLetters::Kept,
        lifetime: Lifetime::Lasting,
    }
}

fn unrouted(name: QueueName, bindings: Vec<(Exchange, String)>) -> QueueSpec {
    QueueSpec {
        name,
        bindings,
        max_length: MAX_LENGTH,
        delivery_limit: ENDLESS_DELIVERIES,
        dead_letters: DeadLetters::Dropped,
        lifetime: Lifetime::Lasting,
    }
}
