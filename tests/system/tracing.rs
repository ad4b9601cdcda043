//! Traces: what a collector gets of orders, and what becomes of orders where there is none.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::Command;

use crate::customer::{Answer, Connection};
use crate::installation::{Installation, WORKERS};
use crate::otlp_receiver::{Receiver, Seen};
use crate::process::Process;
use crate::until::until;

const CALLER: u64 = 0x00f0_67aa_0ba9_02b7;
const BODY: &str = r#"{"userId":"u","email":"u@example.org","items":[{"productId":"harp","quantity":1,"price":1}]}"#;

/// An orchestrator and both workers, which send their traces to `collector`.
struct Traced {
    orchestrator: Process,
    workers: Vec<Process>,
    connection: Connection,
}

impl Traced {
    fn start(installation: &Installation, collector: &str) -> Self {
        let start = |arguments: &[&str]| {
            let mut command: Command = installation.command(arguments);
            command.env("SKALD_TELEMETRY_OTLP_URL", collector);
            command.env("SKALD_TELEMETRY_SAMPLE_RATIO", "0");
            installation.start(command, arguments[arguments.len() - 1])
        };
        let orchestrator = start(&["serve", "--listen", "127.0.0.1:0", "--workers", "none"]);
        let workers = WORKERS.map(|kind| start(&["worker", kind])).into();
        let mut connection = Connection::open(orchestrator.address()).unwrap();
        let shelf = "/v1/inventory/products/harp";
        assert_eq!(connection.send("PUT", shelf, "", r#"{"onHand":99}"#).unwrap().0, 200);
        Self { orchestrator, workers, connection }
    }

    /// Submits an order in a caller's trace, and waits until its saga has ended.
    fn order(&mut self, trace: u128, flags: &str) -> String {
        let headers = format!("traceparent: 00-{trace:032x}-{CALLER:016x}-{flags}\r\n");
        let Answer { status, body, .. } =
            self.connection.ask("POST", "/v1/orders", &headers, BODY).unwrap();
        assert_eq!(status, 202, "{body}");
        let accepted: serde_json::Value = serde_json::from_str(&body).unwrap();
        let saga = accepted["sagaId"].as_str().unwrap().to_owned();
        let path = format!("/v1/sagas/{saga}");
        until("the saga ends", || self.connection.get(&path)["status"] == "COMPLETED");
        saga
    }

    /// Stops all processes in good order: each sends its last spans.
    fn stop(self) {
        drop(self.connection);
        for process in self.workers.into_iter().chain([self.orchestrator]) {
            assert!(process.stop().success());
        }
    }
}

/// The spans below `parent`, one a line with their services, each deeper by two spaces.
fn tree(spans: &[Seen], parent: u64, depth: usize) -> String {
    let mut below: Vec<&Seen> = spans.iter().filter(|span| span.parent == parent).collect();
    below.sort_unstable_by_key(|span| &span.name);
    let line = |span: &&Seen| {
        let indent = " ".repeat(2 * depth);
        let below = tree(spans, span.span, depth + 1);
        format!("{indent}{} ({}, {})\n{below}", span.name, span.service, span.kind)
    };
    below.iter().map(line).collect()
}

const TREE: &str = "\
POST /v1/orders (skald, 2)
  saga order (skald, 1)
    confirm-order (skald, 1)
    publish order-events:inventory.reserved (skald, 4)
    publish order-events:notification.sent (skald, 4)
    publish order-events:order.confirmed (skald, 4)
    publish order-events:order.created (skald, 4)
    reserve-inventory (skald, 1)
      publish skald.commands:inventory.reserve (skald, 4)
        process skald.commands:inventory.reserve:inventory.commands (skald-inventory, 5)
          publish skald.replies (skald-inventory, 4)
            process skald.replies (skald, 5)
    send-confirmation (skald, 1)
      publish skald.commands:notification.send (skald, 4)
        process skald.commands:notification.send:notification.commands (skald-notification, 5)
          publish skald.replies (skald-notification, 4)
            process skald.replies (skald, 5)
";

#[test]
fn an_order_is_one_trace_through_all_processes_if_its_caller_records_it() {
    for installation in [Installation::new(), Installation::new().without_bundles()] {
        let receiver = Receiver::start();
        let mut traced = Traced::start(&installation, &receiver.url());
        let saga = traced.order(7, "01");
        traced.order(8, "00");
        // Nobody records it, and of the traces that begin here none is to be.
        assert_eq!(traced.connection.send("POST", "/v1/orders", "", BODY).unwrap().0, 202);
        until("all sagas have ended", || {
            traced.connection.get("/v1/stats")["sagas"]["COMPLETED"] == 3
        });
        traced.stop();

        let spans = receiver.spans_of(7);
        assert_eq!(tree(&spans, CALLER, 0), TREE);
        assert_eq!(spans.len(), TREE.lines().count(), "all are connected");
        assert_eq!(receiver.spans().len(), spans.len(), "no other trace is recorded");
        let ids: BTreeSet<u64> = spans.iter().map(|span| span.span).collect();
        assert_eq!(ids.len(), spans.len(), "each has an id of its own");
        assert!(spans.iter().all(|span| !span.is_error), "{spans:#?}");
        let below_http = spans.iter().filter(|span| span.kind != 2);
        for span in below_http {
            assert_eq!(span.attributes["skald.saga.id"], saga, "{span:?}");
        }
        let whole = spans.iter().find(|span| span.name == "saga order").unwrap();
        assert!(spans.iter().all(|span| span.lasted_nanos <= whole.lasted_nanos + 10_000_000_000));
        assert_eq!(whole.attributes["skald.saga.status"], "COMPLETED");
        let publish = spans.iter().find(|span| span.name.ends_with("inventory.reserve")).unwrap();
        assert_eq!(publish.attributes["messaging.system"], "rabbitmq");
    }
}

/// Whether a process has logged this.
fn has_logged(process: &Process, message: &str) -> bool {
    process
        .log()
        .iter()
        .any(|line| line["message"].as_str().is_some_and(|told| told.starts_with(message)))
}

#[test]
fn orders_go_on_without_a_collector_and_are_recorded_once_it_is_there() {
    let address = Receiver::start().address();
    let installation = Installation::new();
    let mut traced = Traced::start(&installation, &format!("http://{address}"));
    traced.order(1, "01");
    let all = |traced: &Traced, message: &str| {
        traced.workers.iter().chain([&traced.orchestrator]).all(|it| has_logged(it, message))
    };
    until("each process says that nobody takes its traces", || {
        all(&traced, "traces are not taken")
    });

    let receiver = Receiver::at(address);
    let mut trace = 1;
    until("all send again", || {
        trace += 1;
        traced.order(trace, "01");
        all(&traced, "traces are taken again")
    });
    traced.order(1_000, "01");
    traced.stop();
    assert_eq!(tree(&receiver.spans_of(1_000), CALLER, 0), TREE);
}

#[test]
fn a_collector_that_hangs_holds_up_neither_orders_nor_the_end() {
    // Connections are made, and nobody ever takes them.
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", hanging.local_addr().unwrap());
    let installation = Installation::new();
    let mut traced = Traced::start(&installation, &url);
    for trace in 1..20 {
        traced.order(trace, "01");
    }
    traced.stop();
}
