//! Destinations for which the broker refuses everything. Pure.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::ports::bus::{Exchange, Outgoing};

/// How long the broker may refuse everything for a destination before another connection is tried.
/// Whoever sends tries again more often, so there are several refusals by then.
const LONG: Duration = Duration::from_secs(3);

/// The pause after the first connection that was tried.
const FIRST_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause: a queue that stays full costs a connection no more often than this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// After so long a refusal is forgotten. Whoever still wants to send has tried again by then.
const FORGET: Duration = Duration::from_secs(30);

/// Destinations that are watched at a time. Replies go wherever their commands say.
const DESTINATIONS: usize = 256;

/// An exchange and a routing key: what has the same goes to the same queues.
type Destination = (Exchange, String);

/// Which destinations the broker refuses everything for, and since when.
///
/// A refusal means that a queue is full, and nothing helps but to try again later. But a broker may go
/// on refusing over one connection what it takes over any other: before RabbitMQ 3.12.5 a channel that
/// sends a quorum queue its first message while the queue's leader is dead and the next one not yet
/// known refuses all that comes after it, until the dead one is back (`rabbit_fifo_client:enqueue/3`,
/// v3.10.8). And over a connection that met a full queue it refuses everything until a fifth of the
/// queue is free, over any other only while it is full. From here all that looks the same.
#[derive(Debug, Default)]
pub struct Refusals {
    refused: HashMap<Destination, Refused>,
    /// How often another connection was tried since nothing was refused.
    tries: u32,
    /// Before that no other connection is tried for what has had one.
    not_before: Option<Instant>,
}

#[derive(Debug)]
struct Refused {
    /// The first refusal over this connection since a message was taken, if there was one.
    since: Option<Instant>,
    last: Instant,
    /// Whether another connection was tried.
    had_another: bool,
}

impl Refusals {
    /// Whether it makes a difference that a message is taken.
    pub fn are_there(&self) -> bool {
        !self.refused.is_empty()
    }

    /// The broker took a message, or refused it.
    pub fn heard(&mut self, outgoing: &Outgoing, taken: bool, now: Instant) {
        let destination = (outgoing.exchange, outgoing.routing_key.clone());
        let watched = self.refused.len();
        match self.refused.get_mut(&destination) {
            Some(refused) if taken => refused.since = None,
            Some(refused) => {
                refused.since.get_or_insert(now);
                refused.last = now;
            }
            None if taken || watched == DESTINATIONS => {}
            None => {
                let refused = Refused { since: Some(now), last: now, had_another: false };
                self.refused.insert(destination, refused);
            }
        }
    }

    /// For which routing key's sake another connection should be tried now, if for any's. Asked for, it
    /// counts as tried for all that is refused: one full queue may be reached by many keys.
    pub fn want_another_connection(&mut self, now: Instant) -> Option<String> {
        self.refused.retain(|_, refused| now.duration_since(refused.last) < FORGET);
        if self.refused.is_empty() {
            (self.tries, self.not_before) = (0, None);
        }
        let may_again = self.not_before.is_none_or(|not_before| not_before <= now);
        let is_due =
            |refused: &Refused| refused.is_for_long() && (may_again || !refused.had_another);
        let ((_, key), _) = self.refused.iter().find(|(_, refused)| is_due(refused))?;
        let key = key.clone();
        self.not_before = Some(now + pause(self.tries));
        self.tries += 1;
        for refused in self.refused.values_mut() {
            refused.had_another |= refused.since.is_some();
        }
        Some(key)
    }

    /// What was refused so far was refused over a connection that is gone.
    pub fn begin_anew(&mut self) {
        self.refused.values_mut().for_each(|refused| refused.since = None);
    }
}

impl Refused {
    fn is_for_long(&self) -> bool {
        self.since.is_some_and(|since| self.last.duration_since(since) >= LONG)
    }
}

