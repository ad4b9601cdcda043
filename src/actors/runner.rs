//! Starting and stopping a node, from outside of its threads.

use std::sync::Arc;

use actix::prelude::*;
use tokio::sync::oneshot;

use super::deadlines::Deadlines;
use super::handle::{Board, Handle};
use super::node::{Leave, Membership, Node, StartError};
use super::shard::Surroundings;

/// A running node. Stops when told, or with the process; nothing is lost either way.
pub struct NodeRunner {
    handle: Handle,
    node: Addr<Node>,
    arbiters: Vec<Arbiter>,
}

impl NodeRunner {
    /// Starts a node, which takes its share of the shards. Once this returns, orders can be
    /// submitted, unless other nodes own all shards: then it gets its share within seconds.
    ///
    /// # Errors
    /// When the store or the bus can't be used, or a saga found there can't be run here.
    pub async fn start(
        membership: Membership,
        surroundings: Surroundings,
    ) -> Result<Self, StartError> {
        let (actors, poller) = (Arbiter::new(), Arbiter::new());
        let Surroundings { ledger, door, clock, .. } = surroundings.clone();
        let deadlines = Deadlines::start_in_arbiter(&poller.handle(), move |_| {
            Deadlines::new(ledger, door, clock)
        });
        let board = Arc::new(Board::default());
        let handle = Handle {
            board: Arc::clone(&board),
            bus: Arc::clone(&surroundings.bus),
            clock: Arc::clone(&surroundings.clock),
            definition: surroundings.definition.clone(),
        };
        let (started, start) = oneshot::channel();
        let node = Node::start_in_arbiter(&actors.handle(), move |_| {
            Node::new(membership, surroundings, board, deadlines, started)
        });
        let runner = Self { handle, node, arbiters: vec![actors, poller] };
        match start.await.unwrap_or(Err(StartError::Gone)) {
            Ok(()) => Ok(runner),
            Err(error) => {
                stop(runner.arbiters);
                Err(error)
            }
        }
    }

    /// What other threads use.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops the actors where they are, gives up the shards, so that others need not wait for the
    /// leases to run out, and waits for the threads. What was not committed is taken up by the next
    /// owner. Blocks.
    pub fn stop(self) {
        let (left, leaving) = std::sync::mpsc::channel();
        self.node.do_send(Leave(left));
        // The sender is dropped in any case; a store that hangs has its own time-outs.
        let _ = leaving.recv();
        stop(self.arbiters);
    }
}

fn stop(arbiters: Vec<Arbiter>) {
    for arbiter in &arbiters {
        arbiter.stop();
    }
    for arbiter in arbiters {
        if arbiter.join().is_err() {
            tracing::error!("an actor's thread ended in a panic");
        }
    }
}
