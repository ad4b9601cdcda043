//! One order in the logs of all the processes that had to do with it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::customer::{Connection, unfinished};
use crate::installation::{Installation, WORKERS};
use crate::process::Process;
use crate::until::until;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The values of `member` in those lines of a log that have the order's trace id.
fn told(process: &Process, member: &str) -> BTreeSet<String> {
    let log = process.log();
    let lines = log.iter().filter(|line| line["traceId"] == TRACE);
    lines.filter_map(|line| line[member].as_str().map(str::to_owned)).collect()
}

#[test]
fn an_order_is_found_by_its_trace_in_the_logs_of_all_processes() {
    let installation = Installation::new();
    let start = |arguments: &[&str]| {
        let mut command = installation.command(arguments);
        command.env("SKALD_LOG_FILTER", "skald=debug");
        installation.start(command, arguments[arguments.len() - 1])
    };
    let orchestrator = start(&["serve", "--listen", "127.0.0.1:0", "--workers", "none"]);
    let workers = WORKERS.map(|kind| start(&["worker", kind]));
    let mut connection = Connection::open(orchestrator.address()).unwrap();
    let shelf = "/v1/inventory/products/harp";
    connection.send("PUT", shelf, "", r#"{"onHand":9}"#).unwrap();
    let body = r#"{"userId":"u","email":"u@example.org","items":[{"productId":"harp","quantity":1,"price":1}]}"#;
    let headers = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01\r\nPrefer: wait=15\r\n");
    let answer = connection.ask("POST", "/v1/orders", &headers, body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    // Another order, which must not be taken for the first.
    connection.send("POST", "/v1/orders", "", body).unwrap();
    until("both sagas have ended", || {
        let stats = connection.get("/v1/stats");
        stats["sagas"]["COMPLETED"] == 2 && unfinished(&stats) == 0
    });

    let saga = BTreeSet::from([answer.json()["sagaId"].as_str().unwrap().to_owned()]);
    let mut asked = BTreeSet::new();
    for worker in &workers {
        assert_eq!(told(worker, "sagaId"), saga);
        let correlations = told(worker, "correlationId");
        assert_eq!(correlations.len(), 1, "{correlations:?}");
        asked.extend(correlations);
        let is_known = |line: &Value| line["key"].as_str().is_some_and(|key| !key.is_empty());
        assert!(worker.log().iter().any(is_known), "no key in {:?}", worker.log());
    }
    assert_eq!(told(&orchestrator, "sagaId"), saga);
    assert_eq!(told(&orchestrator, "correlationId"), asked);
    assert!(told(&orchestrator, "messageId").is_superset(&asked));
}
