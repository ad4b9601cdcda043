//! Who owns which shard: the nodes, and the lease that each of them holds.
//!
//! A node renews its lease every second or so. While it holds, the shards that the node claimed are
//! its own; once it has run out, they are anybody's. All times are the store's own, so no clock but its
//! counts. What a deposed owner still tries is stopped by the epoch, which every claim raises;
//! leases only decide who may claim.

use std::time::Duration;

use uuid::Uuid;

use crate::ports::error::StoreError;
use crate::ports::ledger::{Shard, ShardState};
use crate::saga::id::Timestamp;

/// Identifies one life of a node: a process that starts again is another one.
pub type NodeId = Uuid;

/// A node as it tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// This life of it.
    pub id: NodeId,
    /// What people call it; nodes may share a name.
    pub name: String,
    /// Where its API is.
    pub url: String,
    /// When it started, by its own clock.
    pub started_at: Timestamp,
}

/// Who lives, and who owns what, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The nodes whose lease holds, by id.
    pub nodes: Vec<Node>,
    /// The owner of each shard, by shard; none where there is none or its lease has run out.
    pub owners: Vec<Option<NodeId>>,
}

/// The leases of one installation. Every method is one transaction.
pub trait Leases: Send + Sync {
    /// Records that `node` lives, renews its lease for `lease` from now on, and tells who else is
    /// there.
    fn renew(&self, node: &Node, lease: Duration) -> Result<Census, StoreError>;

    /// Makes `node` the owner of those among `shards` that have none, each under a raised epoch.
    /// Returns where these stand.
    fn claim(&self, node: NodeId, shards: &[Shard])
    -> Result<Vec<(Shard, ShardState)>, StoreError>;

    /// Gives up those among `shards` that `node` owns. Whoever claims them next need not wait.
    fn release(&self, node: NodeId, shards: &[Shard]) -> Result<(), StoreError>;

    /// Gives up all shards of `node` and forgets it.
    fn leave(&self, node: NodeId) -> Result<(), StoreError>;

    /// Who lives and who owns what. Changes nothing.
    fn census(&self) -> Result<Census, StoreError>;
}
