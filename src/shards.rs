//! Which shards a node should have. Pure.
//!
//! Every node computes this for itself from the same census, so no one has to lead: each has a
//! quota, takes what is free up to it and gives up what exceeds it. Two that reach for the same
//! shard do no harm, as a claim is granted to one of them only.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ports::leases::{Census, NodeId};
use crate::ports::ledger::Shard;

/// How often the leases are renewed at least; more often where a lease is shorter than three of
/// these. It bounds how late a node notices that another one is gone.
const BEAT: Duration = Duration::from_secs(1);

/// How often a lease is renewed, and looked at.
pub fn renewal(lease: Duration) -> Duration {
    BEAT.min(lease / 3)
}

/// How long a renewal is relied on: shorter than the lease by the time until the next look, and by a
/// tenth for what is under way then.
pub fn trust(lease: Duration) -> Duration {
    lease.mul_f32(0.9).saturating_sub(renewal(lease))
}

/// How the shards that a node runs are to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Somebody else's by now: to be stopped, whatever else is under way.
    pub lost: Vec<Shard>,
    /// To be claimed, and taken over.
    pub claim: Vec<Shard>,
    /// To be stopped where they run, and given up.
    pub release: Vec<Shard>,
}

/// What a node knows of shards by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Those that it runs.
    pub running: BTreeSet<Shard>,
    /// Those of them that it took over after it had asked for the census, which may not say so.
    pub taken_since: BTreeSet<Shard>,
    /// Those that it could not take over, and leaves to others.
    pub refused: BTreeSet<Shard>,
}

/// How the shards that the node `me` runs are to change, going by `census` and what it knows itself.
pub fn follow(me: NodeId, census: &Census, known: &Known) -> Changes {
    let mut census = census.clone();
    for shard in &known.taken_since {
        if let Some(owner) = census.owners.get_mut(usize::from(*shard)) {
            *owner = Some(me);
        }
    }
    let is_mine = |shard: &Shard| census.owners.get(usize::from(*shard)) == Some(&Some(me));
    let lost = known.running.iter().copied().filter(|shard| !is_mine(shard)).collect();
    let Plan { claim, mut release } = plan(me, &census, &known.refused);
    // Leases that outlived the trust in them: begun anew, under another epoch.
    let mine = (0..).zip(&census.owners).filter(|(_, owner)| **owner == Some(me));
    let idle = mine.map(|(shard, _)| shard).filter(|shard| !known.running.contains(shard));
    release.extend(idle.filter(|_| !seeded!(ShardKeptIdle)));
    Changes { lost, claim, release }
}

/// What a node should do about its shards now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be claimed.
    pub claim: Vec<Shard>,
    /// To be given up, so that others may have them.
    pub release: Vec<Shard>,
}

/// What the node `me` should do, going by `census`; the `refused` shards are not for it.
///
/// Shards are shared evenly: of `s` shards and `n` nodes each gets `s / n`, and the first `s % n`
/// nodes by their ids one more. A node that is not among the living does nothing.
pub fn plan(me: NodeId, census: &Census, refused: &BTreeSet<Shard>) -> Plan {
    let Some(rank) = census.nodes.iter().position(|node| node.id == me) else {
        return Plan::default();
    };
    let (shards, nodes) = (census.owners.len(), census.nodes.len());
    let quota = shards / nodes + usize::from(rank < shards % nodes);
    let owned_by = |wanted: Option<NodeId>| {
        (0..)
            .zip(&census.owners)
            .filter(move |(_, owner)| **owner == wanted)
            .map(|(shard, _)| shard)
    };
    let mine: Vec<Shard> = owned_by(Some(me)).collect();
    let free: Vec<Shard> = owned_by(None).filter(|shard| !refused.contains(shard)).collect();
    // Nodes that start together begin at different places, so that few of their claims meet.
    let start = free.len() * rank / nodes;
    let claim = free.iter().cycle().skip(start).take(free.len());
    Plan {
        claim: claim.take(quota.saturating_sub(mine.len())).copied().collect(),
        release: mine.into_iter().skip(quota).collect(),
    }
}

