//! Messages that the broker has not confirmed yet. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::wire::is_mandatory;
use crate::ports::bus::{Outgoing, Settlement};

/// Names a message that was sent, in the order of sending.
pub type Number = u64;

/// What a message that reached no queue is recognised by: exchange, routing key, message id.
pub type Returned = (String, String, String);

/// A message is confirmed, or refused.
#[derive(Debug)]
pub struct Confirmed {
    /// Which one.
    pub number: Number,
    /// Whether the broker took it.
    pub taken: bool,
    /// A message that came back, this one or another.
    pub returned: Option<Returned>,
}

/// Messages on their way, each with whoever waits for its outcome.
///
/// The broker gives a message back before it confirms it. The client library hands on what came back
/// with confirmations, whichever they are: with each the oldest that waits. Where many messages are
/// confirmed at once it goes through them in any order, and some may be seen before the others are. So
/// a message whose confirmation comes with another one may have come back itself, and is decided only
/// once nothing that came back can wait any more: when a later confirmation comes with none, or all are
/// confirmed.
#[derive(Debug)]
pub struct InFlight<W> {
    sent_ever: Number,
    open: BTreeMap<Number, Open<W>>,
    /// Confirmed, and not decided.
    undecided: Vec<Open<W>>,
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
        Self { sent_ever: 0, open, undecided: Vec::new(), returned, given_up: 0 }
    }
}

