//! What can happen in the world: one step at a time.

use skald::orders::definition::reason::CANCELLED_BY_CUSTOMER;
use skald::ports::door::Request;
use skald::ports::ledger::Shard;
use skald::saga::event::Reason;

use super::World;
use super::broker::{DEAD, INVENTORY, NOTIFICATION, REPLIES};
use super::customers::Asking;
use super::desk::Luck;
use super::env::Arrival;
use super::house::{Fate, House};
use super::node::{Look, Node};
use super::shared::Shared;
use super::worker::{Stage, Trade, Worker};
use crate::faults::Fault;

/// Of which version of a saga something is wished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// Of any.
    Any,
    /// Of the one there is.
    Newest,
    /// Of an older one.
    Older,
}

/// One step. Numbers name places; a step that finds nothing there changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A customer submits its order to a node, perhaps not for the first time.
    Submit { customer: usize, node: usize },
    /// A transaction reaches the store.
    Commit { node: usize, shard: Shard, fate: Fate },
    /// Its outcome reaches the node.
    Settle { node: usize, shard: Shard },
    /// The pause after the store was away is over.
    Resume { node: usize, shard: Shard },
    /// The marks are to be written, and nothing else is.
    Flush { node: usize, shard: Shard },
    /// What has to be published is read from the history.
    ReadHistory { node: usize, shard: Shard },
    /// What was read reaches the publisher, or could not be read.
    TakePage { node: usize, shard: Shard, luck: Luck },
    /// Sagas are loaded.
    Load { node: usize, shard: Shard },
    /// Sagas in memory are told that their moment has come.
    Tick { node: usize, shard: Shard },
    /// The store is asked what is due.
    Poll { node: usize },
    /// A new owner asks open steps again.
    AskAgain { node: usize, shard: Shard },
    /// The leases are renewed, and shards change hands.
    Beat { node: usize, look: Look },
    /// A message arrives at the broker, or does not.
    Arrive { flight: usize, arrival: Arrival },
    /// A publisher hears what became of a message.
    Hear { said: usize },
    /// A reply is delivered to a node that consumes its queue.
    Reply { node: usize, shard: Shard, index: usize },
    /// A dead letter is delivered to a node.
    Collect { node: usize, index: usize, luck: Luck },
    /// A command is delivered to a worker.
    Command { worker: usize, index: usize },
    /// A batch of reservations is done.
    Work { worker: usize, luck: Luck },
    /// The mails of a batch are claimed.
    Claim { worker: usize, luck: Luck },
    /// They are sent.
    Post { worker: usize, luck: Luck },
    /// What became of them is recorded.
    Record { worker: usize, luck: Luck },
    /// The replies to a batch are sent.
    Answer { worker: usize },
    /// Replies are sent again.
    AnswerAgain { worker: usize },
    /// A transaction whose process is gone comes to its end.
    EndLate { commits: bool },
    /// Time passes.
    Pass { millis: u64 },
    /// A node is suspended, or goes on.
    Stall { node: usize },
    /// A node can't renew its lease any more, and can do everything else; or can again.
    CutLease { node: usize },
    /// A node dies.
    CrashNode { node: usize },
    /// A node goes in good order.
    Leave { node: usize },
    /// A node starts.
    StartNode { node: usize },
    /// A node loses its connection to the broker.
    CutNode { node: usize },
    /// A worker dies.
    CrashWorker { worker: usize },
    /// A worker starts.
    StartWorker { worker: usize },
    /// A worker loses its connection to the broker.
    CutWorker { worker: usize },
    /// A message is lost by the broker.
    Lose { queue: usize, index: usize },
    /// A message is doubled by the broker.
    Double { queue: usize, index: usize },
    /// A queue takes nothing from now on, or takes messages again.
    Fill { queue: usize },
    /// So does the queue of somebody who listens to the events.
    Deafen,
    /// A message is neither lost nor doubled by the broker.
    Keep { queue: usize, index: usize },
    /// A node's clock is set.
    SetNodeClock { node: usize, ahead_ms: i64 },
    /// A worker's clock is set.
    SetWorkerClock { worker: usize, ahead_ms: i64 },
    /// Somebody cancels an order.
    Cancel { order: usize, of: Version, poke: bool },
    /// An operator has a saga tried again.
    Retry { order: usize, of: Version, poke: bool },
    /// Sagas with nothing to do are dropped from memory.
    Sleep { node: usize, shard: Shard },
}

