//! Redis, which is expendable: it dies, hangs, forgets and lies in the middle of a run, and no outcome
//! changes.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::customer::{Connection, Log, finish, stock_up};
use crate::installation::{Installation, together, until_shared};
use crate::many::{everything_adds_up, under_load, workers};
use crate::process::Process;
use crate::redis_server::{PASSWORD, PrivateRedis};
use crate::until::{PATIENCE, until};

/// So few that workers get into each other's way all the time.
const PRODUCTS: usize = 5;

fn ready(node: SocketAddr) -> String {
    // On a busy machine something that is needed may be late.
    let (_, told) = Connection::open(node).unwrap().send("GET", "/readyz?verbose", "", "").unwrap();
    assert!(!told.contains(PASSWORD));
    told
}

/// Waits until a node has taken over its share.
fn until_ready(node: SocketAddr) {
    until("the node is ready", || ready(node).ends_with("readyz check passed\n"));
}

fn metrics(node: SocketAddr) -> String {
    Connection::open(node).unwrap().send("GET", "/metrics", "", "").unwrap().1
}

fn until_redis_is(node: SocketAddr, line: &str) {
    until(line, || ready(node).contains(line));
}

/// Whatever Skald has there, and may look for there, is something else now.
fn fill_with_nonsense(redis: &PrivateRedis) {
    // Skald writes there meanwhile.
    let run = |command: &[&str]| drop(redis.attempt::<redis::Value>(command));
    let kept = redis.keys("skald:cache:*");
    // Each says what another one said.
    for pair in kept.chunks_exact(2) {
        if let Ok(Some(value)) = redis.attempt::<Option<String>>(&["GET", &pair[0]]) {
            run(&["SET", &pair[1], &value]);
        }
    }
    for (n, key) in kept.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        match n % 2 {
            0 => run(&["SET", key, "\u{0}\u{1}nonsense"]),
            _ => {
                run(&["DEL", key]);
                run(&["RPUSH", key, "a", "list"]);
            }
        }
    }
    for product in 0..PRODUCTS {
        let key = format!("skald:{{lock}}:p{product}");
        run(&["DEL", &key]);
        match product % 2 {
            0 => run(&["SET", &key, "for ever mine"]),
            _ => run(&["HSET", &key, "a", "hash"]),
        }
    }
    for message in ["", "nonsense", r#"{"from":"x"}"#, &"[".repeat(70_000)] {
        run(&["PUBLISH", "skald:0:moved", message]);
    }
    for _ in 0..100 {
        let lie = format!(
            r#"{{"from":"{}","moved":["{}"]}}"#,
            uuid::Uuid::new_v4(),
            uuid::Uuid::now_v7()
        );
        run(&["PUBLISH", "skald:0:moved", &lie]);
    }
}

#[test]
fn redis_dies_hangs_forgets_and_lies_and_no_outcome_changes() {
    let mut redis = PrivateRedis::start();
    let installation = Installation::new().with_redis(redis.url());
    let orchestrators = together(2, |_| installation.orchestrator());
    let all: Vec<_> = orchestrators.iter().map(Process::address).collect();
    let workers = workers(&installation);
    until_shared(all[0], &[32, 32]);
    all.iter().for_each(|node| until_ready(*node));
    all.iter().for_each(|node| until_redis_is(*node, "[+]redis ok"));
    stock_up(all[0], PRODUCTS);
    let log = Arc::new(Log::default());
    let nodes = Mutex::new(all.clone());
    let some_more = || {
        let enough = log.count.load(Ordering::SeqCst) + 150;
        until("orders are accepted", || log.count.load(Ordering::SeqCst) >= enough);
    };
    under_load(&nodes, &log, PRODUCTS, || {
        some_more();
        for _ in 0..5 {
            fill_with_nonsense(&redis);
            some_more();
        }
        redis.run::<String>(&["FLUSHALL"]);
        some_more();
        redis.signal("STOP");
        some_more();
        until_redis_is(all[0], "[~]redis away, not needed: ");
        redis.signal("CONT");
        some_more();
        redis.kill();
        some_more();
        until_redis_is(all[1], "[~]redis away, not needed: ");
        redis.go_on();
        fill_with_nonsense(&redis);
        some_more();
        all.iter().for_each(|node| until_redis_is(*node, "[+]redis ok"));
        until("products are locked again", || {
            redis.run::<String>(&["INFO", "commandstats"]).contains("cmdstat_eval:")
        });
        some_more();
    });
    finish(all[0], &log, PRODUCTS);
    let told = metrics(all[0]);
    for series in [
        "skald_redis_available 1\n",
        "skald_redis_calls_total{call=\"get\",outcome=\"answered\"}",
        "skald_redis_calls_total{call=\"get\",outcome=\"skipped\"}",
        "skald_redis_call_duration_seconds_count{call=\"publish\"}",
    ] {
        assert!(told.contains(series), "{series} in {told}");
    }
    everything_adds_up(&installation, &log);
    for process in workers.iter().chain(&orchestrators) {
        for line in process.log() {
            assert!(!line.to_string().contains(PASSWORD), "{line}");
            assert_ne!(line["message"], "a saga needs attention");
        }
    }
}

