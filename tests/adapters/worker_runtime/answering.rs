//! What commands are answered, and when they are acknowledged.

use std::sync::Arc;

use serde_json::json;
use skald::ports::bus::Message;
use skald::workers::inventory::InventoryWorker;
use skald::workers::runtime::Runtime;

use super::rig::{BATCH, Reply, Rig, command, release, reserve};
use super::stores::Warehouse;

fn inventory(on_hand: i64) -> (Arc<Warehouse>, Arc<InventoryWorker>) {
    let warehouse = Arc::new(Warehouse::default());
    warehouse.stock("tea", on_hand);
    let worker = Arc::new(InventoryWorker::new(warehouse.clone()));
    (warehouse, worker)
}

#[tokio::test]
async fn commands_are_answered_by_what_came_of_them() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory(5);
    let _running = rig.start(&worker);
    rig.publish(reserve(1, 2, "tea", 3));
    let reply = rig.reply().await;
    let data = json!({"reserved": {"products": 1, "pieces": 3}});
    let to = reserve(1, 2, "tea", 3).id;
    assert_eq!(reply, Reply { kind: "inventory.reserved".to_owned(), to, data });
    rig.publish(reserve(2, 2, "tea", 3));
    let reply = rig.reply().await;
    assert_eq!(reply.kind, "inventory.reservation_failed");
    assert_eq!(reply.data["reason"]["code"], "INSUFFICIENT_STOCK");
    rig.publish(release(1, 4));
    let reply = rig.reply().await;
    assert_eq!(reply.kind, "inventory.released");
    assert_eq!(warehouse.reserved("tea"), 0);
}

#[tokio::test]
async fn a_command_is_acknowledged_once_its_reply_is_safe() {
    let mut rig = Rig::new().await;
    let (_, worker) = inventory(5);
    let _running = rig.start(&worker);
    let command = rig.publish(reserve(1, 2, "tea", 3));
    let reply = rig.unacknowledged_reply().await;
    rig.expect_unsettled(command);
    reply.ack();
    rig.expect_settled(command).await;
}

#[tokio::test]
async fn a_command_that_wants_no_reply_is_done_and_acknowledged() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory(5);
    let _running = rig.start(&worker);
    let command = rig.publish(Message { reply_to: None, ..reserve(1, 2, "tea", 3) });
    rig.expect_settled(command).await;
    assert_eq!(warehouse.reserved("tea"), 3);
}

#[tokio::test]
async fn a_repeat_gets_the_same_answer_and_changes_nothing() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory(5);
    let _running = rig.start(&worker);
    rig.publish(reserve(1, 2, "tea", 3));
    let first = rig.reply().await;
    rig.publish(reserve(1, 7, "tea", 3));
    let again = rig.reply().await;
    assert_eq!((&again.kind, &again.data), (&first.kind, &first.data));
    assert_eq!(again.to, reserve(1, 7, "tea", 3).id);
    assert_eq!(warehouse.reserved("tea"), 3);
}

#[tokio::test]
async fn what_can_not_be_read_ends_among_the_dead_letters_with_its_reason() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory(5);
    let items = json!({"items": [{"productId": "tea", "quantity": 1}]});
    let key = "reserve-inventory:1:do";
    let foreign = command(3, 2, "inventory.count", key, &items);
    let bad_step = command(4, 2, "inventory.reserve", "Reserve Inventory/..:1:do", &items);
    let no_key = command(5, 2, "inventory.reserve", "nonsense", &items);
    let not_json = Message { body: "reserve, please".into(), ..reserve(6, 2, "tea", 1) };
    let disguised = Message { kind: "inventory.release".to_owned(), ..reserve(7, 2, "tea", 1) };
    let poison = [
        (reserve(2, 2, "tea", -1), "expected u32"),
        (foreign, "no command of the inventory worker"),
        (bad_step, "names no step"),
        (no_key, "idempotencyKey"),
        (not_json, "no command of the contract"),
        (disguised, "RESERVE_INVENTORY"),
    ];
    let tags: Vec<u64> = poison.iter().map(|(message, _)| rig.publish(message.clone())).collect();
    rig.publish(reserve(1, 2, "tea", 3));
    let _running = rig.start(&worker);
    for (message, part) in poison {
        let (id, reason) = rig.dead_letter().await;
        assert_eq!(id, message.id);
        assert!(reason.starts_with("rejected: ") && reason.contains(part), "{reason}");
    }
    assert_eq!(rig.reply().await.kind, "inventory.reserved");
    for tag in tags {
        rig.expect_settled(tag).await;
    }
    assert_eq!(warehouse.reserved("tea"), 3);
}

#[tokio::test]
async fn commits_do_not_wait_for_the_replies_of_earlier_ones() {
    let mut rig = Rig::new().await;
    let (_, worker) = inventory(50);
    let _running = rig.start(&worker);
    let mut held = Vec::new();
    for saga in 1..10 {
        rig.publish(reserve(saga, 2, "tea", 1));
        held.push(rig.unacknowledged_reply().await);
    }
}

#[tokio::test]
async fn what_gathers_while_one_batch_commits_is_the_next_batch() {
    let mut rig = Rig::new().await;
    let (warehouse, worker) = inventory(50);
    warehouse.faults.close_gate();
    let _running = rig.start(&worker);
    rig.publish(reserve(1, 2, "tea", 1));
    let gate = Arc::clone(&warehouse);
    tokio::task::spawn_blocking(move || gate.faults.await_arrival()).await.unwrap();
    for saga in 2..=1 + BATCH as u128 + 2 {
        rig.publish(reserve(saga, 2, "tea", 1));
    }
    warehouse.faults.open_gate();
    for _ in 0..1 + BATCH + 2 {
        rig.reply().await;
    }
    assert_eq!(*warehouse.batches.lock().unwrap(), [1, BATCH, 2]);
}

#[tokio::test]
async fn a_worker_of_small_batches_holds_one_more_of_them_at_most() {
    let rig = Rig::new().await;
    let (_, worker) = inventory(1);
    for (held, most, expected) in [
        (100, BATCH - 1, (BATCH - 1, 2 * (BATCH - 1))),
        (5, BATCH - 1, (BATCH - 1, 5)),
        (100, BATCH, (BATCH, 100)),
        (100, BATCH + 1, (BATCH, 100)),
    ] {
        let runtime = Runtime { prefetch: held, ..rig.runtime(&worker) }.with_batches_of(most);
        assert_eq!((runtime.batch_size, runtime.prefetch), expected);
    }
}

#[tokio::test]
async fn a_reply_that_finds_its_queue_full_is_sent_again() {
    let mut rig = Rig::with_queues(5, 1).await;
    let (_, worker) = inventory(50);
    let _running = rig.start(&worker);
    let tags: Vec<u64> = (1..=3).map(|saga| rig.publish(reserve(saga, 2, "tea", 1))).collect();
    for _ in 0..3 {
        rig.reply().await;
    }
    for tag in tags {
        rig.expect_settled(tag).await;
    }
}

#[tokio::test]
async fn a_command_whose_reply_nobody_takes_goes_back_and_stays_done() {
    let mut rig = Rig::with_queues(0, 1000).await;
    let (warehouse, worker) = inventory(5);
    let _running = rig.start(&worker);
    rig.publish(Message { reply_to: Some("nowhere".to_owned()), ..reserve(1, 2, "tea", 3) });
    assert_eq!(rig.dead_letter().await.1, "delivery_limit");
    rig.publish(reserve(1, 3, "tea", 3));
    assert_eq!(rig.reply().await.kind, "inventory.reserved");
    assert_eq!(warehouse.reserved("tea"), 3);
}
