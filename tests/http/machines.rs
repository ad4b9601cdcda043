//! What machines ask: health, metrics, statistics; and how the server stops.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::rt;
use actix_web::web::Data;
use futures_util::future::BoxFuture;
use serde_json::json;
use skald::bus::in_process::InProcessBus;
use skald::coordination::in_process::{InProcessCache, InProcessPokes};
use skald::http::{Api, Expendable, Options, Services, Settings, serve};
use skald::ports::bus::{Bus, BusError, Deliveries, Outgoing, QueueDepth, QueueSpec, Receipt};
use skald::ports::error::StoreError;
use skald::ports::notification::{NotificationChange, NotificationStore};
use skald::ports::work::{RecordKey, WorkRecord};
use skald::saga::id::QueueName;
use tokio::time::timeout;

use crate::client::{ORDER, Site};
use crate::fakes::Port;
use crate::world::World;

#[actix_web::test]
async fn a_server_that_is_well_says_ok() {
    let site = Site::new();
    for path in ["/livez", "/readyz"] {
        let reply = site.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.text()), (200, "ok"), "{path}");
    }
    let verbose = site.get("/readyz?verbose").await;
    let expected = "[+]store ok\n[+]inventory ok\n[+]notification ok\n[+]bus ok\n\
                    [+]orchestrator ok\nreadyz check passed\n";
    assert_eq!(verbose.text(), expected);
    assert_eq!(verbose.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(site.get("/livez?verbose=1").await.text(), "[+]ping ok\nlivez check passed\n");
}

#[actix_web::test]
async fn nodes_are_listed_with_their_shards_and_what_nobody_owns() {
    let reply = Site::new().get("/v1/nodes").await;
    assert_eq!(reply.status, 200);
    let node = json!({
        "nodeId": "00000000-0000-0000-0000-000000000007",
        "name": "skald-1",
        "url": "http://skald-1:7070",
        "startedAt": "2023-11-14T22:13:20.000000Z",
        "shards": [0],
    });
    assert_eq!(reply.json(), json!({"nodes": [node], "unowned": [1]}));
}

#[actix_web::test]
async fn a_server_whose_store_is_away_lives_but_is_not_ready() {
    let site = Site::new();
    site.world.store_is_down.store(true, Ordering::Relaxed);
    *site.world.troubles.lock().unwrap() = vec!["the journal\nis full".to_owned()];
    let reply = site.get("/readyz").await;
    assert_eq!(reply.status, 503);
    assert!(reply.text().starts_with("[-]store failed: the orchestrator store is not available"));
    assert!(reply.text().contains("\n[-]orchestrator failed: the journal is full\n"));
    assert!(reply.text().ends_with("readyz check failed\n"));
    assert_eq!(site.get("/livez").await.status, 200);
}

/// A bus whose broker is gone.
struct Gone;

