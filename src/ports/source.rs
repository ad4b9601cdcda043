//! A consumer that is renewed whenever it is over.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::sleep;

use super::bus::{Bus, BusError, Deliveries, Delivery};
use crate::saga::id::QueueName;

/// The pause before a lost consumer is renewed. Long enough not to trouble a broker that is just
/// starting.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause: once the bus is back, replies come again within two seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Deliveries of one queue, from one consumer after the other.
pub struct Source {
    bus: Arc<dyn Bus>,
    queue: QueueName,
    prefetch: usize,
    priority: i64,
    deliveries: Option<Deliveries>,
}

impl Source {
    /// Deliveries of `queue`, at most `prefetch` unsettled at a time. Consumes from the first wait on, once
    /// the queue can be consumed.
    pub fn of(bus: Arc<dyn Bus>, queue: QueueName, prefetch: usize) -> Self {
        Self { bus, queue, prefetch, priority: 0, deliveries: None }
    }

    /// Consumes before those of a lower priority than this.
    pub fn before_others(self, priority: i64) -> Self {
        Self { priority, ..self }
    }

    /// Starts to consume at once.
    ///
    /// # Errors
    /// When the queue can't be consumed now: then something is wrong at the start.
    pub async fn open(mut self) -> Result<Self, BusError> {
        self.deliveries = Some(self.consumer().await?);
        Ok(self)
    }

    /// Waits for deliveries and adds up to `limit` of those at hand to `batch`, at least one. What
    /// the consumers before left unsettled comes again. Giving up the wait loses nothing.
    pub async fn recv_many(&mut self, batch: &mut Vec<Delivery>, limit: usize) {
        loop {
            if let Some(deliveries) = &mut self.deliveries {
                if deliveries.recv_many(batch, limit).await > 0 {
                    return;
                }
                tracing::warn!(queue = %self.queue, "a consumer is over; renewing it");
            }
            self.deliveries = None;
            self.deliveries = Some(self.renewed().await);
        }
    }

    async fn renewed(&self) -> Deliveries {
        let mut pause = FIRST_PAUSE;
        loop {
            sleep(pause).await;
            match self.consumer().await {
                Ok(deliveries) => {
                    tracing::info!(queue = %self.queue, "the queue is consumed");
                    return deliveries;
                }
                Err(error) => {
                    tracing::warn!(queue = %self.queue, %error, "a queue can't be consumed");
                }
            }
            pause = longer(pause);
        }
    }

    fn consumer(&self) -> BoxFuture<'_, Result<Deliveries, BusError>> {
        self.bus.consume_before_others(&self.queue, self.prefetch, self.priority)
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(LONGEST_PAUSE)
}

#[cfg(test)]
#[allow(clippy::unimplemented)] // A bus that is only consumed from.
mod tests {
    use std::sync::Mutex;
    use std::task::{Context, Poll};

    use futures_util::future::ready;

    use super::*;
    use crate::ports::bus::{
        Inbox, Message, Outgoing, QueueDepth, QueueSpec, Receipt, Settle, Verdict,
    };

    /// A bus whose consumers come to an end after these many deliveries; none where it can't be
    /// consumed.
    struct Unsteady {
        left: Mutex<Vec<Option<usize>>>,
        /// The priority of each attempt to consume.
        priorities: Mutex<Vec<i64>>,
    }

    fn unsteady(left: impl Into<Vec<Option<usize>>>) -> Arc<Unsteady> {
        Arc::new(Unsteady { left: Mutex::new(left.into()), priorities: Mutex::default() })
    }

    impl Bus for Unsteady {
        fn declare(&self, _: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>> {
            unimplemented!("nothing is declared")
        }

        fn publish(&self, _: Outgoing, _: Receipt) {
            unimplemented!("nothing is published")
        }

        fn consume_before_others(
            &self,
            _: &QueueName,
            _: usize,
            priority: i64,
        ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
            self.priorities.lock().unwrap().push(priority);
            let deliveries = self.left.lock().unwrap().pop().flatten();
            let away = || BusError::Unavailable("on purpose".to_owned());
            Box::pin(ready(deliveries.map(|left| Deliveries::new(Ending(left))).ok_or_else(away)))
        }

        fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>> {
            unimplemented!("nobody asks")
        }
    }

    /// A consumer with so many deliveries left.
    struct Ending(usize);

    impl Inbox for Ending {
        fn poll_take(
            &mut self,
            _: &mut Context<'_>,
            batch: &mut Vec<Delivery>,
            limit: usize,
        ) -> Poll<usize> {
            let count = limit.min(self.0);
            self.0 -= count;
            batch.extend((0..count).map(|_| Delivery::new(message(), 0, Box::new(Settled))));
            Poll::Ready(count)
        }
    }

    struct Settled;

    impl Settle for Settled {
        fn settle(self: Box<Self>, _: Verdict) {}
    }

    fn message() -> Arc<Message> {
        Arc::new(Message::example("1"))
    }

    #[tokio::test]
    async fn a_consumer_that_is_over_is_renewed_until_it_can_be() {
        let bus = unsteady([Some(5), None, Some(0), None, Some(2)]);
        let source = Source::of(bus.clone(), "replies".into(), 10).before_others(7);
        let mut source = source.open().await.unwrap();
        let mut batch = Vec::new();
        for expected in [2, 6, 7] {
            source.recv_many(&mut batch, 4).await;
            assert_eq!(batch.len(), expected);
        }
        assert!(bus.left.lock().unwrap().is_empty());
        assert_eq!(*bus.priorities.lock().unwrap(), [7; 5]);
    }

    #[tokio::test]
    async fn a_queue_that_cannot_be_consumed_at_the_start_is_an_error() {
        let bus = unsteady([None]);
        assert!(Source::of(bus, "replies".into(), 10).open().await.is_err());
    }

    #[tokio::test]
    async fn a_queue_that_cannot_be_consumed_yet_is_consumed_once_it_can_be() {
        let bus = unsteady([Some(1), None]);
        let mut source = Source::of(bus, "dead".into(), 10);
        let mut batch = Vec::new();
        source.recv_many(&mut batch, 4).await;
        assert_eq!(batch.len(), 1);
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses: Vec<_> = std::iter::successors(Some(FIRST_PAUSE), |pause| Some(longer(*pause)))
            .take_while(|pause| *pause < LONGEST_PAUSE)
            .take(100)
            .collect();
        assert!(pauses.is_sorted_by(|a, b| a < b) && pauses.len() < 100, "{pauses:?}");
    }
}
