//! Leases, by the database's clock. One row a node, so that renewing waits for no journal.

use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Double, Integer, Text, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::Orchestrator;
use super::encode::{self, Moment, natural};
use super::failure::Failure;
use super::statement::Statement;
use crate::ports::StoreError;
use crate::ports::leases::{Census, Leases, Node, NodeId};
use crate::ports::ledger::{Marks, Shard, ShardState};

/// Renews one lease, and sweeps out nodes that died long ago.
const RENEW: &str = "
    WITH swept AS (
        DELETE FROM skald_orchestrator.nodes
        WHERE lease_until < now() - interval '1 hour')
    INSERT INTO skald_orchestrator.nodes AS nodes (id, name, url, started_at, lease_until)
    VALUES (?, ?, ?, ?, now() + make_interval(secs => ?))
    ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until";

/// Waits for whoever claims one of these just now; in order, so that none waits in a circle.
const LOCK: &str = "
    SELECT shard FROM skald_orchestrator.shards
    WHERE shard = ANY (?) ORDER BY shard FOR UPDATE";

const CLAIM: &str = "
    UPDATE skald_orchestrator.shards SET owner = ?, epoch = epoch + 1
    WHERE shard = ANY (?) AND NOT EXISTS (
        SELECT FROM skald_orchestrator.nodes
        WHERE nodes.id = shards.owner AND nodes.lease_until > now())
    RETURNING shard, epoch, last_seq, commands_mark, events_mark";

const RELEASE: &str = "
    UPDATE skald_orchestrator.shards SET owner = NULL WHERE shard = ANY (?) AND owner = ?";

/// In order, as with [`LOCK`].
const LEAVE: &str = "
    UPDATE skald_orchestrator.shards SET owner = NULL FROM (
        SELECT shard FROM skald_orchestrator.shards
        WHERE owner = ? ORDER BY shard FOR UPDATE) AS mine
    WHERE shards.shard = mine.shard";

/// Each shard with its owner, if that one lives.
const OWNERS: &str = "
    SELECT shards.shard, nodes.id AS owner
    FROM skald_orchestrator.shards LEFT JOIN skald_orchestrator.nodes
    ON nodes.id = shards.owner AND nodes.lease_until > now()
    ORDER BY shards.shard";

const LIVING: &str = "
    SELECT id, name, url, started_at FROM skald_orchestrator.nodes
    WHERE lease_until > now() ORDER BY id";

#[derive(QueryableByName)]
struct ClaimedRow {
    #[diesel(sql_type = Integer)]
    shard: i32,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
    #[diesel(sql_type = BigInt)]
    last_seq: i64,
    #[diesel(sql_type = BigInt)]
    commands_mark: i64,
    #[diesel(sql_type = BigInt)]
    events_mark: i64,
}

#[derive(QueryableByName)]
struct OwnerRow {
    #[diesel(sql_type = diesel::sql_types::Nullable<SqlUuid>)]
    owner: Option<Uuid>,
}

#[derive(QueryableByName)]
struct NodeRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    url: String,
    #[diesel(sql_type = Timestamptz)]
    started_at: Moment,
}

impl Leases for Orchestrator {
    fn renew(&self, node: &Node, lease: Duration) -> Result<Census, StoreError> {
        self.database.write_first(|connection| {
            Statement::new(RENEW)
                .bind::<SqlUuid, _>(node.id)
                .bind::<Text, _>(&node.name)
                .bind::<Text, _>(&node.url)
                .bind::<Timestamptz, _>(Moment(node.started_at))
                .bind::<Double, _>(lease.as_secs_f64())
                .execute(connection)?;
            census(connection)
        })
    }

    fn claim(
        &self,
        node: NodeId,
        wanted: &[Shard],
    ) -> Result<Vec<(Shard, ShardState)>, StoreError> {
        self.database.own_write(|connection| {
            Statement::new(LOCK).bind::<Array<Integer>, _>(numbers(wanted)).execute(connection)?;
            let claimed: Vec<ClaimedRow> = Statement::new(CLAIM)
                .bind::<SqlUuid, _>(node)
                .bind::<Array<Integer>, _>(numbers(wanted))
                .load(connection)?;
            let mut claimed: Vec<_> =
                claimed.into_iter().map(ClaimedRow::read).collect::<Result<_, _>>()?;
            claimed.sort_unstable_by_key(|(shard, _)| *shard);
            Ok(claimed)
        })
    }

    fn release(&self, node: NodeId, given_up: &[Shard]) -> Result<(), StoreError> {
        self.database.own_write(|connection| {
            Statement::new(LOCK)
                .bind::<Array<Integer>, _>(numbers(given_up))
                .execute(connection)?;
            Statement::new(RELEASE)
                .bind::<Array<Integer>, _>(numbers(given_up))
                .bind::<SqlUuid, _>(node)
                .execute(connection)?;
            Ok(())
        })
    }

    fn leave(&self, node: NodeId) -> Result<(), StoreError> {
        self.database.own_write(|connection| {
            // A shard without a living owner is anybody's, but a renewal may come late.
            Statement::new(LEAVE).bind::<SqlUuid, _>(node).execute(connection)?;
            Statement::new("DELETE FROM skald_orchestrator.nodes WHERE id = ?")
                .bind::<SqlUuid, _>(node)
                .execute(connection)?;
            Ok(())
        })
    }

    fn census(&self) -> Result<Census, StoreError> {
        self.database.read(census)
    }
}

fn census(connection: &mut PgConnection) -> Result<Census, Failure> {
    let nodes: Vec<NodeRow> = Statement::new(LIVING).load(connection)?;
    let owners: Vec<OwnerRow> = Statement::new(OWNERS).load(connection)?;
    let nodes = nodes.into_iter().map(|NodeRow { id, name, url, started_at }| Node {
        id,
        name,
        url,
        started_at: started_at.0,
    });
    Ok(Census {
        nodes: nodes.collect(),
        owners: owners.into_iter().map(|OwnerRow { owner }| owner).collect(),
    })
}

fn numbers(shards: &[Shard]) -> Vec<i32> {
    shards.iter().copied().map(i32::from).collect()
}

impl ClaimedRow {
    fn read(self) -> Result<(Shard, ShardState), Failure> {
        let marks =
            Marks { commands: natural(self.commands_mark)?, events: natural(self.events_mark)? };
        let state = ShardState { epoch: self.epoch, last_seq: natural(self.last_seq)?, marks };
        Ok((encode::shard(self.shard)?, state))
    }
}
