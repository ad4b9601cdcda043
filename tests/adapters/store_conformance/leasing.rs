//! Leases: who lives, and who owns which shard.

use std::time::Duration;

use skald::ports::leases::{Node, NodeId};
use skald::saga::id::Timestamp;
use uuid::Uuid;

use super::SHARDS;
use super::stage::Stage;

/// Longer than any of these tests takes.
const LONG: Duration = Duration::from_secs(600);

fn node(n: u128) -> Node {
    Node {
        id: Uuid::from_u128(n),
        name: format!("node-{n}"),
        url: format!("http://127.0.0.1:{n}"),
        started_at: Timestamp(1_700_000_000_000_000 + i64::try_from(n).unwrap()),
    }
}

fn id(n: u128) -> NodeId {
    node(n).id
}

pub fn living_nodes_are_counted_by_id(stage: Stage) {
    assert_eq!(stage.leases.census().unwrap().nodes, []);
    stage.leases.renew(&node(2), LONG).unwrap();
    stage.leases.renew(&node(1), LONG).unwrap();
    let census = stage.leases.renew(&node(2), LONG).unwrap();
    assert_eq!(census.nodes, [node(1), node(2)]);
    assert_eq!(census.owners, vec![None; SHARDS.into()]);
    assert_eq!(stage.leases.census().unwrap(), census);
}

pub fn a_node_whose_lease_ran_out_is_not_alive(stage: Stage) {
    let census = stage.leases.renew(&node(1), Duration::ZERO).unwrap();
    assert_eq!(census.nodes, []);
}

pub fn a_claim_raises_the_epoch_and_keeps_the_rest(stage: Stage) {
    let forced = stage.ledger.claim(1).unwrap();
    stage.leases.renew(&node(1), LONG).unwrap();
    let claimed = stage.leases.claim(id(1), &[1, 2]).unwrap();
    assert_eq!(claimed.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(claimed[0].1.epoch, forced.epoch + 1);
    assert_eq!((claimed[0].1.last_seq, claimed[0].1.marks), (forced.last_seq, forced.marks));
    let census = stage.leases.census().unwrap();
    assert_eq!(census.owners, [None, Some(id(1)), Some(id(1)), None]);
}

pub fn what_somebody_owns_is_claimed_by_nobody_else(stage: Stage) {
    stage.leases.renew(&node(1), LONG).unwrap();
    stage.leases.claim(id(1), &[0, 1]).unwrap();
    let second = stage.leases.claim(id(2), &[0, 1, 2, 3]).unwrap();
    assert_eq!(second.iter().map(|(shard, _)| *shard).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(stage.leases.claim(id(1), &[0]).unwrap(), [], "not even by its owner again");
}

pub fn a_shard_beyond_their_number_is_not_claimed(stage: Stage) {
    assert_eq!(stage.leases.claim(id(1), &[SHARDS]).unwrap(), []);
}

pub fn the_shards_of_a_node_whose_lease_ran_out_are_anybodys(stage: Stage) {
    stage.leases.renew(&node(1), Duration::ZERO).unwrap();
    let first = stage.leases.claim(id(1), &[0, 1]).unwrap();
    assert_eq!(stage.leases.census().unwrap().owners[0], None);
    stage.leases.renew(&node(2), LONG).unwrap();
    let second = stage.leases.claim(id(2), &[0]).unwrap();
    assert_eq!(second[0].1.epoch, first[0].1.epoch + 1);
    let census = stage.leases.renew(&node(1), LONG).unwrap();
    assert_eq!(census.owners[0], Some(id(2)), "the first one does not get it back");
    assert_eq!(census.owners[1], Some(id(1)), "what nobody took is its own again");
}

pub fn a_node_gives_up_only_what_it_owns(stage: Stage) {
    stage.leases.renew(&node(1), LONG).unwrap();
    stage.leases.renew(&node(2), LONG).unwrap();
    stage.leases.claim(id(1), &[0, 1]).unwrap();
    stage.leases.claim(id(2), &[2]).unwrap();
    stage.leases.release(id(1), &[1, 2, 3]).unwrap();
    let owners = stage.leases.census().unwrap().owners;
    assert_eq!(owners, [Some(id(1)), None, Some(id(2)), None]);
}

pub fn a_node_that_leaves_is_forgotten_with_its_leases(stage: Stage) {
    stage.leases.renew(&node(1), LONG).unwrap();
    stage.leases.renew(&node(2), LONG).unwrap();
    stage.leases.claim(id(1), &[0, 1]).unwrap();
    stage.leases.claim(id(2), &[2]).unwrap();
    stage.leases.leave(id(1)).unwrap();
    let census = stage.leases.census().unwrap();
    assert_eq!(census.nodes, [node(2)]);
    assert_eq!(census.owners, [None, None, Some(id(2)), None]);
}

pub fn a_renewal_that_comes_after_its_node_has_left_brings_no_shard_back(stage: Stage) {
    stage.leases.renew(&node(1), LONG).unwrap();
    stage.leases.claim(id(1), &[0, 1]).unwrap();
    stage.leases.leave(id(1)).unwrap();
    let census = stage.leases.renew(&node(1), LONG).unwrap();
    assert_eq!(census.owners, vec![None; SHARDS.into()]);
}

pub fn of_claims_at_the_same_time_one_is_granted(stage: Stage) {
    (1..=4).for_each(|n| drop(stage.leases.renew(&node(n), LONG).unwrap()));
    let claimed: Vec<usize> = std::thread::scope(|scope| {
        let claims: Vec<_> = (1..=4)
            .map(|n| {
                let leases = &stage.leases;
                scope.spawn(move || leases.claim(id(n), &[0, 1, 2, 3]).unwrap().len())
            })
            .collect();
        claims.into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(claimed.iter().sum::<usize>(), usize::from(SHARDS), "{claimed:?}");
}
