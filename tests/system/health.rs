//! What machines ask of a worker's process.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;

use crate::customer::Connection;
use crate::installation::{Installation, WORKERS};
use crate::process::Process;
use crate::rabbitmq::Broker;
use crate::until::until;

/// A worker that listens, and where.
fn listening(installation: &Installation, kind: &str) -> (Process, SocketAddr) {
    let command = installation.command(&["worker", kind, "--listen", "127.0.0.1:0"]);
    let worker = installation.start(command, kind);
    let ready = |line: &Value| line["message"] == "ready";
    let line = worker.log().into_iter().find(ready).unwrap();
    let url = line["health"].as_str().unwrap().strip_prefix("http://").unwrap();
    let address = url.parse().unwrap();
    (worker, address)
}

fn ask(address: SocketAddr, path: &str) -> (u16, String) {
    Connection::open(address).unwrap().send("GET", path, "", "").unwrap()
}

/// The exit code of `skald health`.
fn health(installation: &Installation, address: SocketAddr) -> Option<i32> {
    let url = format!("http://{address}");
    let mut command: Command = Process::command(installation.folder(), &["health", "--url", &url]);
    command.output().unwrap().status.code()
}

#[test]
fn a_worker_answers_probes_and_counts_its_batches() {
    let installation = Installation::new();
    let node = installation.orchestrator();
    let workers = WORKERS.map(|kind| listening(&installation, kind));
    let order = r#"{"userId":"u","email":"u@example.com",
        "items":[{"productId":"none","quantity":1,"price":5}]}"#;
    let answer = Connection::open(node.address()).unwrap().send(
        "POST",
        "/v1/orders",
        "prefer: wait=30\r\n",
        order,
    );
    assert_eq!(answer.unwrap().0, 200);
    for (kind, (_, address)) in WORKERS.iter().zip(&workers) {
        assert_eq!(ask(*address, "/livez"), (200, "ok".to_owned()));
        let expected = format!("[+]{kind} ok\n[+]bus ok\nreadyz check passed\n");
        assert_eq!(ask(*address, "/readyz?verbose"), (200, expected));
        assert_eq!(health(&installation, *address), Some(0));
        let series = format!("skald_worker_batch_commands_count{{queue=\"{kind}.commands\"}} ");
        until("the batch is counted", || ask(*address, "/metrics").1.contains(&series));
        let metrics = ask(*address, "/metrics").1;
        assert!(metrics.contains("skald_ready{check=\"bus\"} 1\n"), "{metrics}");
        assert!(!metrics.contains("skald_shards_owned"), "it is no node\n{metrics}");
        assert_eq!(ask(*address, "/v1/orders").0, 404, "it has no API");
    }
    for (worker, _) in workers {
        assert!(worker.stop().success());
    }
}

#[test]
fn a_worker_without_its_broker_lives_but_is_not_ready() {
    let mut broker = Broker::start();
    let installation = Installation::with_broker(broker.url());
    let (_worker, address) = listening(&installation, "inventory");
    broker.kill();
    until("the worker is not ready", || ask(address, "/readyz").0 == 503);
    assert_eq!(ask(address, "/livez").0, 200);
    assert_eq!(health(&installation, address), Some(1));
    let metrics = ask(address, "/metrics").1;
    assert!(metrics.contains("skald_ready{check=\"bus\"} 0\n"), "{metrics}");
}