impl World {
    /// Takes a step, and tells whether there was anything to do.
    pub fn take(&mut self, step: Step) -> bool {
        match step {
            Step::Submit { customer, node } => {
                let Some(asking) = self.env.customers.get(customer) else { return false };
                let twice = asking.state != Asking::Idle;
                let done = self.at_node(node, |node, env| node.submit(customer, env));
                if done && twice {
                    self.env.faults.count(Fault::AskedTwice);
                }
                done
            }
            Step::Commit { node, shard, fate } => {
                self.at_node(node, |node, env| node.commit(shard, fate, env))
            }
            Step::Settle { node, shard } => self.at_node(node, |node, env| node.settle(shard, env)),
            Step::Resume { node, shard } => self.at_house(node, shard, |house, _| house.resume()),
            Step::Flush { node, shard } => self.at_house(node, shard, |house, _| house.flush()),
            Step::ReadHistory { node, shard } => self.at_house(node, shard, House::read_history),
            Step::TakePage { node, shard, luck } => {
                self.at_house(node, shard, |house, around| house.take_page(luck, around))
            }
            Step::Load { node, shard } => self.at_house(node, shard, House::load),
            Step::Tick { node, shard } => self.at_house(node, shard, House::tick),
            Step::AskAgain { node, shard } => self.at_house(node, shard, House::ask_again),
            Step::Poll { node } => self.at_node(node, |node, env| node.poll(env)),
            Step::Beat { node, look } => self.beat(node, look),
            Step::Arrive { flight, arrival } => {
                let there = flight < self.env.broker.flights.len();
                if there {
                    self.env.arrive(flight, arrival);
                }
                there
            }
            Step::Hear { said } => self.hear(said),
            Step::Reply { node, shard, index } => self.reply(node, shard, index),
            Step::Collect { node, index, luck } => self.collect(node, index, luck),
            Step::Command { worker, index } => self.command(worker, index),
            Step::Work { worker, luck } => self.at_worker(worker, |worker, env| {
                let can = matches!(worker.stage, Stage::Idle)
                    && worker.trade == Trade::Inventory
                    && !worker.waiting.is_empty();
                if can {
                    worker.work(luck, env);
                }
                can
            }),
            Step::Claim { worker, luck } => self.claim(worker, luck),
            Step::Post { worker, luck } => self.at_worker(worker, |worker, env| {
                let can = matches!(worker.stage, Stage::Claimed(_));
                if can {
                    worker.post(luck, env);
                }
                can
            }),
            Step::Record { worker, luck } => self.at_worker(worker, |worker, env| {
                let can = matches!(worker.stage, Stage::Posted(..));
                if can {
                    worker.record(luck, env);
                }
                can
            }),
            Step::Answer { worker } => self.at_worker(worker, |worker, env| {
                let can = matches!(worker.stage, Stage::Done(_));
                if can {
                    worker.reply(env);
                }
                can
            }),
            Step::AnswerAgain { worker } => {
                self.at_worker(worker, |worker, env| worker.send_again(env))
            }
            Step::EndLate { commits } => self.end_late(commits),
            Step::Pass { millis } => self.pass(millis),
            _ => self.suffer(step),
        }
    }

