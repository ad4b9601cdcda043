//! Leases. One process has the file to itself, so its clock is the store's.

use std::time::{Duration, SystemTime};

use diesel::prelude::*;

use super::Orchestrator;
use super::encode::{Id, natural};
use super::failure::Failure;
use super::ledger::claim;
use super::schema::orchestrator::{installation, nodes, shards};
use crate::ports::StoreError;
use crate::ports::leases::{Census, Leases, Node, NodeId};
use crate::ports::ledger::{Shard, ShardState};
use crate::saga::id::Timestamp;

impl Leases for Orchestrator {
    fn renew(&self, node: &Node, lease: Duration) -> Result<Census, StoreError> {
        self.database.write(|connection| {
            let now = now()?;
            diesel::replace_into(nodes::table)
                .values((
                    nodes::id.eq(Id(node.id)),
                    nodes::name.eq(&node.name),
                    nodes::url.eq(&node.url),
                    nodes::started_at.eq(node.started_at.0),
                    nodes::lease_until.eq(now + micros(lease)?),
                ))
                .execute(connection)?;
            census(connection, now)
        })
    }

    fn claim(
        &self,
        node: NodeId,
        wanted: &[Shard],
    ) -> Result<Vec<(Shard, ShardState)>, StoreError> {
        self.database.write(|connection| {
            let owners = census(connection, now()?)?.owners;
            let is_free = |shard: &&Shard| owners.get(usize::from(**shard)) == Some(&None);
            let mut claimed = Vec::new();
            for shard in wanted.iter().filter(is_free) {
                claimed.push((*shard, claim(connection, *shard)?));
                diesel::update(shards::table.find(i64::from(*shard)))
                    .set(shards::owner.eq(Id(node)))
                    .execute(connection)?;
            }
            Ok(claimed)
        })
    }

    fn release(&self, node: NodeId, given_up: &[Shard]) -> Result<(), StoreError> {
        self.database.write(|connection| {
            for shard in given_up {
                let mine = shards::table
                    .filter(shards::shard.eq(i64::from(*shard)))
                    .filter(shards::owner.eq(Id(node)));
                diesel::update(mine).set(shards::owner.eq(None::<Id>)).execute(connection)?;
            }
            Ok(())
        })
    }

    fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.database.write(|connection| {
            diesel::update(shards::table.filter(shards::owner.eq(Id(node))))
                .set(shards::owner.eq(None::<Id>))
                .execute(connection)?;
            diesel::delete(nodes::table.find(Id(node))).execute(connection)?;
            Ok(())
        })
    }

    fn census(&self) -> Result<Census, StoreError> {
        self.database.read(|connection| census(connection, now()?))
    }
}

impl Orchestrator {
    /// Ends the leases of whoever had the file before: it is gone, since we have it.
    pub(super) fn forget_owners(connection: &mut SqliteConnection) -> Result<(), Failure> {
        diesel::update(shards::table).set(shards::owner.eq(None::<Id>)).execute(connection)?;
        diesel::delete(nodes::table).execute(connection)?;
        Ok(())
    }
}

fn census(connection: &mut SqliteConnection, now: i64) -> Result<Census, Failure> {
    let living: Vec<(Id, String, String, i64)> = nodes::table
        .filter(nodes::lease_until.gt(now))
        .order(nodes::id)
        .select((nodes::id, nodes::name, nodes::url, nodes::started_at))
        .load(connection)?;
    let nodes: Vec<Node> = living
        .into_iter()
        .map(|(id, name, url, started_at)| Node {
            id: id.0,
            name,
            url,
            started_at: Timestamp(started_at),
        })
        .collect();
    let count = installation::table.select(installation::shards).first::<i64>(connection)?;
    let mut owners = vec![None; usize::try_from(natural(count)?).unwrap_or_default()];
    let owned: Vec<(i64, Option<Id>)> = shards::table
        .filter(shards::owner.is_not_null())
        .select((shards::shard, shards::owner))
        .load(connection)?;
    for (shard, owner) in owned {
        let owner = owner.map(|id| id.0).filter(|id| nodes.iter().any(|node| node.id == *id));
        if let Some(slot) = usize::try_from(shard).ok().and_then(|at| owners.get_mut(at)) {
            *slot = owner;
        }
    }
    Ok(Census { nodes, owners })
}

fn now() -> Result<i64, Failure> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    micros(since.unwrap_or_default())
}

fn micros(duration: Duration) -> Result<i64, Failure> {
    i64::try_from(duration.as_micros())
        .map_err(|_| Failure::Refused(format!("{duration:?} is too long")))
}
