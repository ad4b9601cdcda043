//! A shard that is given up in good order.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use skald::bus::in_process::InProcessBus;
use skald::contract::reply::WorkOutcome;
use skald::ports::bus::{Bus, BusError, Deliveries, Outgoing, QueueDepth, QueueSpec, Receipt};
use skald::saga::id::QueueName;
use skald::saga::json::Json;

use crate::rig::{Inbox, Rig};

/// A bus that claims to outlive the process.
#[derive(Default)]
struct Lasting(InProcessBus);

impl Bus for Lasting {
    fn declare(&self, spec: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>> {
        self.0.declare(spec)
    }

    fn publish(&self, outgoing: Outgoing, receipt: Receipt) {
        self.0.publish(outgoing, receipt);
    }

    fn consume_before_others(
        &self,
        queue: &QueueName,
        prefetch: usize,
        priority: i64,
    ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
        self.0.consume_before_others(queue, prefetch, priority)
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>> {
        self.0.depths()
    }
}

#[actix::test]
async fn an_answer_in_hand_is_committed_and_acknowledged_before_the_shard_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let saga = rig.submit().await;
    let reserve = inventory.next_of("inventory.reserve").await;
    // So that no mark is left to be written, for which the shard would wait anyway.
    let written = || rig.stores.queries.lags().unwrap().iter().all(|lag| lag.events == 0);
    rig.until("the mark of events at the end of the history", written).await;
    let (gate, commits) = (Arc::clone(&rig.gate), rig.gate.arrived());
    gate.hold();
    let answer = tokio::task::spawn_local(async move {
        // Returns once the answer is acknowledged.
        inventory.answer(&reserve.message, WorkOutcome::Success(Json::null())).await;
    });
    rig.until("the commit of the answer", || gate.arrived() > commits).await;
    let (stores, stopping) = rig.begin_to_stop().await;
    assert!(!answer.is_finished(), "no acknowledgement before its commit");
    gate.open();
    stopping.await.unwrap();
    answer.await.unwrap();
    let history = stores.queries.history(saga, 0, 1_000).unwrap();
    assert!(history.iter().any(|recorded| recorded.event.name() == "stepSucceeded"), "{history:?}");
}

#[actix::test]
async fn what_is_on_its_way_is_confirmed_and_marked_before_the_shard_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let bus: Arc<dyn Bus> = Arc::new(Lasting::default());
    let rig = Rig::start_on(Arc::clone(&bus), folder.path(), Duration::from_secs(60)).await;
    let mut inventory: Inbox = rig.commands("inventory").await;
    rig.submit().await;
    let reserve = inventory.next_of("inventory.reserve").await;
    let (stores, stopping) = rig.begin_to_stop().await;
    // Only now is the command safe.
    reserve.ack();
    stopping.await.unwrap();
    for lag in stores.queries.lags().unwrap() {
        assert_eq!((lag.commands, lag.events), (0, 0), "{lag:?}");
    }
}