    /// Something is wrong with a node from now on, or is right again.
    fn switch(&mut self, node: usize, what: fn(&mut Node) -> &mut bool, fault: Fault) -> bool {
        let Some(Some(node)) = self.nodes.get_mut(node) else { return false };
        let wrong = what(node);
        *wrong = !*wrong;
        if *wrong {
            self.env.faults.count(fault);
        }
        true
    }

    /// Takes a step that is a fault, or the end of one, or somebody's wish.
    fn suffer(&mut self, step: Step) -> bool {
        match step {
            Step::Stall { node } => self.switch(node, |node| &mut node.stalled, Fault::NodeStall),
            Step::CutLease { node } => {
                self.switch(node, |node| &mut node.lease_is_cut, Fault::LeaseCut)
            }
            Step::CrashNode { node } => self.end_node(node, Fault::NodeCrash, Node::crash),
            Step::Leave { node } => self.end_node(node, Fault::NodeLeave, Node::leave),
            Step::StartNode { node } => {
                let start = self.nodes.get(node).is_some_and(Option::is_none);
                if start {
                    self.nodes[node] = Some(Shared::new(Node::start(node, &mut self.env)));
                    self.count_stale_owners();
                }
                start
            }
            Step::CutNode { node } => self.cut_node(node),
            Step::CrashWorker { worker } => {
                let Some(worker) = self.workers.get_mut(worker).and_then(Option::take) else {
                    return false;
                };
                self.env.faults.count(Fault::WorkerCrash);
                worker.into_inner().crash(&mut self.env);
                true
            }
            Step::StartWorker { worker } => {
                let start = self.workers.get(worker).is_some_and(Option::is_none);
                if start {
                    let trade = self.trade(worker);
                    self.workers[worker] = Some(Shared::new(Worker::start(trade, &mut self.env)));
                }
                start
            }
            Step::CutWorker { worker } => self.cut_worker(worker),
            Step::Lose { queue, index } => {
                let there = queue != DEAD && index < self.env.broker.queues[queue].ready.len();
                if there {
                    self.env.faults.count(Fault::MessageLost);
                    self.env.broker.queues[queue].ready.remove(index);
                }
                there
            }
            Step::Double { queue, index } => {
                let ready = &self.env.broker.queues[queue].ready;
                let Some(message) = ready.get(index).map(super::node::copy) else { return false };
                self.env.faults.count(Fault::MessageDoubled);
                self.env.broker.put(queue, message);
                let ready = &mut self.env.broker.queues[queue].ready;
                ready[index].kept = true;
                ready.last_mut().into_iter().for_each(|copy| copy.kept = true);
                true
            }
            Step::Fill { queue } => {
                let Some(queue) = self.env.broker.queues.get_mut(queue) else { return false };
                queue.full = !queue.full;
                true
            }
            Step::Deafen => {
                self.env.broker.deaf = !self.env.broker.deaf;
                true
            }
            Step::Keep { queue, index } => {
                let parcel = self.env.broker.queues[queue].ready.get_mut(index);
                parcel.map(|parcel| parcel.kept = true).is_some()
            }
            Step::SetNodeClock { node, ahead_ms } => {
                let Some(Some(node)) = self.nodes.get_mut(node) else { return false };
                node.ahead = ahead_ms * 1_000;
                self.env.faults.count(Fault::NodeClock);
                true
            }
            Step::SetWorkerClock { worker, ahead_ms } => {
                let Some(Some(worker)) = self.workers.get_mut(worker) else { return false };
                worker.ahead = ahead_ms * 1_000;
                self.env.faults.count(Fault::WorkerClock);
                true
            }
            Step::Cancel { order, of, poke } => {
                let reason = Reason::of(CANCELLED_BY_CUSTOMER);
                let request = Request::Cancel { by: "ada".to_owned(), reason };
                self.want(order, request, of, poke, Fault::Cancel)
            }
            Step::Retry { order, of, poke } => {
                let request = Request::Retry { by: "ops".to_owned(), note: "again".to_owned() };
                self.want(order, request, of, poke, Fault::Retry)
            }
            Step::Sleep { node, shard } => {
                let Some(Some(node)) = self.nodes.get_mut(node) else { return false };
                let house = node.houses.get_mut(&shard).filter(|house| house.has_idle());
                let Some(house) = house else { return false };
                house.sleep();
                self.env.faults.count(Fault::Asleep);
                true
            }
            _ => false,
        }
    }

