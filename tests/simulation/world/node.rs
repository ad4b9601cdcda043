//! One life of a node: its leases, and the shards that it owns.

use std::collections::BTreeMap;
use std::sync::Arc;

use skald::contract::message::Message;
use skald::contract::poke::{self, is_poke};
use skald::contract::reply;
use skald::journal::horizon::Horizon;
use skald::ports::bus::Death;
use skald::ports::door::DeadLetter;
use skald::ports::leases::NodeId;
use skald::ports::ledger::Shard;
use skald::saga::id::Timestamp;
use skald::saga::input::Answer;
use skald::saga::outage::QueueWatch;
use skald::shards::{Changes, Known, birthplace, follow, trust};

use super::broker::{Connection, DEAD, Held, Parcel, Publisher, REPLIES};
use super::customers::Asking;
use super::desk::Luck;
use super::env::Env;
use super::house::{Around, Fate, House, Tell};
use super::rules::LEASE;
use crate::faults::Fault;

/// How often the store is looked at from the beginning.
const POLL_ALL_MS: u64 = 60_000;

/// How a node fares when it renews its lease and looks around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Look {
    #[default]
    Fine,
    /// The store is not available.
    Fails,
    /// The lease is renewed, and the node does not hear of it.
    Unheard,
    /// What is claimed can't be taken over: its sagas can't be read.
    Stumbles,
}

/// One life of a node.
#[derive(Clone)]
pub struct Node {
    pub id: NodeId,
    pub connection: Connection,
    /// By how much its clock is ahead of the true time, in microseconds.
    pub ahead: i64,
    /// Whether it does nothing just now, as a process that is suspended.
    pub stalled: bool,
    /// Whether its lease can't be renewed.
    pub lease_is_cut: bool,
    pub trusted_until: Timestamp,
    pub houses: BTreeMap<Shard, House>,
    pub queues: QueueWatch,
    pub horizon: Horizon,
    pub rewound: Timestamp,
    /// When it renewed its lease last.
    pub renewed: Timestamp,
}

impl Node {
    pub fn start(place: usize, env: &mut Env) -> Self {
        let mut node = Self {
            id: env.node_id(place),
            connection: env.broker.connect(),
            ahead: 0,
            stalled: false,
            lease_is_cut: false,
            trusted_until: env.now,
            houses: BTreeMap::new(),
            queues: QueueWatch::default(),
            horizon: Horizon::default(),
            rewound: env.now,
            renewed: env.now,
        };
        node.beat(env, Look::Fine);
        node
    }

    pub fn clock(&self, env: &Env) -> Timestamp {
        Timestamp(env.now.0 + self.ahead)
    }

