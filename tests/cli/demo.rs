use std::fs;

use serde_json::Value;

use super::program::{Going, eventually, run, run_in, skald};

fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} in {report}"))
}

#[test]
fn the_demo_ends_every_order_and_adds_up() {
    let ended = run(&["demo", "--orders", "200", "-o", "json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = ended.json();
    let names: Vec<&String> = report.as_object().unwrap().keys().collect();
    let mut expected = [
        "orders",
        "confirmed",
        "cancelled",
        "cancelledByReason",
        "sagasPerSecond",
        "p50Ms",
        "p95Ms",
        "p99Ms",
        "mails",
        "stockAddsUp",
        "transitionsPerCommit",
        "processes",
    ];
    expected.sort_unstable();
    assert_eq!(names, expected);
    assert_eq!((number(&report, "orders"), number(&report, "mails")), (200, 200));
    assert_eq!(number(&report, "confirmed") + number(&report, "cancelled"), 200);
    assert!(number(&report, "confirmed") > 150 && number(&report, "cancelled") > 2, "{report}");
    let by_reason = report["cancelledByReason"].as_object().unwrap();
    assert_eq!(
        by_reason.values().filter_map(Value::as_u64).sum::<u64>(),
        number(&report, "cancelled")
    );
    assert!(
        by_reason
            .keys()
            .all(|code| ["INSUFFICIENT_STOCK", "UNKNOWN_PRODUCT"].contains(&code.as_str()))
    );
    assert_eq!(report["stockAddsUp"], true);
    let measure = |name: &str| report[name].as_f64().unwrap();
    assert!(measure("p50Ms") > 0.0 && measure("p50Ms") <= measure("p99Ms"), "{report}");
    assert!(measure("sagasPerSecond") > 0.0 && measure("transitionsPerCommit") > 0.0, "{report}");
}

#[test]
fn the_demo_is_for_people_unless_told_otherwise() {
    let ended = run(&["demo", "--orders", "50", "--lines", "1", "--concurrency", "4"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("The stock adds up"), "{}", ended.out);
    assert!(ended.out.contains("sagas/s"), "{}", ended.out);
    assert!(ended.err.contains("skald-demo-"), "the folder is named: {}", ended.err);
}

#[test]
fn what_the_demo_leaves_behind_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    let ended =
        run_in(folder.path(), &["demo", "--orders", "250", "--data-dir", "kept", "-o", "json"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let arguments = ["serve", "--data-dir", "kept", "--listen", "127.0.0.1:0"];
    let server = Going::start(skald(folder.path(), &arguments));
    let list = run(&["saga", "list", "--all", "-o", "json", "--url", &server.url]).json();
    assert_eq!(list.as_array().map(Vec::len), Some(250), "more than one page");
}

#[test]
fn a_demo_that_is_kept_can_be_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["demo", "--orders", "10", "--keep", "-o", "json", "--listen", "127.0.0.1:0"];
    let kept = Going::start(skald(folder.path(), &arguments));
    assert_eq!(kept.request("GET", "/", "", "").0, 200);
    assert_eq!(kept.order("item-0001")["status"], "CONFIRMED");
    // Events go on being taken: those of this order come to be confirmed, too.
    eventually("events are confirmed", || number(&kept.get("/v1/stats")["lag"], "events") == 0);
    let (code, out) = kept.stop();
    assert_eq!(code, Some(0));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["orders"], 10);
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("mine")).unwrap();
    fs::write(folder.path().join("mine/diary"), "dear").unwrap();
    let ended = run_in(folder.path(), &["demo", "--orders", "1", "--data-dir", "mine"]);
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(ended.err.contains("error[FOLDER_NOT_EMPTY]: "), "{}", ended.err);
    assert_eq!(fs::read_dir(folder.path().join("mine")).unwrap().count(), 1);
}
