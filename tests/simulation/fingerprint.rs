//! What tells two worlds apart, in 64 bits.

use std::hash::{Hash, Hasher};
use std::mem::discriminant;

use skald::contract::message::{Message, Outgoing};
use skald::contract::poke::is_poke;
use skald::ports::leases::NodeId;
use skald::ports::ledger::Batch;

use crate::world::World;
use crate::world::broker::{Connection, Flight, Held, Parcel, Publisher, Queue};
use crate::world::customers::{Asking, Customer};
use crate::world::env::Env;
use crate::world::house::{House, Slot, Tell, Then, Transaction};
use crate::world::node::Node;
use crate::world::store::InputRow;
use crate::world::worker::{Mails, Reply, Stage, Worker};

/// A fast hash of good quality (the mixing of wyhash, Wang Yi 2019): no one attacks a model.
#[derive(Default)]
pub struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15)
            * u128::from(word.rotate_left(29) ^ 0xd6e8_feb8_6659_fd93);
        self.0 = self.0.rotate_left(23) ^ (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn write_usize(&mut self, word: usize) {
        self.mix(word as u64);
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_u8(&mut self, word: u8) {
        self.mix(u64::from(word));
    }

    fn finish(&self) -> u64 {
        let mut end = Self(self.0);
        end.mix(0x2545_f491_4f6c_dd1d);
        end.0
    }
}

/// The digest of one value.
pub fn digest(value: &impl Hash) -> u64 {
    let mut mixer = Mixer::default();
    value.hash(&mut mixer);
    mixer.finish()
}

/// The digest of values whose order does not matter.
fn bag<T: Hash>(values: impl Iterator<Item = T>) -> u64 {
    values.map(|value| digest(&value)).fold(0, u64::wrapping_add)
}

/// The digest of a world. Worlds with the same digest differ at most by what connections, deliveries,
/// tags and actors are numbered, and by what nothing that can happen depends on.
pub fn fingerprint(world: &World) -> u64 {
    let mut mixer = Mixer::default();
    let env = &world.env;
    (env.now, &env.lives).hash(&mut mixer);
    of_store(world, &mut mixer);
    (&env.warehouse, &env.post, &env.seen).hash(&mut mixer);
    let names = Names(world);
    for Customer { state, tries, told, .. } in &env.customers {
        let waits = match state {
            Asking::Waiting(connection) => Some(names.connection(*connection)),
            Asking::Idle | Asking::Told => None,
        };
        (discriminant(state), waits, tries, told).hash(&mut mixer);
    }
    names.of_broker(&mut mixer);
    for (batch, doubt) in &env.loose {
        of_batch(batch, &mut mixer);
        (batch.shard, batch.epoch, doubt).hash(&mut mixer);
    }
    for node in &world.nodes {
        node.is_some().hash(&mut mixer);
        node.iter().for_each(|node| names.of_node(node, &mut mixer));
    }
    for worker in &world.workers {
        worker.is_some().hash(&mut mixer);
        worker.iter().for_each(|worker| names.of_worker(worker, &mut mixer));
    }
    mixer.finish()
}

fn of_store(world: &World, mixer: &mut Mixer) {
    let Env { store, now, .. } = &world.env;
    let runs = |id: &NodeId| world.nodes.iter().flatten().any(|node| node.id == *id);
    for row in &store.shards {
        // A process that is gone can't come back to what it owned.
        let owner = row.owner.filter(|owner| store.lives(*owner, *now) || runs(owner));
        (row.epoch, owner, row.marks, row.digest).hash(mixer);
    }
    bag(store.leases.iter().filter(|(_, until)| **until > *now)).hash(mixer);
    for row in store.sagas.values() {
        (row.saga.id, &row.saga.state).hash(mixer);
    }
    for InputRow { input, outcome, .. } in &store.inputs {
        (input.saga, &input.request, input.if_version, outcome).hash(mixer);
    }
    store.letters.hash(mixer);
}

fn of_batch(batch: &Batch, mixer: &mut Mixer) {
    (batch.marks, batch.entries.len()).hash(mixer);
    for entry in &batch.entries {
        (entry.saga.id, entry.expected, &entry.events, &entry.inputs).hash(mixer);
    }
}

fn of_parcel(parcel: &Parcel) -> ((&str, &str), u32, bool) {
    (of_message(&parcel.message), parcel.redeliveries, parcel.kept)
}

/// Each poke has an id of its own, by which nobody goes.
fn of_message(message: &Message) -> (&str, &str) {
    (if is_poke(message) { "" } else { &message.id }, &message.kind)
}

/// Says of what is numbered what it is.
struct Names<'a>(&'a World);