    /// A shard of this node and what is around it.
    fn at<R>(
        &mut self,
        shard: Shard,
        env: &mut Env,
        call: impl FnOnce(&mut House, &mut Around<'_>) -> R,
    ) -> Option<R> {
        let now = self.clock(env);
        let house = self.houses.get_mut(&shard)?;
        let mut around = Around { env, queues: &mut self.queues, connection: self.connection, now };
        Some(call(house, &mut around))
    }

    /// Does something at a shard; tells whether the node has it.
    pub fn with(
        &mut self,
        shard: Shard,
        env: &mut Env,
        call: impl FnOnce(&mut House, &mut Around<'_>),
    ) -> bool {
        self.at(shard, env, call).is_some()
    }

    fn halt(&mut self, shard: Shard, env: &mut Env) {
        let now = self.clock(env);
        if let Some(house) = self.houses.remove(&shard) {
            let connection = self.connection;
            house.halt(&mut Around { env, queues: &mut self.queues, connection, now });
        }
        self.horizon.retain(|watched| self.houses.contains_key(&watched));
    }

    /// Everything stops, and nothing is given back but by the broker itself.
    pub fn crash(mut self, env: &mut Env) {
        let shards: Vec<Shard> = self.houses.keys().copied().collect();
        env.disconnect(self.connection);
        shards.into_iter().for_each(|shard| self.halt(shard, env));
        let from = |publisher: Publisher| matches!(publisher, Publisher::House { connection, .. } if connection == self.connection);
        env.broker.said.retain(|said| !from(said.to));
        for customer in &mut env.customers {
            if customer.state == Asking::Waiting(self.connection) {
                customer.state = Asking::Idle;
            }
        }
    }

    /// It gives up its shards and goes.
    pub fn leave(mut self, env: &mut Env) {
        let shards: Vec<Shard> = self.houses.keys().copied().collect();
        shards.iter().for_each(|shard| self.halt(*shard, env));
        env.store.leave(self.id);
        self.crash(env);
    }

    /// Renews the lease, as far as that works, and follows as nodes come and go.
    pub fn beat(&mut self, env: &mut Env, look: Look) {
        if env.now >= self.trusted_until && !self.houses.is_empty() {
            self.halt_all(env);
        }
        if self.lease_is_cut {
            return;
        }
        if look == Look::Fails {
            env.faults.count(Fault::RenewalFailed);
            return;
        }
        let until = env.now.plus_millis(millis(LEASE));
        let census = env.store.renew(self.id, until, env.now);
        if look == Look::Unheard {
            env.faults.count(Fault::RenewalUnheard);
            return;
        }
        self.trusted_until = env.now.plus_millis(millis(trust(LEASE)));
        self.renewed = env.now;
        let running = self.houses.keys().copied().collect();
        let known = Known { running, ..Known::default() };
        let Changes { lost, claim, release } = follow(self.id, &census, &known);
        for shard in lost.iter().chain(&release) {
            self.halt(*shard, env);
        }
        env.store.release(self.id, &release);
        for (shard, state) in env.store.claim(self.id, &claim, env.now) {
            if look == Look::Stumbles {
                env.faults.count(Fault::TakeOverFailed);
                continue;
            }
            let (now, connection) = (self.clock(env), self.connection);
            let mut around = Around { env, queues: &mut self.queues, connection, now };
            self.houses.insert(shard, House::take_over(shard, state, &mut around));
            self.horizon.watch(shard);
        }
    }

    /// Proves that it lives, as it did all the while.
    pub fn keep_lease(&mut self, env: &mut Env) {
        env.store.renew(self.id, env.now.plus_millis(millis(LEASE)), env.now);
        self.trusted_until = env.now.plus_millis(millis(trust(LEASE)));
        self.renewed = env.now;
    }

    fn halt_all(&mut self, env: &mut Env) {
        let shards: Vec<Shard> = self.houses.keys().copied().collect();
        shards.into_iter().for_each(|shard| self.halt(shard, env));
    }

    pub fn submit(&mut self, customer: usize, env: &mut Env) {
        let owned: Vec<Shard> = self.houses.keys().copied().collect();
        let now = self.clock(env).0.div_euclid(1_000_000);
        let Some(shard) = birthplace(&owned, now) else { return };
        let asking = &mut env.customers[customer];
        asking.tries += 1;
        let again = asking.tries > 1;
        asking.state = Asking::Waiting(self.connection);
        if again {
            env.faults.count(Fault::Repeated);
        }
        self.at(shard, env, |house, around| house.submit(customer, around));
    }

    pub fn commit(&mut self, shard: Shard, fate: Fate, env: &mut Env) -> bool {
        self.with(shard, env, |house, around| house.commit(fate, around.env))
    }

    pub fn settle(&mut self, shard: Shard, env: &mut Env) -> bool {
        let deposed = self.at(shard, env, House::settle);
        if deposed == Some(true) {
            self.halt(shard, env);
        }
        deposed.is_some()
    }

    /// A message from a reply queue arrives.
    pub fn replied(&mut self, held: Held, parcel: &Parcel, env: &mut Env) {
        let shard = (held.queue - REPLIES) as Shard;
        if !self.houses.contains_key(&shard) {
            return env.give_back(held);
        }
        if is_poke(&parcel.message) {
            self.at(shard, env, House::read_inputs);
            env.broker.settle(held);
            return;
        }
        match reply::read(&parcel.message) {
            Ok((id, answer)) => {
                let answer = answer.unwrap_or_else(Answer::from);
                let tell = Tell::Answer { to: id.sequence, answer, held, just_read: false };
                self.at(shard, env, |house, around| house.tell(id.saga, tell, around));
            }
            Err(error) => {
                let reason = error.to_string();
                self.at(shard, env, |house, around| house.bury(held, reason, around));
            }
        }
    }

    /// A dead letter arrives. It is kept in hand until it is stored.
    pub fn died(&mut self, held: Held, parcel: &Parcel, luck: Luck, env: &mut Env) {
        debug_assert_eq!(held.queue, DEAD);
        let message = &parcel.message;
        let death = message.death.clone().unwrap_or_else(|| Death {
            queue: String::new(),
            routing_key: message.kind.clone(),
            reason: "unknown".to_owned(),
        });
        let letter = DeadLetter::of(message, death, self.clock(env));
        match luck {
            Luck::Fails => return env.broker.keep_in_hand(held),
            Luck::Unheard => {
                env.bury(letter);
                return env.broker.keep_in_hand(held);
            }
            Luck::Fine | Luck::Never => {}
        }
        let concerned = env.bury(letter);
        env.broker.settle(held);
        if let Some(shard) = concerned
            && self.at(shard, env, House::read_inputs).is_none()
        {
            env.publish(Publisher::Nobody, 0, poke::write(shard));
        }
    }

    /// Asks the store what is due, and who waits at the door.
    pub fn poll(&mut self, env: &mut Env) {
        if env.now.millis_since(self.rewound) >= POLL_ALL_MS {
            self.horizon.rewind();
            self.rewound = env.now;
        }
        let due = env.store.due(self.horizon.cursors(), self.clock(env), 1_000);
        for (shard, due) in self.horizon.found(due) {
            self.at(shard, env, |house, around| house.due_in_store(due, around));
        }
        let shards: Vec<Shard> = self.houses.keys().copied().collect();
        for shard in
            shards.into_iter().filter(|shard| env.store.is_waiting(*shard)).collect::<Vec<_>>()
        {
            self.at(shard, env, House::read_inputs);
        }
    }

    /// Whether a look at the store would find something.
    pub fn wants_poll(&self, env: &Env) -> bool {
        let now = self.clock(env);
        let waits = |house: &House| {
            env.store.inputs.iter().any(|row| {
                row.shard == house.shard
                    && row.outcome.is_none()
                    && !house.in_hand.contains(&row.input.id)
            })
        };
        if self.houses.values().any(waits) {
            return true;
        }
        let rewinds = env.now.millis_since(self.rewound) >= POLL_ALL_MS;
        env.store.sagas.values().any(|row| {
            let Some(house) = self.houses.get(&row.shard) else { return false };
            let Some(cursor) = self.horizon.cursors().get(&row.shard) else { return false };
            let due = row.saga.state.next_due().filter(|due| *due <= now);
            due.is_some_and(|due| {
                !house.sagas.contains_key(&row.saga.id) && (rewinds || (due, row.saga.id) > *cursor)
            })
        })
    }

    /// The next moment of true time at which something is due here.
    pub fn next_moment(&self, env: &Env) -> Option<Timestamp> {
        let true_time = |at: Timestamp| Timestamp(at.0.saturating_sub(self.ahead));
        let timers = self.houses.values().flat_map(|house| {
            house.sagas.keys().filter_map(|saga| house.timers.due(*saga)).map(true_time)
        });
        let again = self.houses.values().filter_map(|house| house.asks_again).map(|(at, _)| at);
        let asleep = env.store.sagas.values().filter_map(|row| {
            let house = self.houses.get(&row.shard)?;
            let due = row.saga.state.next_due().filter(|_| !house.sagas.contains_key(&row.saga.id));
            let due = true_time(due?);
            // Passed by: it is found when everything is looked at again.
            Some(if due <= env.now { self.rewound.plus_millis(POLL_ALL_MS) } else { due })
        });
        timers.chain(again).chain(asleep).filter(|at| *at > env.now).min()
    }

    /// What the broker says of a message reaches a shard.
    pub fn heard(
        &mut self,
        shard: Shard,
        epoch: i64,
        tag: u64,
        settlement: skald::ports::bus::Settlement,
        env: &mut Env,
    ) {
        self.at(shard, env, |house, _| {
            if house.writer.epoch() == epoch {
                house.outbox.settled(tag, settlement);
            }
        });
    }
}

pub fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The message of a parcel.
pub fn copy(parcel: &Parcel) -> Arc<Message> {
    Arc::clone(&parcel.message)
}
