//! Stopping in good order.

use std::collections::BTreeSet;
use std::sync::Arc;

use skald::workers::inventory::InventoryWorker;

use super::rig::{PREFETCH, Rig, in_time, reserve};
use super::stores::Warehouse;

fn inventory() -> (Arc<Warehouse>, Arc<InventoryWorker>) {
    let warehouse = Arc::new(Warehouse::default());
    warehouse.stock("tea", 10_000);
    let worker = Arc::new(InventoryWorker::new(warehouse.clone()));
    (warehouse, worker)
}

#[tokio::test]
async fn a_stop_finishes_what_is_at_work_and_leaves_the_rest_to_others() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory();
    warehouse.faults.close_gate();
    let running = rig.start(&worker);
    let at_work = rig.publish(reserve(1, 2, "tea", 1));
    let gate = Arc::clone(&warehouse);
    tokio::task::spawn_blocking(move || gate.faults.await_arrival()).await.unwrap();
    let waiting = rig.publish(reserve(2, 2, "tea", 1));
    running.stop.send(true).unwrap();
    warehouse.faults.open_gate();
    let reply = rig.unacknowledged_reply().await;
    assert!(!running.task.is_finished(), "it waits for its reply to be safe");
    reply.ack();
    in_time(running.task).await.unwrap();
    rig.expect_settled(at_work).await;
    rig.expect_unsettled(waiting);
    assert_eq!(warehouse.reserved("tea"), 1);
    let _successor = rig.start(&worker);
    assert_eq!(rig.reply().await.to, reserve(2, 2, "tea", 1).id);
    rig.expect_settled(waiting).await;
}

#[tokio::test]
async fn a_runtime_nobody_can_stop_any_more_stops() {
    let rig = Rig::new().await;
    let (_, worker) = inventory();
    let running = rig.start(&worker);
    drop(running.stop);
    in_time(running.task).await.unwrap();
}

#[tokio::test]
async fn stops_and_crashes_under_load_lose_nothing_and_do_nothing_twice() {
    const COMMANDS: u128 = 500;
    let mut rig = Rig::with_queues(100, 1000).await;
    let (warehouse, worker) = inventory();
    let tags: Vec<u64> =
        (1..=COMMANDS).map(|saga| rig.publish(reserve(saga, 2, "tea", 1))).collect();
    let mut answered = BTreeSet::new();
    let mut round = 0;
    while answered.len() < COMMANDS as usize {
        round += 1;
        let running = rig.start(&worker);
        for _ in 0..(2 * PREFETCH).min(COMMANDS as usize - answered.len()) {
            answered.insert(rig.reply().await.to);
        }
        if round % 2 == 0 {
            running.kill().await;
            continue;
        }
        let mut stopping = tokio::spawn(running.stop());
        loop {
            tokio::select! {
                stopped = &mut stopping => break stopped.unwrap(),
                reply = rig.reply() => answered.insert(reply.to),
            };
        }
    }
    let _running = rig.start(&worker);
    rig.answer_until_settled(tags).await;
    assert_eq!(warehouse.reserved("tea"), COMMANDS as i64);
}
