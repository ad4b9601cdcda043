//! What the program tells machines of itself.

use std::collections::BTreeSet;
use std::net::TcpListener;

use skald::telemetry::catalogue::{CATALOGUE, Kind};

use super::program::{Going, run, skald};

/// Show only once an attempt came to nothing, which needs a fault, or where there is a Redis.
const NOT_HERE: [&str; 4] = [
    "skald_step_setbacks_total",
    "skald_redis_available",
    "skald_redis_calls_total",
    "skald_redis_call_duration_seconds",
];

/// A server that has seen an order to each of its ends, and its metrics.
fn metrics_of_a_busy_server() -> String {
    let server = Going::serve();
    let put = server.request("PUT", "/v1/inventory/products/lamp", "", r#"{"onHand":5}"#);
    assert_eq!(put.0, 200, "{}", put.1);
    server.order("lamp");
    server.order("no-such-lamp");
    server.request("GET", "/nowhere/01890a5d-ac96-774b-bcce-b302099a8057", "", "");
    server.request("GET", "/metrics", "", "");
    server.request("GET", "/metrics", "", "").1
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> f64 {
    let found = metrics.lines().find_map(|line| line.strip_prefix(series));
    let value = found.unwrap_or_else(|| panic!("no {series} in\n{metrics}"));
    value.trim().parse().unwrap()
}

#[test]
fn a_server_shows_every_metric_with_its_type_and_its_help() {
    let metrics = metrics_of_a_busy_server();
    for metric in CATALOGUE.iter().filter(|metric| !NOT_HERE.contains(&metric.name)) {
        let name = metric.name;
        let kind = match metric.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        assert!(metrics.contains(&format!("# TYPE {name} {kind}\n")), "{name}\n{metrics}");
        assert!(metrics.contains(&format!("# HELP {name} {}\n", metric.help)), "{name}\n{metrics}");
    }
    let ours = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE skald_"));
    let known = |name: &str| CATALOGUE.iter().any(|metric| metric.name == format!("skald_{name}"));
    let unknown: Vec<_> = ours.filter(|line| !known(line.split(' ').next().unwrap())).collect();
    assert!(unknown.is_empty(), "not in the catalogue: {unknown:?}");
    for of_the_process in ["process_resident_memory_bytes", "process_cpu_seconds_total"] {
        assert!(metrics.contains(of_the_process), "{metrics}");
    }
}

#[test]
fn the_metrics_tell_what_became_of_the_orders() {
    let metrics = metrics_of_a_busy_server();
    let value = |series: &str| value(&metrics, series);
    assert_eq!(value("skald_sagas_started_total "), 2.0);
    assert_eq!(value(r#"skald_sagas_ended_total{outcome="COMPLETED"} "#), 1.0);
    assert_eq!(value(r#"skald_sagas_ended_total{outcome="CANCELLED"} "#), 1.0);
    assert_eq!(value(r#"skald_sagas{status="COMPLETED"} "#), 1.0);
    assert_eq!(value(r#"skald_sagas{status="NEEDS_ATTENTION"} "#), 0.0);
    assert_eq!(value(r#"skald_saga_duration_seconds_count{outcome="COMPLETED"} "#), 1.0);
    let reserve = r#"{definition="order",step="reserve-inventory",direction="do""#;
    let asked =
        |attempt: &str| format!(r#"skald_step_attempts_total{reserve},attempt="{attempt}"}} "#);
    assert_eq!(value(&asked("first")), 2.0);
    for outcome in ["succeeded", "failed"] {
        let series =
            format!(r#"skald_step_duration_seconds_count{reserve},outcome="{outcome}"}} "#);
        assert_eq!(value(&series), 1.0);
    }
    assert_eq!(value(r#"skald_queue_messages_ready{queue="inventory.commands"} "#), 0.0);
    assert_eq!(value(r#"skald_worker_batch_commands_sum{queue="inventory.commands"} "#), 2.0);
    assert_eq!(value(r#"skald_ready{check="orchestrator"} "#), 1.0);
    assert_eq!(value("skald_dead_letters_total "), 0.0);
    assert_eq!(value("skald_nodes "), 1.0);
    let transitions = value("skald_journal_transitions_total ");
    assert_eq!(value("skald_journal_batch_transitions_sum "), transitions);
    let orders = r#"skald_http_request_duration_seconds_count{method="POST",route="/v1/orders",status="200"} "#;
    assert_eq!(value(orders), 2.0);
}

#[test]
fn no_label_holds_an_id_or_a_path_that_anybody_made_up() {
    let metrics = metrics_of_a_busy_server();
    let labels = metrics.split('"').skip(1).step_by(2).collect::<BTreeSet<_>>();
    assert!(labels.contains("other") && labels.contains("/v1/sagas/{id}"), "{labels:?}");
    let is_id =
        |label: &str| label.len() >= 32 && label.bytes().filter(|b| *b == b'-').count() == 4;
    assert!(!labels.iter().any(|label| is_id(label) || label.contains("nowhere")), "{labels:?}");
}

#[test]
fn health_tells_by_its_exit_code_whether_a_server_can_work() {
    let server = Going::serve();
    let well = run(&["health", "--url", &server.url]);
    assert_eq!((well.code, well.out.as_str(), well.err.as_str()), (0, "ok\n", ""));
    let url = server.url.clone();
    server.stop();
    let gone = run(&["health", "--url", &url]);
    assert_eq!((gone.code, gone.out.as_str()), (1, ""), "{gone:?}");
    assert!(gone.err.starts_with("error[UNREACHABLE]: "), "{}", gone.err);
}

#[test]
fn health_gives_up_on_a_server_that_says_nothing() {
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", mute.local_addr().unwrap());
    let ended = run(&["health", "--url", &url]);
    assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{ended:?}");
    assert!(ended.err.contains("within 5 s"), "{}", ended.err);
}

#[test]
fn metrics_can_be_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = skald(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    command.env("SKALD_TELEMETRY_METRICS", "false");
    let server = Going::start(command);
    let (status, body) = server.request("GET", "/metrics", "", "");
    assert_eq!(status, 404, "{body}");
    assert!(body.contains("telemetry.metrics is false"), "{body}");
    assert_eq!(server.request("GET", "/readyz", "", "").0, 200);
}