    fn at_node<R: Done>(
        &mut self,
        node: usize,
        call: impl FnOnce(&mut Node, &mut super::env::Env) -> R,
    ) -> bool {
        match self.nodes.get_mut(node) {
            Some(Some(node)) => call(node, &mut self.env).done(),
            _ => false,
        }
    }

    fn at_house<R: Done>(
        &mut self,
        node: usize,
        shard: Shard,
        call: impl FnOnce(&mut House, &mut super::house::Around<'_>) -> R,
    ) -> bool {
        let mut done = false;
        self.at_node(node, |node, env| {
            node.with(shard, env, |house, around| done = call(house, around).done());
        });
        done
    }

    fn at_worker<R: Done>(
        &mut self,
        worker: usize,
        call: impl FnOnce(&mut Worker, &mut super::env::Env) -> R,
    ) -> bool {
        match self.workers.get_mut(worker) {
            Some(Some(worker)) => call(worker, &mut self.env).done(),
            _ => false,
        }
    }

    fn beat(&mut self, node: usize, look: Look) -> bool {
        let done = self.at_node(node, |node, env| node.beat(env, look));
        self.count_stale_owners();
        done
    }

    /// Whether a node goes on with a shard that somebody else owns by now.
    pub fn is_deposed(&self, node: usize) -> bool {
        self.nodes[node].as_ref().is_some_and(|node| self.lost_shards(node) > 0)
    }

    /// How many shards a node goes on with though somebody else owns them by now.
    fn lost_shards(&self, node: &Node) -> usize {
        let epoch = |shard: Shard| self.env.store.shards[usize::from(shard)].epoch;
        let lost = |(shard, house): &(&Shard, &House)| epoch(**shard) != house.writer.epoch();
        node.houses.iter().filter(lost).count()
    }

    /// Counts owners that go on though somebody else owns the shard by now.
    fn count_stale_owners(&mut self) {
        let lost = self.nodes.iter().flatten().map(|node| self.lost_shards(node)).sum();
        (0..lost).for_each(|_: usize| self.env.faults.count(Fault::StaleOwner));
    }

    /// Time passes. Nodes that live prove it all the while.
    fn pass(&mut self, millis: u64) -> bool {
        if millis > super::node::millis(super::rules::LEASE) {
            self.env.faults.count(Fault::LongPause);
        }
        let before = self.env.now;
        let lives = |node: &Node, env: &super::env::Env| {
            !node.stalled
                && !node.lease_is_cut
                && before < node.trusted_until
                && env.store.lives(node.id, before)
        };
        let healthy: Vec<bool> = self
            .nodes
            .iter()
            .map(|node| node.as_ref().is_some_and(|node| lives(node, &self.env)))
            .collect();
        self.env.now = before.plus_millis(millis);
        for (node, _) in self.nodes.iter_mut().zip(healthy).filter(|(_, healthy)| *healthy) {
            if let Some(node) = node {
                node.keep_lease(&mut self.env);
            }
        }
        true
    }
}

/// Whether something was done; nothing said means yes.
trait Done {
    fn done(self) -> bool;
}

impl Done for () {
    fn done(self) -> bool {
        true
    }
}

impl Done for bool {
    fn done(self) -> bool {
        self
    }
}

/// The queues whose messages a broker may lose or double.
pub fn unsteady_queues(shards: Shard) -> impl Iterator<Item = usize> {
    [INVENTORY, NOTIFICATION].into_iter().chain(REPLIES..REPLIES + usize::from(shards))
}
