//! What reaches a process: deliveries, confirmations; and what is carried out after its end.

use skald::ports::ledger::Shard;

use super::World;
use super::broker::{DEAD, Publisher, REPLIES, Said};
use super::desk::Luck;
use super::possible::PREFETCH;
use super::worker::{Stage, Trade};
use crate::faults::Fault;

impl World {
    pub(super) fn hear(&mut self, said: usize) -> bool {
        if said >= self.env.broker.said.len() {
            return false;
        }
        let Said { to, tag, settlement } = self.env.broker.said.remove(said);
        match to {
            Publisher::House { connection, shard, epoch } => {
                let nodes = self.nodes.iter_mut().flatten();
                for node in nodes.filter(|node| node.connection == connection) {
                    node.heard(shard, epoch, tag, settlement.into(), &mut self.env);
                }
            }
            Publisher::Worker { connection } => {
                let workers = self.workers.iter_mut().flatten();
                for worker in workers.filter(|worker| worker.connection == connection) {
                    worker.heard(tag, settlement.into(), &mut self.env);
                }
            }
            Publisher::Nobody => {}
        }
        true
    }

    pub(super) fn reply(&mut self, node: usize, shard: Shard, index: usize) -> bool {
        let queue = REPLIES + usize::from(shard);
        let Some(Some(to)) = self.nodes.get_mut(node) else { return false };
        if !to.houses.contains_key(&shard) || index >= self.env.broker.queues[queue].ready.len() {
            return false;
        }
        if index > 0 {
            self.env.faults.count(Fault::Reordered);
        }
        let (held, parcel) = self.env.broker.deliver(queue, index, to.connection);
        to.replied(held, &parcel, &mut self.env);
        true
    }

    pub(super) fn collect(&mut self, node: usize, index: usize, luck: Luck) -> bool {
        let Some(Some(to)) = self.nodes.get_mut(node) else { return false };
        if index >= self.env.broker.queues[DEAD].ready.len() {
            return false;
        }
        match luck {
            Luck::Fails => self.env.faults.count(Fault::BurialFailed),
            Luck::Unheard => self.env.faults.count(Fault::BurialUnheard),
            Luck::Fine | Luck::Never => {}
        }
        let (held, parcel) = self.env.broker.deliver(DEAD, index, to.connection);
        to.died(held, &parcel, luck, &mut self.env);
        true
    }

    pub(super) fn command(&mut self, worker: usize, index: usize) -> bool {
        let Some(Some(to)) = self.workers.get_mut(worker) else { return false };
        let queue = to.trade.queue();
        if to.waiting.len() >= PREFETCH || index >= self.env.broker.queues[queue].ready.len() {
            return false;
        }
        if index > 0 {
            self.env.faults.count(Fault::Reordered);
        }
        let delivered = self.env.broker.deliver(queue, index, to.connection);
        to.waiting.push_back(delivered);
        true
    }

    pub(super) fn claim(&mut self, worker: usize, luck: Luck) -> bool {
        let Some(mut at) = self.workers.get_mut(worker).and_then(Option::take) else {
            return false;
        };
        let can = matches!(at.stage, Stage::Idle)
            && at.trade == Trade::Notification
            && !at.waiting.is_empty();
        if can {
            at.claim(luck, &self.workers, &mut self.env);
        }
        self.workers[worker] = Some(at);
        can
    }

    pub(super) fn end_late(&mut self, commits: bool) -> bool {
        if self.env.loose.is_empty() {
            return false;
        }
        let (batch, doubt) = self.env.loose.remove(0);
        if commits && self.env.commit(&batch, &doubt).is_ok() {
            self.env.faults.count(Fault::CommitLate);
        }
        true
    }
}
