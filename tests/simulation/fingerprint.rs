//! What tells two worlds apart, in 64 bits.

use std::hash::{Hash, Hasher};

use crate::world::World;
use crate::world::broker::Parcel;
use crate::world::house::{House, Slot, Tell};
use crate::world::node::Node;
use crate::world::worker::{Stage, Worker};

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

/// The digest of a world.
pub fn fingerprint(world: &World) -> u64 {
    let mut mixer = Mixer::default();
    let env = &world.env;
    env.now.hash(&mut mixer);
    for row in &env.store.shards {
        (row.epoch, row.owner, row.marks, row.digest).hash(&mut mixer);
    }
    for row in env.store.sagas.values() {
        (row.saga.id, &row.saga.state).hash(&mut mixer);
    }
    for row in &env.store.inputs {
        (row.input.saga, &row.input.request, &row.outcome).hash(&mut mixer);
    }
    (&env.store.letters, &env.store.leases).hash(&mut mixer);
    (&env.warehouse, &env.post, &env.seen).hash(&mut mixer);
    for customer in &env.customers {
        (customer.state, customer.told).hash(&mut mixer);
    }
    for queue in &env.broker.queues {
        bag(queue.ready.iter().map(of_parcel)).hash(&mut mixer);
        bag(queue.unsettled.iter().map(|(to, parcel)| (to, of_parcel(parcel)))).hash(&mut mixer);
    }
    bag(env.broker.said.iter()).hash(&mut mixer);
    bag(env
        .broker
        .flights
        .iter()
        .map(|flight| (flight.from, flight.tag, &flight.outgoing.message.id)))
    .hash(&mut mixer);
    for (batch, _) in &env.loose {
        (batch.shard, batch.epoch, batch.marks, batch.entries.len()).hash(&mut mixer);
        for entry in &batch.entries {
            (entry.saga.id, &entry.saga.state).hash(&mut mixer);
        }
    }
    for node in &world.nodes {
        node.is_some().hash(&mut mixer);
        node.iter().for_each(|node| of_node(node, &mut mixer));
    }
    for worker in &world.workers {
        worker.is_some().hash(&mut mixer);
        worker.iter().for_each(|worker| of_worker(worker, &mut mixer));
    }
    mixer.finish()
}

fn of_parcel(parcel: &Parcel) -> (&str, &str, u32) {
    (&parcel.message.id, &parcel.message.kind, parcel.redeliveries)
}

fn of_node(node: &Node, mixer: &mut Mixer) {
    (node.connection, node.stalled, node.trusted_until, node.ahead).hash(mixer);
    (&node.queues, &node.horizon, node.rewound).hash(mixer);
    for house in node.houses.values() {
        of_house(house, mixer);
    }
}

fn of_house(house: &House, mixer: &mut Mixer) {
    (house.shard, house.writer.epoch(), house.writer.waiting(), house.paused, house.away)
        .hash(mixer);
    (&house.outbox, &house.doubt, &house.in_hand, house.asks_again).hash(mixer);
    if let Some(transaction) = &house.under_way {
        let result = transaction.result.as_ref().map(Result::is_ok);
        (transaction.batch.marks, transaction.batch.entries.len(), result).hash(mixer);
    }
    for (id, slot) in &house.sagas {
        (id, house.timers.due(*id)).hash(mixer);
        match slot {
            Slot::Loading(waiting) => waiting.iter().for_each(|tell| of_tell(tell, mixer)),
            Slot::Awake(actor) => {
                let state = actor.saga.as_ref().map(|saga| &saga.state);
                (state, actor.busy, actor.writes, actor.just_read).hash(mixer);
                actor.inbox.iter().for_each(|tell| of_tell(tell, mixer));
            }
        }
    }
}

fn of_tell(tell: &Tell, mixer: &mut Mixer) {
    match tell {
        Tell::Answer { to, answer, held } => (to, answer, held).hash(mixer),
        Tell::Due => mixer.write_u8(1),
        Tell::Input(input) => input.hash(mixer),
    }
}

fn of_worker(worker: &Worker, mixer: &mut Mixer) {
    (worker.connection, worker.ahead).hash(mixer);
    bag(worker.replies.values().map(|reply| (reply.command, &reply.outgoing.message.id)))
        .hash(mixer);
    bag(worker.paused.iter().map(|reply| (reply.command, &reply.outgoing.message.id))).hash(mixer);
    worker.waiting.iter().for_each(|(held, _)| held.hash(mixer));
    match &worker.stage {
        Stage::Idle => mixer.write_u8(0),
        Stage::Claimed(mails) => {
            mails.at.hash(mixer);
            mails.batch.iter().for_each(|(held, _)| held.hash(mixer));
        }
        Stage::Posted(mails, results) => {
            (mails.at, results.iter().filter(|result| result.is_ok()).count()).hash(mixer);
            mails.batch.iter().for_each(|(held, _)| held.hash(mixer));
        }
        Stage::Done(done) => done
            .iter()
            .for_each(|(held, reply)| (held, reply.as_ref().map(|r| &r.message.id)).hash(mixer)),
    }
}
