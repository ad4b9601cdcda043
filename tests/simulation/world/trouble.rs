//! What ends a process or a connection, and what people want.

use skald::ports::door::{Admitted, NewInput, Request};
use skald::saga::state::SagaStatus;

use super::World;
use super::broker::{Broker, Publisher, Said, Told};
use super::customers::Asking;
use super::env::Env;
use super::node::Node;
use super::step::Version;
use crate::faults::Fault;

impl World {
    pub(super) fn end_node(&mut self, node: usize, fault: Fault, end: fn(Node, &mut Env)) -> bool {
        let Some(node) = self.nodes.get_mut(node).and_then(Option::take) else { return false };
        self.env.faults.count(fault);
        end(node.into_inner(), &mut self.env);
        true
    }

    pub(super) fn cut_node(&mut self, node: usize) -> bool {
        let Some(Some(node)) = self.nodes.get_mut(node) else { return false };
        self.env.faults.count(Fault::NodeCut);
        self.env.disconnect(node.connection);
        let (before, now) = (node.connection, self.env.broker.connect());
        node.connection = now;
        self.reconnect(|publisher| match publisher {
            Publisher::House { connection, shard, epoch } if connection == before => {
                Some(Publisher::House { connection: now, shard, epoch })
            }
            _ => None,
        });
        for customer in &mut self.env.customers {
            if customer.state == Asking::Waiting(before) {
                customer.state = Asking::Waiting(now);
            }
        }
        true
    }

    pub(super) fn cut_worker(&mut self, worker: usize) -> bool {
        let Some(Some(worker)) = self.workers.get_mut(worker) else { return false };
        self.env.faults.count(Fault::WorkerCut);
        self.env.disconnect(worker.connection);
        let (before, now) = (worker.connection, self.env.broker.connect());
        worker.connection = now;
        worker.waiting.clear();
        self.reconnect(|publisher| {
            let mine = publisher == Publisher::Worker { connection: before };
            mine.then_some(Publisher::Worker { connection: now })
        });
        true
    }

    /// Nobody knows what became of messages that were on their way over a connection.
    pub(super) fn reconnect(&mut self, successor: impl Fn(Publisher) -> Option<Publisher>) {
        let broker: &mut Broker = &mut self.env.broker;
        for said in &mut broker.said {
            if let Some(now) = successor(said.to) {
                (said.to, said.settlement) = (now, Told::Unknown);
            }
        }
        for flight in &mut broker.flights {
            if let Some(now) = successor(flight.from) {
                flight.from = Publisher::Nobody;
                broker.said.push(Said { to: now, tag: flight.tag, settlement: Told::Unknown });
            }
        }
    }

    /// Somebody wants something of the saga of a customer's order: a row at the door, and perhaps a
    /// poke.
    pub(super) fn want(
        &mut self,
        order: usize,
        request: Request,
        of: Version,
        poke: bool,
        fault: Fault,
    ) -> bool {
        let told = self.env.customers.get(order).and_then(|customer| customer.told);
        let found = self.env.store.sagas.values().find(|row| Some(row.order) == told);
        let Some((saga, version, status)) =
            found.map(|row| (row.saga.id, row.saga.state.version, row.saga.state.status()))
        else {
            return false;
        };
        let id = self.env.input_id();
        let input = NewInput {
            id,
            saga,
            client_key: format!("{}-{}", fault.name(), version / 3),
            request,
            if_version: match of {
                Version::Any => None,
                Version::Newest => Some(version),
                Version::Older => Some(version.saturating_sub(1)),
            },
            at: self.env.now,
        };
        // Most of what is tried again is not stuck.
        if fault != Fault::Retry || status == SagaStatus::NeedsAttention {
            self.env.faults.count(fault);
        }
        if let Admitted::Stored(_, shard) = self.env.store.admit(input)
            && poke
        {
            self.env.publish(Publisher::Nobody, 0, skald::contract::poke::write(shard));
        }
        true
    }
}
