//! A message broker within the process, with the semantics of RabbitMQ's quorum queues.
//!
//! It differs in one thing: it dies with the process, so *confirmed* means that every bound
//! consumer acknowledged the message, or its dead letter.
//!
//! | file | holds |
//! |---|---|
//! | `pattern` | topic patterns |
//! | `queue` | one queue: order, prefetch, turns, redelivery (pure) |
//! | `line` | a queue shared between threads; consumers and deliveries |
//! | `confirmation` | when a message counts as confirmed |
//! | `broker` | all queues, bindings and routing |

mod broker;
mod confirmation;
mod line;
mod pattern;
mod queue;

use std::future::ready;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::ports::bus::{Bus, BusError, Deliveries, Outgoing, QueueDepth, QueueSpec, Receipt};
use crate::saga::id::QueueName;
use broker::Broker;
use line::subscribe;

/// The bus of the embedded mode.
#[derive(Debug, Default)]
pub struct InProcessBus {
    broker: Arc<Broker>,
}

impl Bus for InProcessBus {
    fn declare(&self, spec: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>> {
        Box::pin(ready(self.broker.declare(spec)))
    }

    fn publish(&self, outgoing: Outgoing, receipt: Receipt) {
        self.broker.publish(outgoing, receipt);
    }

    fn consume_before_others(
        &self,
        queue: &QueueName,
        prefetch: usize,
        priority: i64,
    ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
        let line = self.broker.line(queue);
        let broker = Arc::clone(&self.broker);
        Box::pin(ready(line.map(|line| subscribe(broker, line, prefetch, priority))))
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>> {
        Box::pin(ready(Ok(self.broker.depths())))
    }

    fn is_lasting(&self) -> bool {
        false
    }
}
