//! `skald doctor` on PostgreSQL and RabbitMQ.

use std::process::Stdio;

use diesel::{RunQueryDsl, sql_query};
use serde_json::Value;

use crate::installation::{Installation, WORKERS, together, until_shared};
use crate::stack::{Database, Vhost, management_url};
use crate::until::until;

/// The findings of `skald doctor`, and its exit code.
fn doctor(installation: &Installation, arguments: &[&str]) -> (i32, Vec<Value>) {
    let command = ["doctor", "-o", "json"];
    let mut command = installation.command(&[&command, arguments].concat());
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let findings: Vec<Value> = serde_json::from_str(&told).unwrap_or_else(|error| {
        panic!("{error}: {told}{}", String::from_utf8_lossy(&output.stderr))
    });
    (output.status.code().unwrap(), findings)
}

fn finding<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {findings:#?}"))
}

fn failed(findings: &[Value]) -> Vec<&str> {
    let failed = findings.iter().filter(|finding| finding["verdict"] == "fail");
    failed.map(|finding| finding["check"].as_str().unwrap()).collect()
}

#[test]
fn an_installation_that_works_is_well() {
    let installation = Installation::new();
    let nodes = together(2, |_| installation.orchestrator());
    let _workers = together(2, |n| installation.worker(WORKERS[n]));
    until_shared(nodes[0].address(), &[32, 32]);
    let management = management_url();
    // Consumers are declared a moment after a worker says that it is ready.
    until("everything is consumed", || {
        let (_, findings) = doctor(&installation, &[]);
        finding(&findings, "consumers")["verdict"] == "ok"
    });
    let (code, findings) = doctor(&installation, &["--management-url", &management]);
    assert_eq!((code, failed(&findings)), (0, vec![]), "{findings:#?}");
    for check in [
        "orchestrator migrations",
        "orchestrator rights",
        "inventory clock",
        "notification durability",
        "shards",
        "sagas",
        "deadlines",
        "dead letters",
        "queues",
        "consumers",
        "queue arguments",
        "broker nodes",
    ] {
        assert_eq!(finding(&findings, check)["verdict"], "ok", "{findings:#?}");
    }
    let clocks = findings.iter().filter(|it| it["check"].as_str().unwrap().starts_with("clock of"));
    assert_eq!(clocks.count(), 2, "{findings:#?}");
    let (_, without) = doctor(&installation, &[]);
    assert_eq!(finding(&without, "alarms, replicas, arguments")["verdict"], "warn");
}

#[test]
fn looking_makes_nothing() {
    let installation = Installation::new();
    for _ in 0..2 {
        let (code, findings) = doctor(&installation, &[]);
        assert_eq!(code, 0, "{findings:#?}");
        for check in ["orchestrator migrations", "inventory migrations", "exchanges", "queues"] {
            assert_eq!(finding(&findings, check)["verdict"], "warn", "{findings:#?}");
        }
    }
}

#[test]
fn what_is_wrong_fails_and_is_told_with_what_to_do() {
    let (database, vhost) = (Database::create(), Vhost::create());
    let installation = Installation::at(database.url().to_owned(), vhost.url().to_owned());
    let orchestrator = installation.orchestrator();
    let execute = |statement: &str| {
        sql_query(statement).execute(&mut database.connect()).unwrap();
    };
    until("a node has all shards", || {
        crate::installation::shares(orchestrator.address()).is_some()
    });
    orchestrator.kill();

    // The shards stay the dead node's until its lease runs out.
    execute("UPDATE skald_orchestrator.nodes SET lease_until = now() - interval '1 second'");
    execute(
        "INSERT INTO skald_orchestrator.sagas VALUES (gen_random_uuid(), 1, now() - interval '1 hour',
             now(), now(), 0, 1, 1, 'order', 'RUNNING', 'x', '{}')",
    );
    execute("INSERT INTO skald_orchestrator.saga_counts VALUES (0, 'order', 'NEEDS_ATTENTION', 1)");
    execute("UPDATE skald_inventory.compatibility SET needs = '9999'");
    let (code, findings) = doctor(&installation, &[]);
    assert_eq!(code, 1, "{findings:#?}");
    assert_eq!(failed(&findings), ["deadlines", "shards", "inventory migrations"]);
    assert_eq!(finding(&findings, "sagas")["verdict"], "warn");
    let told = |finding: &Value| finding["verdict"] == "ok" || finding["fix"].is_string();
    assert!(findings.iter().all(told), "{findings:#?}");
}

#[test]
fn a_service_that_is_away_fails_and_the_others_are_looked_at_all_the_same() {
    let (database, vhost) = (Database::create(), Vhost::create());
    let nowhere = "amqp://skald:s3cret@127.0.0.1:1/%2f".to_owned();
    let (_, findings) = doctor(&Installation::at(database.url().to_owned(), nowhere.clone()), &[]);
    assert_eq!(failed(&findings), ["broker"]);
    assert_eq!(finding(&findings, "orchestrator database")["verdict"], "ok");

    let nowhere = "postgres://skald:s3cret@127.0.0.1:1/skald".to_owned();
    let (code, findings) = doctor(&Installation::at(nowhere, vhost.url().to_owned()), &[]);
    let databases = ["orchestrator database", "inventory database", "notification database"];
    assert_eq!((code, failed(&findings)), (1, databases.to_vec()));
    assert_eq!(finding(&findings, "broker")["verdict"], "ok");
    assert!(!format!("{findings:?}").contains("s3cret"));
}
