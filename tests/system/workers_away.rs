//! Orders that come in while no worker runs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::customer::{Connection, Log, finish, stock_up};
use crate::installation::{Installation, WORKERS, together};
use crate::process::Process;

/// Longer than a step waits for its answer, so that there is something to probe.
const A_WHILE: Duration = Duration::from_secs(36);
/// One order each.
const PACE: Duration = Duration::from_millis(100);
const PRODUCTS: usize = 7;

#[test]
fn orders_wait_for_workers_that_are_away() {
    orders_wait(A_WHILE);
}

#[test]
#[ignore = "takes ten minutes"]
fn orders_wait_for_workers_that_are_away_for_ten_minutes() {
    orders_wait(Duration::from_secs(600));
}

fn orders_wait(outage: Duration) {
    let installation = Installation::new();
    let orchestrator = installation.orchestrator();
    for worker in together(2, |n| installation.worker(WORKERS[n])) {
        assert!(worker.stop().success());
    }
    stock_up(orchestrator.address(), 8);
    let mut connection = Connection::open(orchestrator.address()).unwrap();
    let began = Instant::now();
    let mut orders = 0;
    while began.elapsed() < outage {
        orders += 1;
        let product = orders % PRODUCTS + 1;
        let body = format!(
            r#"{{"userId":"u","email":"u@example.org","items":[{{"productId":"p{product}","quantity":1,"price":1}}]}}"#
        );
        let (status, answer) = connection.send("POST", "/v1/orders", "", &body).unwrap();
        assert_eq!(status, 202, "{answer}");
        // Orders come at this pace; nothing is waited for.
        sleep(PACE);
    }
    let stats = connection.get("/v1/stats");
    let all_wait = serde_json::json!({"CANCELLED":0,"CONFIRMED":0,"PENDING":orders});
    assert_eq!(stats["orders"], all_wait);
    assert_eq!(stats["sagas"]["NEEDS_ATTENTION"], 0);

    let began = Instant::now();
    let workers = together(2, |n| {
        let mut command = installation.command(&["worker", WORKERS[n]]);
        command.env("SKALD_LOG_FILTER", "skald=info,skald::workers=debug");
        installation.start(command, WORKERS[n])
    });
    finish(orchestrator.address(), &Arc::new(Log::default()), PRODUCTS);
    println!("{orders} orders, done {:?} after the workers were back", began.elapsed());
    let stats = connection.get("/v1/stats");
    let all_done = serde_json::json!({"CANCELLED":0,"CONFIRMED":orders,"PENDING":0});
    assert_eq!(stats["orders"], all_done);
    assert_eq!(stats["notifications"]["SENT"], orders);
    let complaint = |line: &Value| line["message"] == "a saga needs attention";
    assert!(!orchestrator.log().iter().any(complaint));

    // Four probes every two seconds while nobody answers, and what is asked as soon as somebody does.
    let probes = 4 * (usize::try_from(outage.as_secs()).unwrap() / 2 + 1);
    for (worker, kind) in workers.iter().zip(WORKERS) {
        let done = commands_done(worker);
        let (all, most) = (done.values().sum::<usize>(), done.values().max().unwrap());
        println!("{kind}: {all} commands for {} sagas, at most {most} for one", done.len());
        assert_eq!(done.len(), orders);
        assert!(all <= orders + probes, "a storm of {all} commands for {orders} orders");
    }
}

/// How many commands a worker has done for each saga.
fn commands_done(worker: &Process) -> BTreeMap<String, usize> {
    let mut done = BTreeMap::new();
    for line in worker.log().iter().filter(|line| line["message"] == "a command is done") {
        let (saga, _) = line["messageId"].as_str().unwrap().split_once(':').unwrap();
        *done.entry(saga.to_owned()).or_default() += 1;
    }
    done
}