#[test]
fn all_goes_well_where_redis_never_was() {
    let mut redis = PrivateRedis::start();
    let url = redis.url();
    redis.kill();
    let installation = Installation::new().with_redis(url);
    let orchestrator = installation.orchestrator();
    let workers = workers(&installation);
    let node = orchestrator.address();
    until_redis_is(node, "[~]redis away, not needed: ");
    stock_up(node, PRODUCTS);
    let log = Arc::new(Log::default());
    under_load(&Mutex::new(vec![node]), &log, PRODUCTS, || {
        until("orders are accepted", || log.count.load(Ordering::SeqCst) >= 300);
    });
    finish(node, &log, PRODUCTS);
    everything_adds_up(&installation, &log);
    let warns = |line: &Value| {
        line["level"] == "WARN"
            && line["message"] == "Redis can't be reached; all goes on without it"
    };
    assert!(orchestrator.log().iter().any(warns));
    drop(workers);
}

/// Reads a stream on a thread of its own; the ids of its events, as they come.
fn follow(node: SocketAddr, path: &str) -> mpsc::Receiver<u64> {
    let (found, ids) = mpsc::channel();
    let mut stream = TcpStream::connect(node).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {node}\r\n\r\n").unwrap();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            let id = line.strip_prefix("id: ").map(|id| id.parse().unwrap());
            if id.is_some_and(|id| found.send(id).is_err()) {
                return;
            }
        }
    });
    ids
}

/// Nodes show what happens at others, whether they hear of it or have to look.
fn views_follow_sagas_of_other_nodes(installation: &Installation) {
    let orchestrators = together(2, |_| installation.orchestrator());
    let nodes: Vec<_> = orchestrators.iter().map(Process::address).collect();
    until_shared(nodes[0], &[32, 32]);
    nodes.iter().for_each(|node| until_ready(*node));
    stock_up(nodes[0], PRODUCTS);
    let list = follow(nodes[0], "/v1/sagas/events");
    assert_eq!(list.recv_timeout(PATIENCE), Ok(0));
    let body = r#"{"userId":"u","items":[{"productId":"p1","quantity":1,"price":1}]}"#;
    let accepted = Connection::open(nodes[1]).unwrap().ask("POST", "/v1/orders", "", body).unwrap();
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let saga = accepted.json()["sagaId"].as_str().unwrap().to_owned();
    let ids = follow(nodes[0], &format!("/v1/sagas/{saga}/events?after=2"));
    assert!(list.recv_timeout(PATIENCE).unwrap() >= 2, "the list has heard of it");
    let _workers = workers(installation);
    let mut last = 2;
    loop {
        let id = ids.recv_timeout(PATIENCE).unwrap();
        assert_eq!(id, last + 1, "in order, without gaps");
        last = id;
        let saga = Connection::open(nodes[1]).unwrap().get(&format!("/v1/sagas/{saga}"));
        if saga["status"] == "COMPLETED" && saga["version"] == last {
            break;
        }
    }
    for orchestrator in orchestrators {
        assert!(orchestrator.stop().success());
    }
}

#[test]
fn views_follow_sagas_of_other_nodes_over_redis() {
    let redis = PrivateRedis::start();
    views_follow_sagas_of_other_nodes(&Installation::new().with_redis(redis.url()));
    let stats: String = redis.run(&["INFO", "commandstats"]);
    assert!(stats.contains("cmdstat_publish:"), "{stats}");
}

#[test]
fn views_follow_sagas_of_other_nodes_without_redis() {
    views_follow_sagas_of_other_nodes(&Installation::new());
}

#[test]
fn redis_behind_tls_is_used_only_if_somebody_vouches_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let [pem, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    std::fs::write(&pem, certificate.cert.pem()).unwrap();
    std::fs::write(&key, certificate.signing_key.serialize_pem()).unwrap();
    let redis = PrivateRedis::with_tls(&pem, &key);
    let url = redis.url().replace("127.0.0.1", "localhost");
    let serve = |name: &str, trusted: bool| {
        let data = folder.path().join(name);
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
        let mut command = Process::command(folder.path(), &arguments);
        command.env("SKALD_REDIS_URL", &url);
        if trusted {
            command.env("SSL_CERT_FILE", &pem);
        }
        Process::start(command, folder.path().join(format!("{name}.log")))
    };
    let (trusting, wary) = (serve("trusting", true), serve("wary", false));
    until_redis_is(trusting.address(), "[+]redis ok");
    until("nobody is trusted", || ready(wary.address()).to_lowercase().contains("certificate"));
}