impl Names<'_> {
    /// Whose connection it is; 0 of one that is gone.
    fn connection(&self, connection: Connection) -> usize {
        let nodes = self.0.nodes.iter().map(|node| node.as_ref().map(|node| node.connection));
        let workers = self.0.workers.iter().map(|worker| worker.as_ref().map(|at| at.connection));
        let mut all = nodes.chain(workers);
        all.position(|known| known == Some(connection)).map_or(0, |place| place + 1)
    }

    /// What is held, and by whom; nothing if it went back when a connection broke.
    fn held(&self, held: Held) -> Option<u64> {
        let unsettled = &self.0.env.broker.queues[held.queue].unsettled;
        let is_it = |(to, parcel): &&(Connection, Parcel)| {
            (*to, parcel.id) == (held.connection, held.parcel)
        };
        let (to, parcel) = unsettled.iter().find(is_it)?;
        Some(digest(&(held.queue, self.connection(*to), of_parcel(parcel))))
    }

    fn reply(&self, reply: &Reply) -> u64 {
        let message = &reply.outgoing.message;
        digest(&(self.held(reply.command), of_message(message), reply.unroutable))
    }

    /// Who publishes something, and what it is to him.
    fn published(&self, from: Publisher, tag: u64) -> u64 {
        match from {
            Publisher::House { connection, shard, epoch } => match self.connection(connection) {
                0 => 0,
                by => digest(&(by, shard, epoch, tag)),
            },
            Publisher::Worker { connection } => {
                let mut workers = self.0.workers.iter().flatten();
                let by = workers.find(|worker| worker.connection == connection);
                let reply = by.and_then(|by| by.replies.get(&tag));
                reply.map_or(0, |reply| self.reply(reply))
            }
            Publisher::Nobody => 0,
        }
    }

    fn of_broker(&self, mixer: &mut Mixer) {
        let broker = &self.0.env.broker;
        for Queue { ready, unsettled, missing, full } in &broker.queues {
            bag(ready.iter().map(of_parcel)).hash(mixer);
            let held =
                unsettled.iter().map(|(to, parcel)| (self.connection(*to), of_parcel(parcel)));
            (bag(held), missing, full).hash(mixer);
        }
        (broker.deaf, &broker.died).hash(mixer);
        let said = broker.said.iter();
        bag(said.map(|said| (self.published(said.to, said.tag), said.settlement))).hash(mixer);
        let flights = broker.flights.iter().map(|Flight { from, tag, outgoing }| {
            let Outgoing { routing_key, message, .. } = outgoing;
            (self.published(*from, *tag), routing_key, of_message(message))
        });
        flights.for_each(|flight| flight.hash(mixer));
    }

    fn of_node(&self, node: &Node, mixer: &mut Mixer) {
        (node.id, node.stalled, node.lease_is_cut).hash(mixer);
        (node.trusted_until, node.ahead).hash(mixer);
        (&node.queues, &node.horizon, node.rewound).hash(mixer);
        for house in node.houses.values() {
            self.of_house(house, mixer);
        }
    }

    fn of_house(&self, house: &House, mixer: &mut Mixer) {
        (house.shard, &house.writer, house.paused, house.away).hash(mixer);
        (&house.outbox, &house.doubt, &house.in_hand, house.asks_again).hash(mixer);
        house.page.is_some().hash(mixer);
        if let Some((after, rows)) = &house.page {
            (after, rows.len()).hash(mixer);
            rows.iter().for_each(|row| row.saga.state.hash(mixer));
        }
        house.under_way.is_some().hash(mixer);
        if let Some(Transaction { batch, result }) = &house.under_way {
            of_batch(batch, mixer);
            result.as_ref().map(|result| format!("{result:?}")).hash(mixer);
        }
        for (id, slot) in &house.sagas {
            (id, house.timers.due(*id), discriminant(slot)).hash(mixer);
            match slot {
                Slot::Loading(waiting) => waiting.iter().for_each(|tell| self.of_tell(tell, mixer)),
                Slot::Awake(actor) => {
                    let state = actor.saga.as_ref().map(|saga| &saga.state);
                    (state, actor.busy.map(|then| self.then(then))).hash(mixer);
                    (actor.writes, actor.inbox.len()).hash(mixer);
                    actor.inbox.iter().for_each(|tell| self.of_tell(tell, mixer));
                }
            }
        }
    }

    fn then(&self, then: Then) -> u64 {
        match then {
            Then::Answer(held) => digest(&self.held(held)),
            Then::Born(_) | Then::Nothing | Then::Input(_) => digest(&then),
        }
    }

    fn of_tell(&self, tell: &Tell, mixer: &mut Mixer) {
        match tell {
            Tell::Answer { to, answer, held, just_read } => {
                (to, answer, self.held(*held), just_read).hash(mixer);
            }
            Tell::Due => mixer.write_u8(1),
            Tell::Input(input) => input.hash(mixer),
        }
    }

    fn of_worker(&self, worker: &Worker, mixer: &mut Mixer) {
        worker.ahead.hash(mixer);
        bag(worker.replies.values().map(|reply| self.reply(reply))).hash(mixer);
        bag(worker.paused.iter().map(|reply| self.reply(reply))).hash(mixer);
        self.of_deliveries(worker.waiting.iter(), mixer);
        discriminant(&worker.stage).hash(mixer);
        match &worker.stage {
            Stage::Idle => {}
            Stage::Claimed(mails) => self.of_mails(mails, mixer),
            Stage::Posted(mails, results) => {
                self.of_mails(mails, mixer);
                results.hash(mixer);
            }
            Stage::Done(done) => done.iter().for_each(|(held, reply)| {
                let reply = reply.as_ref().map(|reply| of_message(&reply.message));
                (self.held(*held), reply).hash(mixer);
            }),
        }
    }

    fn of_mails(&self, mails: &Mails, mixer: &mut Mixer) {
        mails.at.hash(mixer);
        self.of_deliveries(mails.batch.iter(), mixer);
        mails.parts.iter().for_each(|part| part.as_ref().ok().hash(mixer));
    }

    fn of_deliveries<'a>(
        &self,
        deliveries: impl Iterator<Item = &'a (Held, Parcel)>,
        mixer: &mut Mixer,
    ) {
        for (held, parcel) in deliveries {
            (self.held(*held), of_parcel(parcel)).hash(mixer);
        }
        mixer.write_u8(0);
    }
}