/// The shard in which sagas are born that begin in the second `now` since the epoch: one at a time, so
/// that their transitions share commits, and another every minute, so that in time the sagas spread
/// over all of them. None where none is owned.
pub fn birthplace(owned: &[Shard], now: i64) -> Option<Shard> {
    const TURN_S: i64 = 60;
    let count = i64::try_from(owned.len()).ok().filter(|count| *count > 0)?;
    let index = usize::try_from(now.div_euclid(TURN_S).rem_euclid(count)).ok()?;
    owned.get(index).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::ports::leases::Node;
    use crate::saga::id::Timestamp;

    fn id(n: u128) -> NodeId {
        Uuid::from_u128(n)
    }

    fn census(nodes: &[u128], owners: &[Option<u128>]) -> Census {
        let node = |n: &u128| Node {
            id: id(*n),
            name: String::new(),
            url: String::new(),
            started_at: Timestamp(0),
        };
        Census {
            nodes: nodes.iter().map(node).collect(),
            owners: owners.iter().map(|owner| owner.map(id)).collect(),
        }
    }

    #[test]
    fn a_lease_is_renewed_every_second_and_a_short_one_three_times_in_its_length() {
        assert_eq!(renewal(Duration::from_secs(15)), Duration::from_secs(1));
        assert_eq!(renewal(Duration::from_millis(1_500)), Duration::from_millis(500));
    }

    #[test]
    fn a_lease_is_trusted_for_less_than_it_holds_by_a_look_and_a_tenth() {
        let about = |lease: u64, trusted: u64| {
            let off = trust(Duration::from_millis(lease)).abs_diff(Duration::from_millis(trusted));
            assert!(off < Duration::from_millis(1), "{lease} ms: off by {off:?}");
        };
        about(15_000, 12_500);
        about(1_500, 850);
    }

    #[test]
    fn a_node_stops_what_is_another_ones_and_begins_anew_what_it_owns_and_does_not_run() {
        let census = census(&[1, 2], &[Some(1), Some(2), None, None]);
        let following = |running: &[Shard], refused: &[Shard]| {
            let set = |shards: &[Shard]| shards.iter().copied().collect();
            let known = Known { running: set(running), refused: set(refused), ..Known::default() };
            let Changes { lost, claim, release } = follow(id(1), &census, &known);
            (lost, claim, release)
        };
        assert_eq!(following(&[0], &[]), (vec![], vec![2], vec![]));
        assert_eq!(following(&[0, 1], &[]), (vec![1], vec![2], vec![]));
        assert_eq!(following(&[], &[]), (vec![], vec![2], vec![0]));
        assert_eq!(following(&[0], &[2]), (vec![], vec![3], vec![]), "it can't take that one over");
    }

    #[test]
    fn a_shard_that_was_taken_over_after_the_census_was_asked_for_is_neither_lost_nor_claimed_again()
     {
        let census = census(&[1, 2], &[None, None, Some(2), Some(2)]);
        let running = BTreeSet::from([0]);
        let known = Known { taken_since: running.clone(), running, ..Known::default() };
        let changes = follow(id(1), &census, &known);
        assert_eq!(changes, Changes { claim: vec![1], ..Changes::default() });
    }

    fn plan(me: NodeId, census: &Census) -> Plan {
        super::plan(me, census, &BTreeSet::new())
    }

    #[test]
    fn what_a_node_can_not_take_over_takes_no_place_of_another() {
        let found = census(&[1, 2], &[None, None, Some(2), Some(2)]);
        let refused = BTreeSet::from([0]);
        assert_eq!(super::plan(id(1), &found, &refused).claim, [1]);
    }

    #[test]
    fn a_lone_node_takes_everything() {
        let plan = plan(id(1), &census(&[1], &[None, None, None]));
        assert_eq!(plan, Plan { claim: vec![0, 1, 2], release: vec![] });
    }

    #[test]
    fn nodes_that_start_together_claim_different_shards() {
        let found = census(&[1, 2, 3], &[None; 9]);
        let claims = [1, 2, 3].map(|node| plan(id(node), &found).claim);
        assert_eq!(claims, [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]]);
    }

    #[test]
    fn what_another_owns_is_left_to_it() {
        let plan = plan(id(1), &census(&[1, 2], &[Some(2), Some(2), Some(2), None]));
        assert_eq!(plan, Plan { claim: vec![3], release: vec![] });
    }

    #[test]
    fn a_newcomer_gets_its_share() {
        let found = census(&[1, 2], &[Some(1); 4]);
        assert_eq!(plan(id(1), &found), Plan { claim: vec![], release: vec![2, 3] });
        assert_eq!(plan(id(2), &found), Plan::default());
    }

    #[test]
    fn a_node_that_is_not_alive_does_nothing() {
        assert_eq!(plan(id(3), &census(&[1], &[None, Some(3)])), Plan::default());
    }

    #[test]
    fn births_move_on_every_minute() {
        let owned = [3, 5, 8];
        let places: Vec<_> = [0, 59, 60, 120, 180, -1].map(|now| birthplace(&owned, now)).into();
        assert_eq!(places, [Some(3), Some(3), Some(5), Some(8), Some(3), Some(8)]);
        assert_eq!(birthplace(&[], 7), None);
    }

    proptest! {
        /// However nodes come and go, and whoever acts first: once nobody comes or goes, all
        /// shards are owned, evenly, after each node has acted a few times.
        #[test]
        fn shards_end_up_shared_evenly(
            nodes in prop::collection::btree_set(0..9_u128, 1..6),
            owners in prop::collection::vec(prop::option::of(0..9_u128), 1..70),
        ) {
            let nodes: Vec<u128> = nodes.into_iter().collect();
            // The lease of whoever is gone has run out.
            let owners: Vec<_> =
                owners.into_iter().map(|owner| owner.filter(|o| nodes.contains(o))).collect();
            let mut census = census(&nodes, &owners);
            for _ in 0..3 {
                for node in &nodes {
                    let Plan { claim, release } = plan(id(*node), &census);
                    prop_assert!(claim.is_empty() || release.is_empty());
                    for shard in claim {
                        let owner = &mut census.owners[usize::from(shard)];
                        prop_assert_eq!(*owner, None);
                        *owner = Some(id(*node));
                    }
                    for shard in release {
                        prop_assert_eq!(census.owners[usize::from(shard)], Some(id(*node)));
                        census.owners[usize::from(shard)] = None;
                    }
                }
            }
            let count = |node| census.owners.iter().filter(|o| **o == Some(id(node))).count();
            let counts: Vec<usize> = nodes.iter().map(|node| count(*node)).collect();
            prop_assert_eq!(counts.iter().sum::<usize>(), census.owners.len());
            prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
        }
    }
}