impl<W> InFlight<W> {
    /// How many have no outcome, those that nobody waits for included: the broker may still take them
    /// in, and the client library still holds them.
    pub fn len(&self) -> usize {
        self.open.len() + self.undecided.len()
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

    /// A message that has no confirmation yet.
    pub fn outgoing(&self, number: Number) -> Option<&Outgoing> {
        self.open.get(&number).map(|open| &*open.outgoing)
    }

    /// These messages are confirmed; no other confirmation can be seen by now. Tells what becomes of
    /// messages for which somebody waits.
    pub fn confirmed(&mut self, seen: Vec<Confirmed>) -> Vec<(W, Settlement)> {
        let none_waits = seen.iter().any(|confirmed| confirmed.returned.is_none());
        for returned in seen.iter().filter_map(|confirmed| confirmed.returned.clone()) {
            *self.returned.entry(returned).or_default() += 1;
        }
        let mut outcomes = self.decide(none_waits);
        for Confirmed { number, taken, returned } in seen {
            let Some(open) = self.open.remove(&number) else { continue };
            if open.waiting.is_none() {
                self.given_up -= 1;
            }
            let settlement = match (taken, self.came_back(&open.outgoing)) {
                (false, _) => Settlement::Rejected,
                (true, true) => Settlement::Unroutable,
                (true, false) if returned.is_some() && is_mandatory(&open.outgoing) => {
                    self.undecided.push(open);
                    continue;
                }
                (true, false) => Settlement::Confirmed,
            };
            outcomes.extend(open.waiting.map(|waiting| (waiting, settlement)));
        }
        let all_are_confirmed = self.open.is_empty();
        outcomes.extend(self.decide(all_are_confirmed));
        outcomes
    }

    /// Decides what came back, and everything else if nothing that came back waits any more.
    fn decide(&mut self, none_waits: bool) -> Vec<(W, Settlement)> {
        let mut outcomes = Vec::new();
        for open in std::mem::take(&mut self.undecided) {
            let settlement = match self.came_back(&open.outgoing) {
                true => Settlement::Unroutable,
                false if none_waits => Settlement::Confirmed,
                false => {
                    self.undecided.push(open);
                    continue;
                }
            };
            outcomes.extend(open.waiting.map(|waiting| (waiting, settlement)));
        }
        outcomes
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
        let undecided =
            self.undecided.iter_mut().filter_map(|open| open.waiting.take_if(|it| overdue(it)));
        given_up.extend(undecided);
        given_up
    }

    /// The connection is gone, and with it all confirmations: all those who wait.
    pub fn abandon(&mut self) -> Vec<W> {
        self.returned.clear();
        self.given_up = 0;
        let open = std::mem::take(&mut self.open).into_values();
        open.chain(self.undecided.drain(..)).filter_map(|open| open.waiting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::bus::{Exchange, Message};

    fn outgoing(exchange: Exchange, id: &str) -> Arc<Outgoing> {
        let message = Message::example(id);
        Arc::new(Outgoing { exchange, routing_key: "key".to_owned(), message })
    }

    fn returned(exchange: Exchange, id: &str) -> Returned {
        (exchange.as_str().to_owned(), "key".to_owned(), id.to_owned())
    }

    fn seen(number: Number, returned: Option<Returned>) -> Confirmed {
        Confirmed { number, taken: true, returned }
    }

    #[test]
    fn a_returned_message_is_known_by_its_id_whatever_is_confirmed_first() {
        let mut in_flight = InFlight::default();
        let first = in_flight.sent(outgoing(Exchange::Commands, "1"), 'a');
        let second = in_flight.sent(outgoing(Exchange::Commands, "2"), 'b');
        let both = vec![seen(first, Some(returned(Exchange::Commands, "2"))), seen(second, None)];
        let outcomes = [('b', Settlement::Unroutable), ('a', Settlement::Confirmed)];
        assert_eq!(in_flight.confirmed(both), outcomes);
        assert_eq!(in_flight.len(), 0);
    }

    #[test]
    fn whoever_comes_with_another_one_may_have_come_back_itself() {
        let mut in_flight = InFlight::default();
        let numbers =
            ["1", "2", "3"].map(|id| in_flight.sent(outgoing(Exchange::Commands, id), id));
        let back = |id| Some(returned(Exchange::Commands, id));
        // The library went through them backwards, and was seen in the middle of it.
        assert_eq!(in_flight.confirmed(vec![seen(numbers[2], back("1"))]), []);
        assert_eq!(in_flight.len(), 3);
        let outcomes = [
            ("1", Settlement::Unroutable),
            ("2", Settlement::Unroutable),
            ("3", Settlement::Unroutable),
        ];
        let rest = vec![seen(numbers[0], back("2")), seen(numbers[1], back("3"))];
        let mut decided = in_flight.confirmed(rest);
        decided.sort_unstable_by_key(|(id, _)| *id);
        assert_eq!(decided, outcomes);
        assert_eq!(in_flight.len(), 0);
    }

    #[test]
    fn whoever_came_with_another_one_arrived_once_a_confirmation_comes_with_none() {
        let mut in_flight = InFlight::default();
        let numbers =
            ["1", "2", "3", "4"].map(|id| in_flight.sent(outgoing(Exchange::Commands, id), id));
        let came_with_another = seen(numbers[0], Some(returned(Exchange::Commands, "2")));
        assert_eq!(in_flight.confirmed(vec![came_with_another]), []);
        let another = Some(returned(Exchange::Commands, "4"));
        assert_eq!(
            in_flight.confirmed(vec![seen(numbers[1], another)]),
            [("2", Settlement::Unroutable)]
        );
        assert_eq!(
            in_flight.confirmed(vec![seen(numbers[2], None)]),
            [("1", Settlement::Confirmed), ("3", Settlement::Confirmed)]
        );
    }

    #[test]
    fn whoever_is_not_decided_in_time_is_given_up_and_takes_up_room_until_it_is() {
        let mut in_flight = InFlight::default();
        let numbers = [1, 2].map(|due| in_flight.sent(outgoing(Exchange::Commands, "1"), due));
        let another = || Some(returned(Exchange::Commands, "0"));
        assert_eq!(in_flight.confirmed(vec![seen(numbers[0], another())]), []);
        assert_eq!(in_flight.give_up(|due| *due < 2), [1]);
        assert_eq!((in_flight.len(), in_flight.given_up()), (2, 0));
        assert_eq!(in_flight.confirmed(vec![seen(numbers[1], None)]), [(2, Settlement::Confirmed)]);
        assert_eq!(in_flight.len(), 0);
        let [third, _] = [3, 4].map(|due| in_flight.sent(outgoing(Exchange::Commands, "3"), due));
        assert_eq!(in_flight.confirmed(vec![seen(third, another())]), []);
        assert_eq!(in_flight.abandon(), [4, 3]);
    }

    #[test]
    fn an_event_is_not_taken_for_the_command_with_its_id_and_never_comes_back() {
        let mut in_flight = InFlight::default();
        let event = in_flight.sent(outgoing(Exchange::Events, "1"), 'e');
        let command = in_flight.sent(outgoing(Exchange::Commands, "1"), 'c');
        let back = Some(returned(Exchange::Commands, "1"));
        assert_eq!(in_flight.confirmed(vec![seen(event, back)]), [('e', Settlement::Confirmed)]);
        assert_eq!(in_flight.confirmed(vec![seen(command, None)]), [('c', Settlement::Unroutable)]);
    }

    #[test]
    fn a_message_sent_twice_that_came_back_once_is_unroutable_once() {
        let mut in_flight = InFlight::default();
        let numbers = ['a', 'b'].map(|who| in_flight.sent(outgoing(Exchange::Default, "1"), who));
        let back = Some(returned(Exchange::Default, "1"));
        let outcomes = [('a', Settlement::Unroutable), ('b', Settlement::Confirmed)];
        assert_eq!(
            in_flight.confirmed(vec![seen(numbers[0], back), seen(numbers[1], None)]),
            outcomes
        );
    }

    #[test]
    fn a_refused_message_is_rejected() {
        let mut in_flight = InFlight::default();
        let number = in_flight.sent(outgoing(Exchange::Events, "1"), ());
        let refused = Confirmed { number, taken: false, returned: None };
        assert_eq!(in_flight.confirmed(vec![refused]), [((), Settlement::Rejected)]);
    }

    #[test]
    fn what_is_given_up_still_takes_up_room_until_it_is_confirmed() {
        let mut in_flight = InFlight::default();
        let numbers = [1, 2, 3].map(|due| in_flight.sent(outgoing(Exchange::Events, "1"), due));
        assert_eq!(in_flight.give_up(|due| *due < 3), [1, 2]);
        assert_eq!(in_flight.give_up(|due| *due < 3), Vec::<i32>::new());
        assert_eq!((in_flight.len(), in_flight.given_up()), (3, 2));
        assert_eq!(in_flight.confirmed(vec![seen(numbers[0], None)]), []);
        assert_eq!((in_flight.len(), in_flight.given_up()), (2, 1));
        assert_eq!(in_flight.abandon(), [3]);
        assert_eq!((in_flight.len(), in_flight.given_up()), (0, 0));
    }
}
