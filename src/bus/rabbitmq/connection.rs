//! One connection to the broker: made, watched, made anew.
//!
//! The client library could reconnect by itself, but then nobody would know which confirmations and
//! deliveries were lost in between. Here a lost connection ends everything that was on it.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::{Connection, ConnectionProperties, Error, ErrorKind, Event};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};

use super::address::Address;
use super::tame;
use super::topology::Declared;
use crate::ports::bus::BusError;

/// How long one attempt at one address may take, declarations included. A broker under load takes a
/// second; one that is starting refuses at once.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The pause after all addresses failed once.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The longest pause: a broker that is back is used again within ten seconds.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often a connection is looked at besides listening to it.
const LOOK: Duration = Duration::from_secs(1);

/// What a connection is for. A broker short of memory stops to read from connections that publish,
/// so acknowledgements need another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Messages out.
    Publishing,
    /// Messages in, declarations, questions.
    Consuming,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Publishing => "publishing",
            Self::Consuming => "consuming",
        })
    }
}

/// What is wrong with the connections, if anything. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<[Option<String>; 2]>>);

impl Health {
    /// Notes what is wrong with a connection, or that nothing is.
    pub fn note(&self, purpose: Purpose, trouble: Option<String>) {
        let mut troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [publishing, consuming] = &mut *troubles;
        match purpose {
            Purpose::Publishing => *publishing = trouble,
            Purpose::Consuming => *consuming = trouble,
        }
    }

    /// Whether all is well.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), BusError> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match troubles.iter().flatten().next() {
            Some(trouble) => Err(BusError::Unavailable(trouble.clone())),
            None => Ok(()),
        }
    }
}

/// Brokers of one cluster, whose turn it is one after the other.
///
/// The first turn is anybody's, so that the connections of many processes spread over the cluster.
/// After a lost connection it is the next broker's turn, whatever ended it: a broker that still lets
/// us in may be cut off from the others, and confirm nothing.
#[derive(Debug)]
pub struct Addresses {
    all: Box<[Address]>,
    turn: AtomicUsize,
}

impl Addresses {
    /// These brokers; `chance` is any number.
    pub fn new(all: Vec<Address>, chance: usize) -> Self {
        let turn = AtomicUsize::new(chance.checked_rem(all.len()).unwrap_or(0));
        Self { all: all.into(), turn }
    }

    /// Each broker once, from the one whose turn it is on. Whichever is taken last has had its turn.
    fn round(&self) -> impl Iterator<Item = &Address> {
        self.all.iter().map(|_| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            &self.all[turn % self.all.len()]
        })
    }
}

/// Makes connections for one purpose.
pub struct Dialler {
    /// Where to.
    pub addresses: Addresses,
    /// What the broker shows for the connection.
    pub name: String,
    /// What the connections are for.
    pub purpose: Purpose,
    /// What each new connection declares.
    pub declared: Declared,
    /// Where trouble is noted.
    pub health: Health,
}

impl Dialler {
    /// Connects to the first broker that answers, from the one whose turn it is on.
    ///
    /// # Errors
    /// When none does: why, for each.
    pub async fn dial(&self) -> Result<Line, BusError> {
        let mut failures = Vec::new();
        for address in self.addresses.round() {
            match self.dial_one(address).await {
                Ok(line) => {
                    self.health.note(self.purpose, None);
                    return Ok(line);
                }
                Err(cause) => failures.push(format!("{address}: {cause}")),
            }
        }
        let trouble = match failures.is_empty() {
            true => "no address of a broker is configured".to_owned(),
            false => failures.join("; "),
        };
        self.health.note(self.purpose, Some(trouble.clone()));
        Err(BusError::Unavailable(trouble))
    }

    /// Connects to the first broker that answers, however long it takes. `cause` is why the
    /// connection before ended.
    pub async fn dial_again(&self, cause: &str) -> Line {
        let purpose = self.purpose;
        tracing::warn!(%purpose, cause, "the connection to the broker is lost");
        metrics::counter!("skald_bus_connections_lost_total", "purpose" => purpose.to_string())
            .increment(1);
        self.health.note(purpose, Some(format!("the connection is lost: {cause}")));
        for attempt in 0.. {
            sleep(pause(attempt, fastrand::f64())).await;
            match self.dial().await {
                Ok(line) => {
                    tracing::info!(%purpose, address = %line.address, "the broker is back");
                    return line;
                }
                Err(error) => tracing::warn!(%purpose, %error, "the broker can't be reached"),
            }
        }
        std::future::pending().await
    }