impl Bus for Gone {
    fn declare(&self, _: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>> {
        unimplemented!("nobody declares")
    }

    fn publish(&self, _: Outgoing, _: Receipt) {
        unimplemented!("nobody publishes")
    }

    fn consume_before_others(
        &self,
        _: &QueueName,
        _: usize,
        _: i64,
    ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
        unimplemented!("nobody consumes")
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>> {
        unimplemented!("nobody asks")
    }

    fn health(&self) -> Result<(), BusError> {
        Err(BusError::Unavailable("connection refused".to_owned()))
    }
}

#[actix_web::test]
async fn a_server_whose_broker_is_away_is_not_ready() {
    let site = Site::with(|services| Services { bus: Arc::new(Gone), ..services });
    let reply = site.get("/readyz").await;
    assert_eq!(reply.status, 503);
    let told = "\n[-]bus failed: the message bus is not available: connection refused\n";
    assert!(reply.text().contains(told), "{}", reply.text());
}

/// The mails of a worker whose store is gone.
struct NoMails;

impl NotificationStore for NoMails {
    fn transact(
        &self,
        _: &BTreeSet<RecordKey>,
        _: &mut dyn FnMut(&BTreeMap<RecordKey, WorkRecord>) -> NotificationChange,
    ) -> Result<(), StoreError> {
        unimplemented!("nobody mails")
    }

    fn counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        unimplemented!("nobody counts")
    }

    fn ping(&self) -> Result<(), StoreError> {
        let cause = "connection refused".to_owned();
        Err(StoreError::Unavailable { store: "notification", cause })
    }
}

#[actix_web::test]
async fn a_node_takes_orders_without_the_stores_of_its_workers() {
    let site =
        Site::with(|services| Services { notification: Some(Arc::new(NoMails)), ..services });
    let reply = site.get("/readyz?verbose").await;
    assert_eq!(reply.status, 200);
    let told = "\n[~]notification away, not needed: the notification store is not available";
    assert!(reply.text().contains(told), "{}", reply.text());
    assert!(reply.text().contains("\n[+]inventory ok\n"));
}

#[actix_web::test]
async fn metrics_are_passed_through() {
    let site = Site::new();
    let reply = site.get("/metrics").await;
    assert_eq!(reply.text(), "skald_sagas_total 1\n");
    assert_eq!(reply.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
}

#[actix_web::test]
async fn statistics_count_what_there_is() {
    let site = Site::new();
    let first = site.order().await.order;
    site.order().await;
    site.world.refuse(first.saga, "reserve-inventory", "UNKNOWN_PRODUCT");
    site.world.pass_ms(61_500);
    let stats = site.get("/v1/stats").await.json();
    let expected = json!({
        "sagas": {"RUNNING": 1, "ROLLING_BACK": 1, "NEEDS_ATTENTION": 0, "COMPLETED": 0, "CANCELLED": 0},
        "orders": {"PENDING": 1, "CONFIRMED": 0, "CANCELLED": 1},
        "cancelledByReason": {"UNKNOWN_PRODUCT": 1},
        "notifications": {"SENT": 5},
        "awake": 3,
        "outstanding": {"inventory.commands": 2},
        "commits": 4,
        "transitions": 10,
        "transitionsPerCommit": 2.5,
        "ignored": {"settled": 1},
        "lag": {"commands": 1, "events": 7, "shards": [{"shard": 0, "commands": 1, "events": 7}]},
        "startedAt": "2026-09-21T14:13:20.000000Z",
        "uptimeSeconds": 61,
    });
    assert_eq!(stats, expected);
}

#[actix_web::test]
async fn a_graceful_stop_lets_requests_finish() {
    let world = World::new();
    let port = Arc::new(Port(world.clone()));
    let services = Services {
        orchestrator: port.clone(),
        queries: port.clone(),
        door: port.clone(),
        letters: port.clone(),
        leases: port.clone(),
        bus: Arc::new(InProcessBus::default()),
        cache: Arc::new(InProcessCache::default()),
        pokes: Arc::new(InProcessPokes::default()),
        expendable: Vec::new(),
        inventory: None,
        notification: None,
        clock: port,
        definitions: Default::default(),
        metrics: None,
        spans: Default::default(),
    };
    let settings = Settings { host_names: Vec::new(), store_calls: 1 };
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options { workers: 2, stop_within: Duration::from_secs(30) };
    let server = serve(Data::new(Api::new(services, &settings)), listener, &options).unwrap();
    let handle = server.handle();
    let url = format!("http://{address}/v1/orders");
    let running = rt::spawn(server);

    world.gate_is_shut.store(true, Ordering::Relaxed);
    let request = awc::Client::default().post(&url);
    let order =
        rt::spawn(request.insert_header(("content-type", "application/json")).send_body(ORDER));
    world.arrived.acquire().await.unwrap().forget();
    let stopping = rt::spawn(handle.stop(true));
    // The port is free once nobody listens any more.
    let closed = async {
        while TcpListener::bind(address).is_err() {
            rt::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), closed).await.unwrap();
    world.gate.add_permits(1);
    let answered = timeout(Duration::from_secs(20), order).await.unwrap().unwrap().unwrap();
    assert_eq!(answered.status(), 202);
    timeout(Duration::from_secs(20), stopping).await.unwrap().unwrap();
    timeout(Duration::from_secs(20), running).await.unwrap().unwrap().unwrap();
}

#[actix_web::test]
async fn what_is_not_needed_is_shown_and_fails_nothing() {
    let away = Arc::new(AtomicBool::new(true));
    let told = Arc::clone(&away);
    let trouble = move || told.load(Ordering::Relaxed).then(|| "connection refused".to_owned());
    let redis = Expendable { name: "redis", trouble: Arc::new(trouble) };
    let site = Site::with(|services| Services { expendable: vec![redis], ..services });
    let plain = site.get("/readyz").await;
    assert_eq!((plain.status.as_u16(), plain.text()), (200, "ok"));
    let verbose = site.get("/readyz?verbose").await;
    assert_eq!(verbose.status, 200);
    let line = "[~]redis away, not needed: connection refused\n";
    assert!(verbose.text().contains(line), "{verbose:?}");
    assert!(verbose.text().ends_with("readyz check passed\n"));
    away.store(false, Ordering::Relaxed);
    assert!(site.get("/readyz?verbose").await.text().contains("[+]redis ok\n"));
}
