//! Services that are not there, at the start and later.

use std::process::Stdio;

use crate::accounts::{self, Books, heard_in};
use crate::customer::{Answer, Connection};
use crate::installation::{Installation, WORKERS, together};
use crate::ports::free_port;
use crate::postgres_server::{PASSWORD, PrivateServer, TestDatabase};
use crate::process::Process;
use crate::rabbitmq::Broker;
use crate::stack::{Database, Vhost};
use crate::until::until;

const WRONG: &str = "wr0ng-s3cret";

/// An address that nobody listens on.
fn nowhere() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// A URL with another password or another place.
fn altered(url: &str, password: Option<&str>, place: Option<&str>) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (login, rest) = rest.rsplit_once('@').unwrap();
    let (user, right) = login.split_once(':').unwrap();
    let (there, path) = rest.split_once('/').unwrap();
    format!("{scheme}://{user}:{}@{}/{path}", password.unwrap_or(right), place.unwrap_or(there))
}

fn password_of(url: &str) -> &str {
    url.rsplit_once('@').unwrap().0.rsplit_once(':').unwrap().1
}

/// What a program that can't start says.
fn refusal(installation: &Installation, arguments: &[&str]) -> String {
    let mut command = installation.command(arguments);
    command.env("SKALD_LOG_FORMAT", "text");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(output.stdout.is_empty());
    told
}

#[test]
fn a_service_that_is_missing_at_the_start_is_named_with_what_to_do() {
    let (database, vhost) = (Database::create(), Vhost::create());
    let (store, bus) = (database.url(), vhost.url());
    let [no_store, no_bus] = [nowhere(), nowhere()];
    let cases = [
        (altered(store, None, Some(&no_store)), bus.to_owned(), "PostgreSQL", no_store.as_str()),
        (altered(store, Some(WRONG), None), bus.to_owned(), "PostgreSQL", "password"),
        (store.to_owned(), altered(bus, None, Some(&no_bus)), "RabbitMQ", no_bus.as_str()),
        (store.to_owned(), altered(bus, Some(WRONG), None), "RabbitMQ", "password"),
    ];
    for (store, bus, service, detail) in &cases {
        let installation = Installation::at(store.clone(), bus.clone());
        let serve = ["serve", "--workers", "none", "--listen", "127.0.0.1:0"];
        for arguments in [&serve[..], &["worker", "inventory"], &["worker", "notification"]] {
            let told = refusal(&installation, arguments);
            assert!(told.contains("error[") && told.contains("check that"), "{told}");
            assert!(told.contains(service) && told.contains(detail), "{service}, {detail}: {told}");
            for secret in [password_of(store), password_of(bus), WRONG] {
                assert!(!told.contains(secret), "a secret is told: {told}");
            }
        }
    }
}

#[test]
fn a_service_that_goes_away_is_told_and_what_waited_goes_on_once_it_is_back() {
    let (mut server, mut broker) = together_with_broker();
    let database = TestDatabase::on(&server.url("postgres"));
    let installation = Installation::at(database.url(), broker.url());
    let orchestrator = installation.orchestrator_with(&["--event-log", "events"]);
    let workers = together(2, |n| installation.worker(WORKERS[n]));
    broker.write_down_names();
    let mut connection = Connection::open(orchestrator.address()).unwrap();
    let shelf = "/v1/inventory/products/harp";
    assert_eq!(connection.send("PUT", shelf, "", r#"{"onHand":9}"#).unwrap().0, 200);
    let first = order(&mut connection, "first", "Prefer: wait=15\r\n");
    assert_eq!(first.status, 200, "{}", first.body);

    broker.kill();
    until_ready_is(&mut connection, 503, "[-]bus failed");
    // Orders are only written down; what they ask goes out later.
    let second = order(&mut connection, "second", "");
    assert_eq!(second.status, 202, "{}", second.body);
    let path = second.headers["location"].clone();
    assert_eq!(connection.get(&path)["status"], "PENDING");
    broker.boot();
    until("the order is confirmed", || connection.get(&path)["status"] == "CONFIRMED");
    until_ready_is(&mut connection, 200, "ok");
    let told = |connection: &mut Connection, count: u64| {
        until("every customer is told", || {
            connection.get("/v1/stats")["notifications"]["SENT"] == count
        });
    };
    told(&mut connection, 2);

    server.stop();
    let refused = order(&mut connection, "third", "");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(refused.headers["retry-after"].parse::<u32>().unwrap() > 0);
    let code = refused.json()["code"].as_str().unwrap().to_owned();
    assert!(["STORE_UNAVAILABLE", "OUTCOME_UNKNOWN"].contains(&code.as_str()), "{code}");
    assert!(!refused.body.contains(PASSWORD));
    until_ready_is(&mut connection, 503, "[-]store failed");
    // What a settled order came to is remembered.
    assert_eq!(connection.get(&path)["status"], "CONFIRMED");
    for path in [path.as_str(), "/v1/stats", shelf] {
        let answer = connection.ask("GET", path, "Cache-Control: no-cache\r\n", "").unwrap();
        assert_eq!(answer.status, 503, "{path}: {}", answer.body);
        assert!(answer.headers["retry-after"].parse::<u32>().unwrap() > 0, "{path}");
        assert_eq!(answer.json()["code"], "STORE_UNAVAILABLE");
    }
    assert_eq!(connection.send("GET", "/livez", "", "").unwrap().0, 200);
    server.go_on();
    until_ready_is(&mut connection, 200, "ok");
    until("the order can be repeated", || {
        let answer = order(&mut connection, "third", "Prefer: wait=15\r\n");
        assert!([200, 202, 409, 503].contains(&answer.status), "{}", answer.body);
        answer.status == 200 && answer.json()["status"] == "CONFIRMED"
    });
    told(&mut connection, 3);
    assert_eq!(connection.get(shelf)["reserved"], 3);
    let expected = accounts::expected(&Books::read(&installation.source(), None));
    let file = installation.folder().join("events");
    until("every event is logged", || heard_in(&file).into_keys().eq(expected.iter().cloned()));
    for process in workers.iter().chain([&orchestrator]) {
        for line in process.log() {
            assert!(!line.to_string().contains(PASSWORD), "{line}");
        }
    }
    workers.into_iter().chain([orchestrator]).for_each(|process| {
        assert!(Process::stop(process).success());
    });
}

/// A server and a broker, started side by side.
fn together_with_broker() -> (PrivateServer, Broker) {
    std::thread::scope(|scope| {
        let broker = scope.spawn(Broker::start);
        (PrivateServer::start(), broker.join().unwrap())
    })
}

fn order(connection: &mut Connection, key: &str, headers: &str) -> Answer {
    let body = r#"{"userId":"u","email":"u@example.org","items":[{"productId":"harp","quantity":1,"price":1}]}"#;
    let headers = format!("Idempotency-Key: \"{key}\"\r\n{headers}");
    connection.ask("POST", "/v1/orders", &headers, body).unwrap()
}

fn until_ready_is(connection: &mut Connection, status: u16, text: &str) {
    until(&format!("/readyz is {status} with {text}"), || {
        let (found, told) = connection.send("GET", "/readyz", "", "").unwrap();
        assert!(!told.contains(PASSWORD), "{told}");
        found == status && told.contains(text)
    });
}
