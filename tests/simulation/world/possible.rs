//! What can happen next without faults.

use skald::ports::ledger::Shard;

use super::World;
use super::broker::{DEAD, REPLIES};
use super::customers::Asking;
use super::desk::Luck;
use super::env::Arrival;
use super::house::{Fate, House};
use super::node::Node;
use super::step::Step;
use super::worker::{Stage, Trade, Worker};

/// How many commands a worker holds that it has not begun.
pub const PREFETCH: usize = 4;

impl World {
    /// Lists the steps by which the world goes on without faults; of those that differ by a place in a
    /// queue, the first.
    pub fn possible(&self, steps: &mut Vec<Step>) {
        let nodes = self.nodes.iter().enumerate();
        for (n, node) in nodes.filter_map(|(n, node)| Some((n, node.as_ref()?))) {
            if !node.stalled {
                self.possible_at_node(n, node, steps);
            }
        }
        let workers = self.workers.iter().enumerate();
        for (n, worker) in workers.filter_map(|(n, worker)| Some((n, worker.as_ref()?))) {
            self.possible_at_worker(n, worker, steps);
        }
        if !self.env.broker.flights.is_empty() {
            steps.push(Step::Arrive { flight: 0, arrival: Arrival::Fine });
        }
        if !self.env.broker.said.is_empty() {
            steps.push(Step::Hear { said: 0 });
        }
        if !self.env.loose.is_empty() {
            steps.push(Step::EndLate { commits: false });
        }
    }

    fn possible_at_node(&self, n: usize, node: &Node, steps: &mut Vec<Step>) {
        for (&shard, house) in &node.houses {
            self.possible_at_house(n, node, (shard, house), steps);
        }
        if node.wants_poll(&self.env) {
            steps.push(Step::Poll { node: n });
        }
        if !self.env.broker.queues[DEAD].ready.is_empty() {
            steps.push(Step::Collect { node: n, index: 0, luck: Luck::Fine });
        }
        if !node.houses.is_empty() {
            let customers = self.env.customers.iter().enumerate();
            let idle = customers.filter(|(_, customer)| customer.state == Asking::Idle);
            steps.extend(idle.map(|(customer, _)| Step::Submit { customer, node: n }));
        }
    }

    fn possible_at_house(
        &self,
        n: usize,
        node: &Node,
        (shard, house): (Shard, &House),
        steps: &mut Vec<Step>,
    ) {
        match &house.under_way {
            Some(transaction) if transaction.result.is_some() => {
                steps.push(Step::Settle { node: n, shard });
            }
            Some(_) => steps.push(Step::Commit { node: n, shard, fate: Fate::Fine }),
            None if house.wants_flush() => steps.push(Step::Flush { node: n, shard }),
            None => {}
        }
        let now = node.clock(&self.env);
        let due = |saga| house.timers.due(saga).is_some_and(|due| due <= now);
        let candidates = [
            (house.paused, Step::Resume { node: n, shard }),
            (house.wants_history(), Step::ReadHistory { node: n, shard }),
            (house.page.is_some(), Step::TakePage { node: n, shard, luck: Luck::Fine }),
            (house.is_loading(), Step::Load { node: n, shard }),
            (house.sagas.keys().any(|saga| due(*saga)), Step::Tick { node: n, shard }),
            (
                house.asks_again.is_some_and(|(at, _)| at <= self.env.now),
                Step::AskAgain { node: n, shard },
            ),
            (
                !self.env.broker.queues[REPLIES + usize::from(shard)].ready.is_empty(),
                Step::Reply { node: n, shard, index: 0 },
            ),
        ];
        steps
            .extend(candidates.into_iter().filter(|(possible, _)| *possible).map(|(_, step)| step));
    }

    fn possible_at_worker(&self, n: usize, worker: &Worker, steps: &mut Vec<Step>) {
        let (worker_n, luck) = (n, Luck::Fine);
        if worker.waiting.len() < PREFETCH
            && !self.env.broker.queues[worker.trade.queue()].ready.is_empty()
        {
            steps.push(Step::Command { worker: worker_n, index: 0 });
        }
        match (&worker.stage, worker.trade) {
            (Stage::Idle, _) if worker.waiting.is_empty() => {}
            (Stage::Idle, Trade::Inventory) => steps.push(Step::Work { worker: worker_n, luck }),
            (Stage::Idle, Trade::Notification) => {
                steps.push(Step::Claim { worker: worker_n, luck })
            }
            (Stage::Claimed(_), _) => steps.push(Step::Post { worker: worker_n, luck }),
            (Stage::Posted(..), _) => steps.push(Step::Record { worker: worker_n, luck }),
            (Stage::Done(_), _) => steps.push(Step::Answer { worker: worker_n }),
        }
        if !worker.paused.is_empty() {
            steps.push(Step::AnswerAgain { worker: worker_n });
        }
    }
}