fn pause(tries: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << tries.min(16)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::bus::Message;

    const SECOND: Duration = Duration::from_secs(1);

    fn command(key: &str) -> Outgoing {
        let message = Message::example("1");
        Outgoing { exchange: Exchange::Commands, routing_key: key.to_owned(), message }
    }

    /// Refuses every second what is sent to `keys`, from `from` on and for so many seconds; over a new
    /// connection each time that one is wanted. Tells after how many seconds those were.
    fn refuse(refusals: &mut Refusals, keys: &[&str], from: Instant, seconds: u32) -> Vec<u32> {
        let mut renewed = Vec::new();
        for second in 0..=seconds {
            let now = from + SECOND * second;
            keys.iter().for_each(|key| refusals.heard(&command(key), false, now));
            if let Some(wanted) = refusals.want_another_connection(now) {
                assert!(keys.contains(&&*wanted), "{wanted}");
                refusals.begin_anew();
                renewed.push(second);
            }
        }
        renewed
    }

    #[test]
    fn what_is_refused_for_long_is_tried_over_other_connections_ever_more_rarely() {
        let renewed = refuse(&mut Refusals::default(), &["full"], Instant::now(), 2_400);
        assert_eq!(renewed[..6], [3, 13, 33, 73, 133, 193]);
        assert!(renewed[3..].windows(2).all(|two| two[1] - two[0] == 60), "{renewed:?}");
    }

    #[test]
    fn a_full_queue_that_is_reached_by_many_keys_costs_no_more_connections_than_by_one() {
        let renewed = refuse(&mut Refusals::default(), &["a", "b", "c"], Instant::now(), 240);
        assert_eq!(renewed, [3, 13, 33, 73, 133, 193]);
    }

    #[test]
    fn a_full_queue_does_not_make_another_one_wait_for_its_first_connection() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        assert_eq!(refuse(&mut refusals, &["full"], began, 80).last(), Some(&73));
        let both = refuse(&mut refusals, &["full", "stuck"], began + SECOND * 81, 80);
        assert_eq!(both, [3, 63], "the second one counts for both");
    }

    #[test]
    fn a_queue_that_takes_a_message_now_and_then_is_left_alone() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        for second in 0..60 {
            let now = began + SECOND * second;
            refusals.heard(&command("slow"), second % 3 == 0, now);
            assert_eq!(refusals.want_another_connection(now), None);
        }
    }

    #[test]
    fn what_one_exchange_takes_says_nothing_of_another_one_with_the_same_key() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        let letter = Outgoing { exchange: Exchange::Dead, ..command("inventory.reserve") };
        for second in 0..=3 {
            let now = began + SECOND * second;
            refusals.heard(&letter, false, now);
            refusals.heard(&command("inventory.reserve"), true, now);
        }
        let wanted = refusals.want_another_connection(began + LONG);
        assert_eq!(wanted.as_deref(), Some("inventory.reserve"));
    }

    #[test]
    fn a_refusal_or_two_long_ago_say_nothing() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        refusals.heard(&command("once"), false, began);
        assert_eq!(refusals.want_another_connection(began + SECOND * 29), None);
        assert!(refusals.are_there());
        refusals.heard(&command("twice"), false, began);
        refusals.heard(&command("twice"), false, began + LONG);
        assert_eq!(refusals.want_another_connection(began + LONG + FORGET), None);
        assert!(!refusals.are_there());
    }

    #[test]
    fn refusals_over_a_connection_that_is_gone_do_not_count() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        refusals.heard(&command("queue"), false, began);
        refusals.begin_anew();
        refusals.heard(&command("queue"), false, began + LONG);
        assert_eq!(refusals.want_another_connection(began + LONG), None);
    }

    #[test]
    fn how_often_it_was_tried_is_remembered_until_nothing_is_refused_any_more() {
        let (mut refusals, began) = (Refusals::default(), Instant::now());
        assert_eq!(refuse(&mut refusals, &["queue"], began, 4), [3]);
        refusals.heard(&command("queue"), true, began + SECOND * 5);
        let renewed = refuse(&mut refusals, &["queue"], began + SECOND * 6, 14);
        assert_eq!(renewed, [7], "not before the thirteenth second");
        let later = began + SECOND * 20 + FORGET;
        assert_eq!(refusals.want_another_connection(later), None);
        assert_eq!(refuse(&mut refusals, &["queue"], later, 14), [3, 13]);
    }

    #[test]
    fn only_so_many_destinations_are_watched() {
        let (mut refusals, now) = (Refusals::default(), Instant::now());
        for number in 0..2 * DESTINATIONS {
            refusals.heard(&command(&number.to_string()), false, now);
        }
        assert_eq!(refusals.refused.len(), DESTINATIONS);
    }
}
