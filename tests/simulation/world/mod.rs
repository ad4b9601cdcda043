//! The simulated world: the production machines in processes that can die at any point, between a
//! store, a broker and clocks that can do whatever the real ones may.
//!
//! | file | holds |
//! |---|---|
//! | `node`, `house` | a node, and a shard at a node: thin shells around `skald::journal`, as the actors are |
//! | `worker`, `hands` | a worker's process around the shipped workers and the runtime's rules |
//! | `store`, `desk` | the orchestrator's store; those of the workers |
//! | `broker` | queues, deliveries, wires, confirms |
//! | `customers` | who orders |
//! | `env` | all that lies outside of the processes, and the watch over it |
//! | `shared` | what makes copies of a world cheap |
//! | `step` | what can happen |
//! | `possible` | what of it can happen next without faults |
//! | `deliver`, `trouble` | how messages reach their processes; how processes and connections end |
//! | `calm` | the end of all faults |

pub mod broker;
pub mod calm;
pub mod customers;
mod deliver;
pub mod desk;
pub mod env;
pub mod hands;
pub mod house;
pub mod node;
mod possible;
pub mod rules;
pub mod shared;
pub mod step;
pub mod store;
mod trouble;
pub mod worker;

use std::sync::Arc;

use skald::orders::Item;
use skald::saga::id::Timestamp;

use crate::faults::Faults;
use broker::Broker;
use customers::{Asking, Customer};
use desk::Warehouse;
use env::Env;
use node::Node;
use rules::Rules;
use shared::Shared;
use store::Store;
use worker::{Trade, Worker};

/// When every world begins: some moment of 2026.
const BEGINNING: Timestamp = Timestamp(1_780_000_000_000_000);

/// The simulated world.
#[derive(Clone)]
pub struct World {
    pub env: Env,
    pub nodes: Vec<Option<Shared<Node>>>,
    pub workers: Vec<Option<Shared<Worker>>>,
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Setting {
    pub nodes: usize,
    /// Of each trade.
    pub workers: usize,
    /// How many pieces of each product lie in the warehouse.
    pub stock: i64,
    /// How many harps each customer orders, and what else; and whether there is an address to write to.
    pub orders: Vec<(u32, Also, bool)>,
    /// How often a command may come back before it dies.
    pub command_deliveries: u32,
    /// Whether no worker was ever there before, so that its queue is missing.
    pub new: bool,
}

/// What is ordered beside harps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Also {
    Nothing,
    /// One of something else that is there.
    Lute,
    /// Something that nobody has.
    Kazoo,
}

impl World {
    pub fn new(rules: Arc<Rules>, setting: &Setting) -> Self {
        let customers =
            setting.orders.iter().enumerate().map(|(n, (quantity, also, has_address))| {
                let item = |product: &str, quantity| Item {
                    product: product.into(),
                    quantity,
                    price: 999,
                };
                let also = match also {
                    Also::Nothing => None,
                    Also::Lute => Some(item("lute", 1)),
                    Also::Kazoo => Some(item("kazoo", 1)),
                };
                Customer {
                    items: [item("harp", *quantity)].into_iter().chain(also).collect(),
                    place: n,
                    email: has_address.then(|| "ada@example.org".to_owned()),
                    key: format!("key-{n}"),
                    state: Asking::Idle,
                    tries: 0,
                    told: None,
                }
            });
        let mut warehouse = Warehouse::default();
        for product in ["harp", "lute"] {
            warehouse.products.insert(product.into(), (setting.stock, 0));
        }
        let mut env = Env {
            now: BEGINNING,
            store: Shared::new(Store::new(rules.shards)),
            warehouse: Shared::new(warehouse),
            post: Shared::default(),
            broker: Shared::new(Broker::new(rules.shards, setting.command_deliveries)),
            customers: customers.collect(),
            loose: Vec::new(),
            seen: Shared::default(),
            lives: vec![0; setting.nodes],
            faults: Faults::default(),
            broken: None,
            rules,
        };
        let trades = [Trade::Inventory, Trade::Notification];
        let workers = trades.into_iter().flat_map(|trade| vec![trade; setting.workers]);
        let workers = workers.map(|trade| match setting.new {
            true => {
                env.broker.queues[trade.queue()].missing = true;
                None
            }
            false => Some(Shared::new(Worker::start(trade, &mut env))),
        });
        let workers = workers.collect();
        let nodes =
            (0..setting.nodes).map(|node| Some(Shared::new(Node::start(node, &mut env)))).collect();
        Self { env, nodes, workers }
    }

    /// The trade of the worker at this place.
    pub fn trade(&self, worker: usize) -> Trade {
        if worker < self.workers.len() / 2 { Trade::Inventory } else { Trade::Notification }
    }
}