    async fn dial_one(&self, address: &Address) -> Result<Line, String> {
        let properties = ConnectionProperties::default()
            .with_connection_name(format!("{} {}", self.name, self.purpose).into())
            .with_client_property("product".into(), "skald".into())
            .with_client_property("version".into(), env!("CARGO_PKG_VERSION").into());
        let attempt = async {
            let connection = tame::connect(address.uri(), properties).await?;
            let line = Line::of(connection, address.clone());
            self.declared.declare_again(&line.connection).await?;
            Ok::<_, Error>(line)
        };
        match timeout(CONNECT_WITHIN, attempt).await {
            Ok(Ok(line)) => Ok(line),
            Ok(Err(error)) => Err(cause_of(&error)),
            Err(_) => Err(format!("no answer within {} s", CONNECT_WITHIN.as_secs())),
        }
    }
}

/// What the broker says, without the library's words around it.
pub fn cause_of(error: &Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(error) => error.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// How long to wait after `attempt` failed attempts, doubling; `chance` of 0 to 1 spreads it by a
/// quarter, so that many processes don't come back in step.
fn pause(attempt: u32, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempt.min(16)).min(LONGEST_PAUSE);
    doubled.mul_f64(0.75 + 0.25 * chance)
}

/// A connection and what is heard of it.
pub struct Line {
    /// The connection.
    pub connection: Arc<Connection>,
    /// Where it leads.
    pub address: Address,
    events: Pin<Box<dyn Stream<Item = Event> + Send>>,
    look: Interval,
}

/// What happened to a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Change {
    /// The broker takes no messages for now, for this reason.
    Blocked(String),
    /// It takes messages again.
    Unblocked,
    /// It is gone, for this reason.
    Lost(String),
}

impl Line {
    fn of(connection: Connection, address: Address) -> Self {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let events = Box::pin(connection.events_listener());
        Self { connection: Arc::new(connection), address, events, look }
    }

    /// Waits until something happens to the connection. Giving up the wait loses nothing.
    pub async fn change(&mut self) -> Change {
        loop {
            let mut cause = "it was closed".to_owned();
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => return Change::Blocked(reason),
                    Some(Event::ConnectionUnblocked) => return Change::Unblocked,
                    // May also tell of a channel.
                    Some(Event::Error(error)) => cause = cause_of(&error),
                    _ => {}
                },
                _ = self.look.tick() => {}
            }
            if !self.connection.status().connected() {
                return Change::Lost(cause);
            }
        }
    }
}

/// Takes leave of the broker; if that fails, the connection is gone already.
pub async fn close(connection: &Connection) {
    const DONE: u16 = 200;
    let _ = connection.close(DONE, "done".into()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_differ() {
        let millis = |attempt, chance| pause(attempt, chance).as_millis();
        assert_eq!([0, 1, 2].map(|attempt| millis(attempt, 1.0)), [200, 400, 800]);
        assert_eq!([6, 30, u32::MAX].map(|attempt| millis(attempt, 1.0)), [10_000; 3]);
        assert_eq!(millis(0, 0.0), 150);
    }

    fn cluster(chance: usize) -> Addresses {
        let hosts = ["a", "b", "c"].map(|host| Address::parse(&format!("amqp://{host}")).unwrap());
        Addresses::new(hosts.into(), chance)
    }

    fn hosts<'a>(addresses: impl Iterator<Item = &'a Address>) -> Vec<String> {
        addresses.map(|address| address.uri().authority.host).collect()
    }

    #[test]
    fn a_round_takes_each_broker_once_from_anywhere_on() {
        for (chance, expected) in [(0, "abc"), (1, "bca"), (5, "cab")] {
            assert_eq!(hosts(cluster(chance).round()).concat(), expected);
        }
        assert_eq!(Addresses::new(Vec::new(), 7).round().count(), 0);
    }

    #[test]
    fn the_broker_that_was_just_lost_is_tried_last() {
        let addresses = cluster(1);
        assert_eq!(hosts(addresses.round().take(1)), ["b"]);
        // The connection to b was made, and is lost.
        assert_eq!(hosts(addresses.round()).concat(), "cab");
        assert_eq!(hosts(addresses.round().take(2)), ["c", "a"]);
        assert_eq!(hosts(addresses.round()).concat(), "bca");
    }

    #[test]
    fn health_tells_of_either_connection() {
        let health = Health::default();
        assert_eq!(health.check(), Ok(()));
        for purpose in [Purpose::Publishing, Purpose::Consuming] {
            health.note(purpose, Some("broken".to_owned()));
            assert_eq!(health.check(), Err(BusError::Unavailable("broken".to_owned())));
            health.note(purpose, None);
            assert_eq!(health.check(), Ok(()));
        }
    }
}
