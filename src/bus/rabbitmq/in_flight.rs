//! Messages that the broker has not confirmed yet. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::ports::bus::{Outgoing, Settlement};

/// Names a message that was sent, in the order of sending.
pub type Number = u64;

/// What a message that reached no queue is recognised by: exchange, routing key, message id.
pub type Returned = (String, String, String);

/// Messages on their way, each with whoever waits for its outcome.
#[derive(Debug)]
pub struct InFlight<W> {
    sent_ever: Number,
    open: BTreeMap<Number, Open<W>>,
    /// What came back and whose confirmation did not come yet, with how often.
    returned: HashMap<Returned, usize>,
    /// How many of those open nobody waits for any more.
    given_up: usize,
}

#[derive(Debug)]
struct Open<W> {
    outgoing: Arc<Outgoing>,
    waiting: Option<W>,
}

impl<W> Default for InFlight<W> {
    fn default() -> Self {
        let (open, returned) = (BTreeMap::new(), HashMap::new());
        Self { sent_ever: 0, open, returned, given_up: 0 }
    }
}

impl<W> InFlight<W> {
    /// How many are not confirmed, those that nobody waits for included: the broker may still take
    /// them in, and the client library still holds them.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// How many nobody waits for any more.
    pub fn given_up(&self) -> usize {
        self.given_up
    }

    /// A message is sent.
    pub fn sent(&mut self, outgoing: Arc<Outgoing>, waiting: W) -> Number {
        self.sent_ever += 1;
        self.open.insert(self.sent_ever, Open { outgoing, waiting: Some(waiting) });
        self.sent_ever
    }

    /// A message came back because it reached no queue. The broker says so before it confirms it.
    pub fn returned(&mut self, message: Returned) {
        *self.returned.entry(message).or_default() += 1;
    }

    /// A message is confirmed, or refused if not `taken`. Everything that came back before has to
    /// be told before. None if nobody waits any more.
    pub fn confirmed(&mut self, number: Number, taken: bool) -> Option<(W, Settlement)> {
        let Open { outgoing, waiting } = self.open.remove(&number)?;
        let unroutable = self.came_back(&outgoing);
        let Some(waiting) = waiting else {
            self.given_up -= 1;
            return None;
        };
        let settlement = match (taken, unroutable) {
            (true, false) => Settlement::Confirmed,
            (true, true) => Settlement::Unroutable,
            (false, _) => Settlement::Rejected,
        };
        Some((waiting, settlement))
    }

    fn came_back(&mut self, outgoing: &Outgoing) -> bool {
        if self.returned.is_empty() {
            return false;
        }
        let key = (
            outgoing.exchange.as_str().to_owned(),
            outgoing.routing_key.clone(),
            outgoing.message.id.clone(),
        );
        let Some(times) = self.returned.get_mut(&key) else { return false };
        *times -= 1;
        if *times == 0 {
            self.returned.remove(&key);
        }
        true
    }

    /// Gives up the wait for every message for which `overdue` holds, the oldest first, up to the
    /// first for which it does not.
    pub fn give_up(&mut self, overdue: impl Fn(&W) -> bool) -> Vec<W> {
        let mut given_up = Vec::new();
        for open in self.open.values_mut() {
            match &open.waiting {
                Some(waiting) if !overdue(waiting) => break,
                _ => given_up.extend(open.waiting.take()),
            }
        }
        self.given_up += given_up.len();
        given_up
    }

    /// The connection is gone, and with it all confirmations: all those who wait.
    pub fn abandon(&mut self) -> Vec<W> {
        self.returned.clear();
        self.given_up = 0;
        std::mem::take(&mut self.open).into_values().filter_map(|open| open.waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ports::bus::{Exchange, Message};

    fn outgoing(exchange: Exchange, id: &str) -> Arc<Outgoing> {
        let message = Message {
            id: id.to_owned(),
            kind: "test".to_owned(),
            correlation_id: None,
            reply_to: None,
            traceparent: None,
            body: Bytes::new(),
            death: None,
        };
        Arc::new(Outgoing { exchange, routing_key: "key".to_owned(), message })
    }

    fn returned(exchange: Exchange, id: &str) -> Returned {
        (exchange.as_str().to_owned(), "key".to_owned(), id.to_owned())
    }

    #[test]
    fn a_returned_message_is_known_by_its_id_whatever_is_confirmed_first() {
        let mut in_flight = InFlight::default();
        let first = in_flight.sent(outgoing(Exchange::Commands, "1"), 'a');
        let second = in_flight.sent(outgoing(Exchange::Commands, "2"), 'b');
        in_flight.returned(returned(Exchange::Commands, "2"));
        assert_eq!(in_flight.confirmed(first, true), Some(('a', Settlement::Confirmed)));
        assert_eq!(in_flight.confirmed(second, true), Some(('b', Settlement::Unroutable)));
        assert_eq!(in_flight.len(), 0);
    }

    #[test]
    fn an_event_is_not_taken_for_the_command_with_its_id() {
        let mut in_flight = InFlight::default();
        let event = in_flight.sent(outgoing(Exchange::Events, "1"), 'e');
        let command = in_flight.sent(outgoing(Exchange::Commands, "1"), 'c');
        in_flight.returned(returned(Exchange::Commands, "1"));
        assert_eq!(in_flight.confirmed(event, true), Some(('e', Settlement::Confirmed)));
        assert_eq!(in_flight.confirmed(command, true), Some(('c', Settlement::Unroutable)));
    }

    #[test]
    fn a_message_sent_twice_that_came_back_once_is_unroutable_once() {
        let mut in_flight = InFlight::default();
        let numbers = ['a', 'b'].map(|who| in_flight.sent(outgoing(Exchange::Default, "1"), who));
        in_flight.returned(returned(Exchange::Default, "1"));
        let settlements = numbers.map(|number| in_flight.confirmed(number, true).unwrap().1);
        assert_eq!(settlements, [Settlement::Unroutable, Settlement::Confirmed]);
    }

    #[test]
    fn a_refused_message_is_rejected() {
        let mut in_flight = InFlight::default();
        let number = in_flight.sent(outgoing(Exchange::Events, "1"), ());
        assert_eq!(in_flight.confirmed(number, false), Some(((), Settlement::Rejected)));
    }

    #[test]
    fn what_is_given_up_still_takes_up_room_until_it_is_confirmed() {
        let mut in_flight = InFlight::default();
        let numbers = [1, 2, 3].map(|due| in_flight.sent(outgoing(Exchange::Events, "1"), due));
        assert_eq!(in_flight.give_up(|due| *due < 3), [1, 2]);
        assert_eq!(in_flight.give_up(|due| *due < 3), Vec::<i32>::new());
        assert_eq!((in_flight.len(), in_flight.given_up()), (3, 2));
        assert_eq!(in_flight.confirmed(numbers[0], true), None);
        assert_eq!((in_flight.len(), in_flight.given_up()), (2, 1));
        assert_eq!(in_flight.abandon(), [3]);
        assert_eq!((in_flight.len(), in_flight.given_up()), (0, 0));
    }
}
