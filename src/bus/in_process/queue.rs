//! One queue: which message goes to which consumer. Pure; [`line`](super::line) shares it between
//! threads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::task::AtomicWaker;

/// Wakes a consumer. To be rung when the queue is not locked any more.
pub type Bell = Arc<AtomicWaker>;

/// Names a consumer within its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerId(u64);

/// A message in a queue.
#[derive(Debug)]
pub struct Entry<T> {
    /// The message.
    pub item: T,
    /// How often it was delivered before.
    pub redeliveries: u32,
    /// Its place in the order of arrival.
    place: u64,
}

/// A consumer and what it was given.
#[derive(Debug)]
struct Consumer<T> {
    id: ConsumerId,
    prefetch: usize,
    priority: i64,
    /// Delivered to it and not settled, those in its inbox included.
    unsettled: usize,
    /// What it did not take out yet.
    inbox: VecDeque<Entry<T>>,
    bell: Bell,
}

/// A queue and its consumers.
///
/// As long as anything waits, every consumer has all that its prefetch allows.
#[derive(Debug)]
pub struct Queue<T> {
    max_length: usize,
    delivery_limit: u32,
    arrivals: u64,
    /// Never delivered, oldest first.
    fresh: VecDeque<Entry<T>>,
    /// Delivered before; goes out ahead of what is fresh.
    returned: BTreeMap<u64, Entry<T>>,
    /// Delivered and not settled, also to consumers that are gone.
    unsettled: usize,
    consumers: Vec<Consumer<T>>,
    consumers_ever: u64,
    /// Whose turn it is.
    turn: usize,
}

impl<T> Queue<T> {
    /// An empty queue without consumers.
    pub fn new(max_length: usize, delivery_limit: u32) -> Self {
        Self {
            max_length,
            delivery_limit,
            arrivals: 0,
            fresh: VecDeque::new(),
            returned: BTreeMap::new(),
            unsettled: 0,
            consumers: Vec::new(),
            consumers_ever: 0,
            turn: 0,
        }
    }

    /// How many messages wait.
    pub fn ready(&self) -> usize {
        self.fresh.len() + self.returned.len()
    }

    /// How many messages are delivered and not settled.
    pub fn unsettled(&self) -> usize {
        self.unsettled
    }

    /// Adds a message; gives it back if the queue is full.
    pub fn offer(&mut self, item: T) -> Result<Vec<Bell>, T> {
        if self.ready() + self.unsettled >= self.max_length {
            return Err(item);
        }
        self.arrivals += 1;
        self.fresh.push_back(Entry { item, redeliveries: 0, place: self.arrivals });
        Ok(self.hand_out())
    }

    /// Adds a consumer that may have `prefetch` unsettled deliveries, at least one, and gets them
    /// before those of a lower `priority`. It gets them without its bell being rung.
    pub fn attach(&mut self, prefetch: usize, priority: i64, bell: Bell) -> ConsumerId {
        self.consumers_ever += 1;
        let id = ConsumerId(self.consumers_ever);
        self.consumers.push(Consumer {
            id,
            prefetch: prefetch.max(1),
            priority,
            unsettled: 0,
            inbox: VecDeque::new(),
            bell,
        });
        // Whoever was here before had all that was allowed, or nothing waits.
        self.hand_out();
        id
    }

    /// Removes a consumer. What it did not take out waits again and counts as never delivered;
    /// what it did take out is still to be settled.
    pub fn detach(&mut self, consumer: ConsumerId) -> Vec<Bell> {
        let Some(at) = self.consumers.iter().position(|known| known.id == consumer) else {
            return Vec::new();
        };
        let gone = self.consumers.remove(at);
        self.unsettled -= gone.inbox.len();
        self.returned.extend(gone.inbox.into_iter().map(|entry| (entry.place, entry)));
        self.hand_out()
    }

    /// Moves up to `limit` deliveries from a consumer's inbox to `taken`.
    pub fn take(&mut self, consumer: ConsumerId, limit: usize, taken: &mut Vec<Entry<T>>) {
        if let Some(consumer) = self.consumers.iter_mut().find(|known| known.id == consumer) {
            let count = limit.min(consumer.inbox.len());
            taken.extend(consumer.inbox.drain(..count));
        }
    }

    /// A delivery is settled for good.
    pub fn settle(&mut self, consumer: ConsumerId) -> Vec<Bell> {
        self.unsettled -= 1;
        if let Some(consumer) = self.consumers.iter_mut().find(|known| known.id == consumer) {
            consumer.unsettled -= 1;
        }
        self.hand_out()
    }

    /// A delivery comes back and will be delivered again. If that has happened too often, it is
    /// settled for good instead, and returned to be dealt with.
    pub fn give_back(
        &mut self,
        consumer: ConsumerId,
        mut entry: Entry<T>,
    ) -> (Vec<Bell>, Option<T>) {
        entry.redeliveries += 1;
        if entry.redeliveries > self.delivery_limit {
            return (self.settle(consumer), Some(entry.item));
        }
        self.returned.insert(entry.place, entry);
        (self.settle(consumer), None)
    }

    /// Delivers while anything waits and somebody may have it. Returns the bells of those who had
    /// nothing before.
    fn hand_out(&mut self) -> Vec<Bell> {
        let mut bells = Vec::new();
        while self.ready() > 0
            && let Some(consumer) = next_in_turn(&mut self.consumers, &mut self.turn)
        {
            let back = self.returned.pop_first().map(|(_, entry)| entry);
            let Some(entry) = back.or_else(|| self.fresh.pop_front()) else { break };
            if consumer.inbox.is_empty() {
                bells.push(Arc::clone(&consumer.bell));
            }
            consumer.inbox.push_back(entry);
            consumer.unsettled += 1;
            self.unsettled += 1;
        }
        bells
    }
}

/// The consumer whose turn it is among those of the highest priority whose prefetch allows more; the
/// turn passes on.
fn next_in_turn<'a, T>(
    consumers: &'a mut [Consumer<T>],
    turn: &mut usize,
) -> Option<&'a mut Consumer<T>> {
    let count = consumers.len();
    let has_room = |known: &&Consumer<T>| known.unsettled < known.prefetch;
    let highest = consumers.iter().filter(has_room).map(|known| known.priority).max()?;
    let at = (*turn..*turn + count).map(|n| n % count).find(|&at| {
        consumers.get(at).filter(has_room).is_some_and(|known| known.priority == highest)
    })?;
    *turn = at + 1;
    consumers.get_mut(at)
}

#[cfg(test)]
mod tests;
