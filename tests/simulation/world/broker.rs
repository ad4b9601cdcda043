//! The broker and the wires to it: messages on their way, in queues, at consumers.

use std::collections::BTreeSet;
use std::sync::Arc;

use skald::contract::message::{Death, Message, Outgoing};
use skald::ports::bus::Settlement;
use skald::ports::ledger::Shard;

/// One connection of one process; after a crash, or when the wire breaks, there is another.
pub type Connection = u32;

/// The queue of the inventory worker.
pub const INVENTORY: usize = 0;
/// The queue of the notification worker.
pub const NOTIFICATION: usize = 1;
/// The queue of dead letters.
pub const DEAD: usize = 2;
/// The first queue for replies; one for each shard.
pub const REPLIES: usize = 3;

/// A message in a queue.
#[derive(Clone, Debug)]
pub struct Parcel {
    pub id: u32,
    pub message: Arc<Message>,
    pub redeliveries: u32,
    /// Whether it is decided that it is neither lost nor doubled before it is delivered.
    pub kept: bool,
}

/// What a consumer holds of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Held {
    pub queue: usize,
    pub connection: Connection,
    pub parcel: u32,
}

/// A queue.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    pub ready: Vec<Parcel>,
    pub unsettled: Vec<(Connection, Parcel)>,
    /// Whether nobody declared it so far.
    pub missing: bool,
    /// Whether it takes nothing.
    pub full: bool,
}

/// Who publishes, and hears what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Publisher {
    /// A shard's owner under an epoch, in one life of a node.
    House { connection: Connection, shard: Shard, epoch: i64 },
    /// A worker in one of its lives.
    Worker { connection: Connection },
    /// Somebody who does not want to know.
    Nobody,
}

/// A message on its way to the broker.
#[derive(Clone, Debug)]
pub struct Flight {
    pub from: Publisher,
    pub tag: u64,
    pub outgoing: Outgoing,
}

/// What the broker says of a message, on its way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Said {
    pub to: Publisher,
    pub tag: u64,
    pub settlement: Told,
}

/// [`Settlement`] in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Told {
    Confirmed,
    Unroutable,
    Rejected,
    Unknown,
}

impl From<Told> for Settlement {
    fn from(told: Told) -> Self {
        match told {
            Told::Confirmed => Self::Confirmed,
            Told::Unroutable => Self::Unroutable,
            Told::Rejected => Self::Rejected,
            Told::Unknown => Self::Unknown,
        }
    }
}

/// The broker.
#[derive(Clone, Debug, Default)]
pub struct Broker {
    pub queues: Vec<Queue>,
    pub flights: Vec<Flight>,
    pub said: Vec<Said>,
    pub command_deliveries: u32,
    /// Whether somebody who listens to the events has a queue that takes nothing.
    pub deaf: bool,
    /// Messages that died, and in which queue.
    pub died: BTreeSet<(String, String)>,
    pub connections: Connection,
    pub parcels: u32,
}

impl Broker {
    pub fn new(shards: Shard, command_deliveries: u32) -> Self {
        let queues = vec![Queue::default(); REPLIES + usize::from(shards)];
        Self { queues, command_deliveries, ..Self::default() }
    }

    pub fn connect(&mut self) -> Connection {
        self.connections += 1;
        self.connections
    }

    pub fn put(&mut self, queue: usize, message: Arc<Message>) {
        self.parcels += 1;
        let parcel = Parcel { id: self.parcels, message, redeliveries: 0, kept: false };
        self.queues[queue].ready.push(parcel);
    }

    pub fn deliver(&mut self, queue: usize, index: usize, to: Connection) -> (Held, Parcel) {
        let mut parcel = self.queues[queue].ready.remove(index);
        parcel.kept = false;
        self.queues[queue].unsettled.push((to, parcel.clone()));
        (Held { queue, connection: to, parcel: parcel.id }, parcel)
    }

    /// Takes a delivery out of those that are not settled; none where its connection is gone.
    pub fn settle(&mut self, held: Held) -> Option<Parcel> {
        let unsettled = &mut self.queues[held.queue].unsettled;
        let at = unsettled
            .iter()
            .position(|(to, parcel)| *to == held.connection && parcel.id == held.parcel)?;
        Some(unsettled.remove(at).1)
    }

    /// A delivery comes back; after too many times it dies. Tells whether it died.
    pub fn give_back(&mut self, held: Held) -> bool {
        match self.settle(held) {
            Some(parcel) => self.came_back(held.queue, parcel),
            None => false,
        }
    }

    /// A delivery stays with its consumer, who has not done what it has to do with it.
    pub fn keep_in_hand(&mut self, held: Held) {
        if let Some(parcel) = self.settle(held) {
            // Before it can be done, the consumer may be gone: as good as in the queue.
            self.queues[held.queue].ready.push(parcel);
        }
    }

    fn came_back(&mut self, queue: usize, mut parcel: Parcel) -> bool {
        parcel.redeliveries += 1;
        parcel.kept = false;
        let dies = queue < DEAD && parcel.redeliveries > self.command_deliveries;
        if dies {
            self.bury(queue, &parcel.message, "delivery_limit".to_owned());
        } else {
            self.queues[queue].ready.push(parcel);
        }
        dies
    }

    /// A message becomes a dead letter.
    pub fn bury(&mut self, queue: usize, message: &Message, reason: String) {
        let name = ["inventory.commands", "notification.commands"][queue];
        self.died.insert((message.id.clone(), name.to_owned()));
        let death = Death { queue: name.to_owned(), routing_key: message.kind.clone(), reason };
        self.put(DEAD, Arc::new(Message { death: Some(death), ..message.clone() }));
    }

    /// A connection is gone: what was delivered over it comes back. Tells how many messages died.
    pub fn disconnect(&mut self, connection: Connection) -> u32 {
        let mut died = 0;
        for queue in 0..self.queues.len() {
            while let Some(at) =
                self.queues[queue].unsettled.iter().position(|(to, _)| *to == connection)
            {
                let (_, parcel) = self.queues[queue].unsettled.remove(at);
                died += u32::from(self.came_back(queue, parcel));
            }
        }
        died
    }

    pub fn say(&mut self, to: Publisher, tag: u64, settlement: Told) {
        if to != Publisher::Nobody {
            self.said.push(Said { to, tag, settlement });
        }
    }

    pub fn is_quiet(&self) -> bool {
        let empty = |queue: &Queue| queue.ready.is_empty() && queue.unsettled.is_empty();
        self.flights.is_empty() && self.said.is_empty() && self.queues.iter().all(empty)
    }
}
