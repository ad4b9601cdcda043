//! Many transitions share one commit, and an answer never precedes its commit.

use futures_util::future::join_all;
use skald::ports::ledger::{Claim, StoredAnswer};
use skald::ports::orchestrator::{SubmitError, Submitted};

use crate::rig::{MAX_OUTSTANDING_HERE, Rig};

#[actix::test]
async fn what_arrives_during_a_commit_shares_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    rig.gate.hold();
    let first = tokio::task::spawn_local(rig.orchestrator.submit(new(&rig)));
    rig.until("the first commit", || rig.gate.arrived() == 1).await;
    let others: Vec<_> =
        (0..300).map(|_| tokio::task::spawn_local(rig.orchestrator.submit(new(&rig)))).collect();
    rig.until_waiting(300).await;
    assert!(!first.is_finished(), "no answer before its commit");
    rig.gate.open();
    for submitted in join_all(others).await {
        assert!(matches!(submitted.unwrap(), Ok(Submitted::Accepted(_))));
    }
    assert!(matches!(first.await.unwrap(), Ok(Submitted::Accepted(_))));
    assert_eq!(rig.gate.batches(), [1, 300]);
    let activity = rig.orchestrator.activity().await;
    assert_eq!((activity.commits, activity.transitions), (2, 301));
    rig.stop().await;
}

#[actix::test]
async fn two_orders_under_one_key_in_one_commit_become_one_order() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    rig.gate.hold();
    let _first = tokio::task::spawn_local(rig.orchestrator.submit(new(&rig)));
    rig.until("the first commit", || rig.gate.arrived() == 1).await;
    let twins: Vec<_> = (0..2)
        .map(|_| {
            let mut order = new(&rig);
            let answer =
                StoredAnswer { fingerprint: vec![1], order: order.order.id, body: "{}".to_owned() };
            order.claim = Some(Claim { key: "k".to_owned(), answer });
            tokio::task::spawn_local(rig.orchestrator.submit(order))
        })
        .collect();
    rig.until_waiting(2).await;
    rig.gate.open();
    let answers: Vec<_> =
        join_all(twins).await.into_iter().map(|twin| twin.unwrap().unwrap()).collect();
    let accepted = answers.iter().filter(|answer| matches!(answer, Submitted::Accepted(_))).count();
    let replayed = answers.iter().filter(|answer| matches!(answer, Submitted::Replayed(_))).count();
    assert_eq!((accepted, replayed), (1, 1));
    rig.until_awake(2).await;
    rig.stop().await;
}

#[actix::test]
async fn while_too_many_commands_are_outstanding_orders_are_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let orders = (0..MAX_OUTSTANDING_HERE).map(|_| rig.orchestrator.submit(new(&rig)));
    join_all(orders).await.into_iter().for_each(|order| drop(order.unwrap()));
    let refused = rig.submit_order(rig.order(), None).await;
    assert!(matches!(refused, Err(SubmitError::Busy { .. })), "{refused:?}");
    rig.until_awake(MAX_OUTSTANDING_HERE).await;
    let command = inventory.next().await;
    inventory.refuse(command, "INSUFFICIENT_STOCK").await;
    let taken = || async { rig.submit_order(rig.order(), None).await.is_ok() };
    while !taken().await {
        tokio::task::yield_now().await;
    }
    rig.stop().await;
}

#[actix::test]
async fn once_the_store_is_back_orders_are_taken_although_nothing_else_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    rig.gate.fail(true);
    assert!(matches!(rig.submit_order(rig.order(), None).await, Err(SubmitError::Unknown)));
    assert_eq!(rig.orchestrator.troubles().len(), 1, "it is known that the store is away");
    rig.gate.fail(false);
    rig.until("no trouble", || rig.orchestrator.troubles().is_empty()).await;
    rig.submit().await;
    rig.stop().await;
}

#[actix::test]
async fn while_the_store_is_away_orders_are_refused_and_afterwards_all_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let before = rig.submit().await;
    let command = inventory.next().await;
    rig.gate.fail(true);
    assert!(matches!(rig.submit_order(rig.order(), None).await, Err(SubmitError::Unknown)));
    // The answer to the first order's command can't be committed now, but it is not lost.
    let back = async {
        rig.until("the answer's commit fails", || rig.gate.failed() == 2).await;
        rig.gate.fail(false);
    };
    tokio::join!(inventory.succeed(command), back);
    rig.until_event(before, |event| event.name() == "stepSucceeded").await;
    rig.stop().await;
}

fn new(rig: &Rig) -> skald::ports::orchestrator::NewOrder {
    skald::ports::orchestrator::NewOrder {
        order: rig.order(),
        claim: None,
        traceparent: None,
        watch: skald::ports::orchestrator::Watch::Unwatched,
    }
}
