//! Stores that fail, and workers that break off.

use std::sync::Arc;

use skald::workers::inventory::InventoryWorker;

use super::rig::{BATCH, Rig, reserve};
use super::stores::{Trouble, Warehouse};

fn inventory() -> (Arc<Warehouse>, Arc<InventoryWorker>) {
    let warehouse = Arc::new(Warehouse::default());
    warehouse.stock("tea", 1000);
    let worker = Arc::new(InventoryWorker::new(warehouse.clone()));
    (warehouse, worker)
}

#[tokio::test]
async fn while_the_store_is_unavailable_commands_are_answered_retryable() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory();
    warehouse.faults.set(Some(Trouble::Unavailable));
    let _running = rig.start(&worker);
    let tags: Vec<u64> = (1..=3).map(|saga| rig.publish(reserve(saga, 2, "tea", 1))).collect();
    for tag in tags {
        let reply = rig.reply().await;
        assert_eq!(reply.data, serde_json::json!({"retryable": true}));
        rig.expect_settled(tag).await;
    }
    warehouse.faults.set(None);
    rig.publish(reserve(1, 3, "tea", 1));
    assert_eq!(rig.reply().await.kind, "inventory.reserved");
    assert_eq!(warehouse.reserved("tea"), 1);
}

#[tokio::test]
async fn a_command_that_the_store_refuses_takes_no_other_with_it() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory();
    let bad = 4;
    warehouse.faults.about.lock().unwrap().insert(bad, Trouble::Refused);
    for saga in 1..=BATCH as u128 {
        rig.publish(reserve(saga, 2, "tea", 1));
    }
    let _running = rig.start(&worker);
    let (id, reason) = rig.dead_letter().await;
    assert_eq!(id, reserve(bad, 2, "tea", 1).id);
    assert_eq!(reason, "rejected: the test store refused a row: a check");
    for _ in 0..BATCH - 1 {
        assert_eq!(rig.reply().await.kind, "inventory.reserved");
    }
    assert_eq!(warehouse.reserved("tea"), BATCH as i64 - 1);
}

#[tokio::test]
async fn a_command_that_breaks_its_worker_dies_alone() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory();
    let bad = 4;
    warehouse.faults.about.lock().unwrap().insert(bad, Trouble::Panic);
    for saga in 1..=BATCH as u128 {
        rig.publish(reserve(saga, 2, "tea", 1));
    }
    let running = rig.start(&worker);
    let (id, reason) = rig.dead_letter().await;
    assert_eq!((id, reason.as_str()), (reserve(bad, 2, "tea", 1).id, "delivery_limit"));
    for _ in 0..BATCH - 1 {
        assert_eq!(rig.reply().await.kind, "inventory.reserved");
    }
    assert_eq!(warehouse.reserved("tea"), BATCH as i64 - 1);
    rig.publish(reserve(99, 2, "tea", 1));
    assert_eq!(rig.reply().await.kind, "inventory.reserved", "the runtime is still there");
    running.stop().await;
}

#[tokio::test]
async fn who_dies_between_commit_and_acknowledgement_answers_from_the_record() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory();
    let running = rig.start(&worker);
    let command = rig.publish(reserve(1, 2, "tea", 3));
    let first = rig.unacknowledged_reply().await;
    running.kill().await;
    let _successor = rig.start(&worker);
    let again = rig.unacknowledged_reply().await;
    let read = |delivery| super::rig::Reply::of(delivery);
    assert_eq!(read(&first.message), read(&again.message));
    assert_eq!(warehouse.reserved("tea"), 3);
    first.ack();
    rig.expect_unsettled(command);
    again.ack();
    rig.expect_settled(command).await;
}
