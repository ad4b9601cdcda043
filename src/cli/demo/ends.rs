//! When sagas end, as the bus tells it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::contract::names::MessageId;
use crate::ports::bus::{Deliveries, Delivery};
use crate::saga::id::SagaId;

/// Events taken from the queue at a time.
pub const EVENTS: usize = 1_024;

/// Notes the ends of sagas as the bus tells them, for as long as it does.
pub async fn take(mut events: Deliveries, ends: Rc<Ends>) {
    let mut batch: Vec<Delivery> = Vec::with_capacity(EVENTS);
    while events.recv_many(&mut batch, EVENTS).await > 0 {
        let now = Instant::now();
        for event in batch.drain(..) {
            if let Some(id) = MessageId::parse(&event.message.id) {
                ends.came(id.saga, now);
            }
            event.ack();
        }
    }
}

/// The ends of sagas, and who waits for them. Either may come first: the event may overtake the
/// answer to the order.
#[derive(Default)]
pub struct Ends(RefCell<Known>);

enum Known {
    /// At most as many as orders are unfinished, and those that the bus told twice.
    Sagas(HashMap<SagaId, End>),
    /// Nobody wants to know any more.
    Closed,
}

impl Default for Known {
    fn default() -> Self {
        Self::Sagas(HashMap::new())
    }
}

enum End {
    Came(Instant),
    Awaited(oneshot::Sender<Instant>),
}

impl Ends {
    fn came(&self, saga: SagaId, at: Instant) {
        let Known::Sagas(sagas) = &mut *self.0.borrow_mut() else { return };
        if let Some(End::Awaited(waiting)) = sagas.remove(&saga) {
            let _ = waiting.send(at);
        } else {
            sagas.insert(saga, End::Came(at));
        }
    }

    /// When `saga` ended; none if that will not be known.
    pub async fn of(&self, saga: SagaId) -> Option<Instant> {
        let end = {
            let Known::Sagas(sagas) = &mut *self.0.borrow_mut() else { return None };
            if let Some(End::Came(at)) = sagas.remove(&saga) {
                return Some(at);
            }
            let (waiting, end) = oneshot::channel();
            sagas.insert(saga, End::Awaited(waiting));
            end
        };
        end.await.ok()
    }

    /// Forgets everything, and notes nothing any more.
    pub fn close(&self) {
        self.0.replace(Known::Closed);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn saga(n: u128) -> SagaId {
        SagaId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn an_end_is_known_whether_it_comes_before_or_after_it_is_asked_for() {
        let ends = Ends::default();
        let now = Instant::now();
        ends.came(saga(1), now);
        assert_eq!(ends.of(saga(1)).now_or_never(), Some(Some(now)));
        let mut asked = Box::pin(ends.of(saga(2)));
        assert_eq!(asked.as_mut().now_or_never(), None);
        ends.came(saga(3), now);
        assert_eq!(asked.as_mut().now_or_never(), None);
        ends.came(saga(2), now);
        assert_eq!(asked.now_or_never(), Some(Some(now)));
    }

    #[test]
    fn nothing_is_kept_once_nobody_wants_to_know() {
        let ends = Ends::default();
        ends.close();
        ends.came(saga(1), Instant::now());
        assert_eq!(ends.of(saga(1)).now_or_never(), Some(None));
    }
}
