//! Shards on their way from one node to another.

use futures_util::future::join_all;

use super::blocking::Blocking;
use super::node::Membership;
use super::shard::{OwnedShard, Surroundings, TakeOverError, Ties};
use crate::ports::StoreError;
use crate::ports::ledger::Shard;

/// What a node gives up and what it claims, at the same time.
pub(super) struct Handover {
    pub membership: Membership,
    pub errands: Blocking,
    /// Shards that run here, and are given up.
    pub leaving: Vec<OwnedShard>,
    /// All that are given up.
    pub release: Vec<Shard>,
    /// To be claimed.
    pub claim: Vec<Shard>,
}

/// What became of claims: the shard, its epoch, and the shard as it runs here.
pub(super) type Taken = Vec<(Shard, i64, Result<OwnedShard, TakeOverError>)>;

impl Handover {
    /// Gives up in good order, claims, and takes over what was claimed.
    ///
    /// # Errors
    /// When the store can't be told. What was given up runs here no more in any case.
    pub async fn carry_out(
        self,
        surroundings: Surroundings,
        ties: Ties,
    ) -> Result<Taken, StoreError> {
        let Self { membership: Membership { leases, identity, .. }, errands, .. } = self;
        let (leaving, release, claim) = (self.leaving, self.release, self.claim);
        join_all(leaving.into_iter().map(OwnedShard::drain)).await;
        let claimed = errands
            .run(move || {
                if !release.is_empty() {
                    leases.release(identity.id, &release)?;
                }
                if claim.is_empty() { Ok(Vec::new()) } else { leases.claim(identity.id, &claim) }
            })
            .await
            .map_err(|broken_off| StoreError::Unavailable {
                store: "orchestrator",
                cause: broken_off.to_string(),
            })??;
        let mut taken = Vec::with_capacity(claimed.len());
        for (shard, state) in claimed {
            let owned = OwnedShard::take_over(shard, state, surroundings.clone(), ties.clone());
            taken.push((shard, state.epoch, owned.await));
        }
        Ok(taken)
    }
}
