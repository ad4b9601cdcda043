//! Queues, bindings, and the way of a message from an exchange to queues.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::confirmation::Confirmation;
use super::line::{Line, Parcel};
use super::pattern::Pattern;
use crate::ports::bus::{
    BusError, DeadLetters, Death, Exchange, Message, Outgoing, QueueDepth, QueueSpec, Receipt,
    Settlement,
};
use crate::saga::id::QueueName;

/// All queues and what they are bound to.
#[derive(Debug, Default)]
pub struct Broker {
    queues: RwLock<BTreeMap<QueueName, Bound>>,
}

/// A queue and what it gets.
#[derive(Debug)]
struct Bound {
    line: Arc<Line>,
    bindings: Vec<(Exchange, Pattern)>,
}

impl Bound {
    fn wants(&self, exchange: Exchange, routing_key: &str) -> bool {
        self.bindings
            .iter()
            .any(|(from, pattern)| *from == exchange && pattern.matches(routing_key))
    }
}

impl Broker {
    fn queues(&self) -> RwLockReadGuard<'_, BTreeMap<QueueName, Bound>> {
        self.queues.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes sure that a queue exists, with these bindings besides those it has.
    pub fn declare(&self, spec: &QueueSpec) -> Result<(), BusError> {
        let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
        let bound = queues.entry(spec.name.clone()).or_insert_with(|| Bound {
            line: Arc::new(Line::new(spec.clone())),
            bindings: Vec::new(),
        });
        if let Some(cause) = difference(&bound.line.spec, spec) {
            return Err(BusError::Mismatch { queue: spec.name.clone(), cause });
        }
        for (exchange, pattern) in &spec.bindings {
            let binding = (*exchange, Pattern::of(pattern));
            if !bound.bindings.contains(&binding) {
                bound.bindings.push(binding);
            }
        }
        Ok(())
    }

    /// Finds a queue.
    pub fn line(&self, name: &QueueName) -> Result<Arc<Line>, BusError> {
        let queues = self.queues();
        let bound = queues.get(name).ok_or_else(|| BusError::NoSuchQueue(name.clone()))?;
        Ok(Arc::clone(&bound.line))
    }

    /// How each queue is doing.
    pub fn depths(&self) -> Vec<QueueDepth> {
        self.queues().values().map(|bound| bound.line.depth()).collect()
    }

    /// The queues that get a message, each once.
    fn route(&self, exchange: Exchange, routing_key: &str) -> Vec<Arc<Line>> {
        let queues = self.queues();
        if exchange == Exchange::Default {
            let named = queues.get(&QueueName::from(routing_key));
            return named.map(|bound| Arc::clone(&bound.line)).into_iter().collect();
        }
        queues
            .values()
            .filter(|bound| bound.wants(exchange, routing_key))
            .map(|bound| Arc::clone(&bound.line))
            .collect()
    }

    /// Puts a message into every queue that is bound for it and has room.
    pub fn publish(&self, outgoing: Outgoing, receipt: Receipt) {
        let Outgoing { exchange, routing_key, message } = outgoing;
        let lines = self.route(exchange, &routing_key);
        if lines.is_empty() {
            receipt.settle(match exchange {
                Exchange::Commands | Exchange::Default => Settlement::Unroutable,
                Exchange::Events | Exchange::Dead => Settlement::Confirmed,
            });
            return;
        }
        let parcel = Parcel {
            message: Arc::new(message),
            routing_key: routing_key.into(),
            confirmation: Arc::new(Confirmation::new(receipt, lines.len())),
        };
        offer_to_all(&lines, parcel);
    }

    /// Makes a message that died in `queue` a dead letter. Its publisher is told *confirmed* once
    /// the dead letter is acknowledged.
    pub fn bury(&self, parcel: Parcel, queue: &QueueSpec, reason: String) {
        let lines = match queue.dead_letters {
            DeadLetters::Kept => self.route(Exchange::Dead, &parcel.routing_key),
            DeadLetters::Dropped => Vec::new(),
        };
        let Parcel { message, routing_key, confirmation } = parcel;
        if lines.is_empty() {
            // Told as confirmed although it is gone: sent again, it would only die again.
            tracing::warn!(id = %message.id, kind = %message.kind, queue = %queue.name, %reason,
                "a message died where no dead letters are kept; it is dropped");
        } else {
            let death = Death {
                queue: queue.name.to_string(),
                routing_key: routing_key.to_string(),
                reason,
            };
            let message = Arc::new(Message { death: Some(death), ..Message::clone(&message) });
            confirmation.wait_for_more(lines.len());
            let confirmation = Arc::clone(&confirmation);
            offer_to_all(&lines, Parcel { message, routing_key, confirmation });
        }
        confirmation.acknowledged();
    }
}

fn offer_to_all(lines: &[Arc<Line>], parcel: Parcel) {
    let Some((last, others)) = lines.split_last() else { return };
    for line in others {
        line.offer(parcel.clone());
    }
    last.offer(parcel);
}

/// In what `wanted` differs from the queue as it exists, bindings aside.
fn difference(existing: &QueueSpec, wanted: &QueueSpec) -> Option<String> {
    if existing.max_length != wanted.max_length {
        Some(format!("its length limit is {}, not {}", existing.max_length, wanted.max_length))
    } else if existing.delivery_limit != wanted.delivery_limit {
        Some(format!(
            "its delivery limit is {}, not {}",
            existing.delivery_limit, wanted.delivery_limit
        ))
    } else if existing.dead_letters != wanted.dead_letters {
        Some(format!(
            "its dead letters are {:?}, not {:?}",
            existing.dead_letters, wanted.dead_letters
        ))
    } else {
        None
    }
}
