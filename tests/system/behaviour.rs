//! What customers and operators see, the same in both ways to run.

use std::net::SocketAddr;

use serde_json::Value;
use tempfile::TempDir;

use crate::customer::{Answer, Connection, unfinished};
use crate::installation::{Installation, WORKERS};
use crate::process::Process;
use crate::until::until;

/// Runs each test once in one process on files, once in three on PostgreSQL and RabbitMQ.
macro_rules! both_ways {
    ($($name:ident)*) => {
        mod embedded {
            $(#[test] fn $name() { super::$name(&super::World::embedded()); })*
        }
        mod real {
            $(#[test] fn $name() { super::$name(&super::World::real()); })*
        }
    };
}

both_ways! {
    orders_end_with_the_right_outcome_and_everything_adds_up
    a_key_makes_a_submission_safe_to_repeat
    a_cancellation_comes_in_time_or_is_refused
    lists_come_in_pages_and_can_be_filtered
    the_history_of_an_order_can_be_read
}

/// A Skald that takes orders.
struct World {
    address: SocketAddr,
    shards: usize,
    _processes: Vec<Process>,
    _place: (Option<TempDir>, Option<Installation>),
}

impl World {
    fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "."];
        let command = Process::command(folder.path(), &arguments);
        let process = Process::start(command, folder.path().join("log"));
        let (address, _place) = (process.address(), (Some(folder), None));
        Self { address, shards: 1, _processes: vec![process], _place }
    }

    fn real() -> Self {
        let installation = Installation::new().without_bundles();
        let mut processes = vec![installation.orchestrator()];
        let address = processes[0].address();
        processes.extend(WORKERS.map(|kind| installation.worker(kind)));
        Self { address, shards: 64, _processes: processes, _place: (None, Some(installation)) }
    }

    fn connect(&self) -> Connection {
        Connection::open(self.address).unwrap()
    }
}

fn put_on_the_shelf(connection: &mut Connection, product: &str, on_hand: u32) {
    let path = format!("/v1/inventory/products/{product}");
    let body = format!(r#"{{"onHand":{on_hand}}}"#);
    assert_eq!(connection.send("PUT", &path, "", &body).unwrap().0, 200);
}

/// An order of one line.
fn order(user: &str, product: &str, quantity: u32) -> String {
    format!(
        r#"{{"userId":"{user}","email":"{user}@example.org","items":[{{"productId":"{product}","quantity":{quantity},"price":199.90}}]}}"#
    )
}

fn submit(connection: &mut Connection, headers: &str, body: &str) -> Answer {
    connection.ask("POST", "/v1/orders", headers, body).unwrap()
}

/// Submits an order and waits for its outcome.
fn outcome(connection: &mut Connection, body: &str) -> Value {
    let answer = submit(connection, "Prefer: wait=15\r\n", body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.headers["preference-applied"], "wait=15");
    answer.json()
}

fn path_to(order: &Value) -> String {
    format!("/v1/orders/{}", order["orderId"].as_str().unwrap())
}

fn until_all_have_ended(connection: &mut Connection) -> Value {
    until("all sagas have ended", || unfinished(&connection.get("/v1/stats")) == 0);
    connection.get("/v1/stats")
}

fn orders_end_with_the_right_outcome_and_everything_adds_up(world: &World) {
    let connection = &mut world.connect();
    put_on_the_shelf(connection, "harp", 3);
    let confirmed = outcome(connection, &order("ada", "harp", 2));
    assert_eq!(confirmed["status"], "CONFIRMED");
    assert_eq!(confirmed["totalAmount"], 399.80);
    assert!(confirmed.get("reason").is_none());
    let refused = outcome(connection, &order("bob", "harp", 2));
    assert_eq!(refused["status"], "CANCELLED");
    assert_eq!(refused["reason"]["code"], "INSUFFICIENT_STOCK");
    assert_eq!(refused["reason"]["text"], "not enough of harp");
    let unknown = outcome(connection, &order("cy", "lute", 1));
    assert_eq!(unknown["reason"]["code"], "UNKNOWN_PRODUCT");
    let quiet = order("dan", "harp", 1).replace(r#""email":"dan@example.org","#, "");
    assert_eq!(outcome(connection, &quiet)["status"], "CONFIRMED");

    let stats = until_all_have_ended(connection);
    assert_eq!(stats["orders"], serde_json::json!({"CANCELLED":2,"CONFIRMED":2,"PENDING":0}));
    assert_eq!(stats["notifications"], serde_json::json!({"NO_ADDRESS":1,"SENT":3}));
    let reasons = serde_json::json!({"INSUFFICIENT_STOCK":1,"UNKNOWN_PRODUCT":1});
    assert_eq!(stats["cancelledByReason"], reasons);
    let harp = connection.get("/v1/inventory/products/harp");
    let expected = serde_json::json!({"productId":"harp","onHand":3,"reserved":3,"available":0});
    assert_eq!(harp, expected);
    assert_eq!(connection.get(&path_to(&confirmed)), confirmed);
    let less = connection.send("PUT", "/v1/inventory/products/harp", "", r#"{"onHand":2}"#);
    assert_eq!(less.unwrap().0, 409, "what is reserved can't be taken off the shelf");

    let nodes = connection.get("/v1/nodes");
    assert_eq!(nodes["nodes"][0]["shards"].as_array().unwrap().len(), world.shards);
    assert_eq!(connection.send("GET", "/readyz", "", "").unwrap(), (200, "ok".to_owned()));
}

fn a_key_makes_a_submission_safe_to_repeat(world: &World) {
    let connection = &mut world.connect();
    put_on_the_shelf(connection, "harp", 3);
    let key = "Idempotency-Key: \"first\"\r\n";
    let first = submit(connection, key, &order("ada", "harp", 1));
    assert_eq!(first.status, 202);
    assert_eq!(first.headers["location"], path_to(&first.json()));
    assert_eq!(first.json()["status"], "PENDING");
    let again = submit(connection, key, &order("ada", "harp", 1));
    assert_eq!((again.status, again.json()), (202, first.json()));
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = submit(connection, key, &order("ada", "harp", 2));
    assert_eq!((other.status, &other.json()["code"]), (422, &"KEY_REUSED".into()));
    until_all_have_ended(connection);
    let settled = format!("{key}Prefer: wait=1\r\n");
    let settled = submit(connection, &settled, &order("ada", "harp", 1));
    assert_eq!((settled.status, &settled.json()["status"]), (200, &"CONFIRMED".into()));
    assert_eq!(connection.get("/v1/inventory/products/harp")["reserved"], 1);
}

fn a_cancellation_comes_in_time_or_is_refused(world: &World) {
    let connection = &mut world.connect();
    put_on_the_shelf(connection, "harp", 1_000);
    let cancel = |connection: &mut Connection, order: &Value| {
        connection.ask("POST", &format!("{}/cancel", path_to(order)), "", "").unwrap()
    };
    let confirmed = outcome(connection, &order("ada", "harp", 1));
    let answer = cancel(connection, &confirmed);
    assert_eq!((answer.status, &answer.json()["code"]), (409, &"CONFLICT".into()));
    let cancelled = outcome(connection, &order("ada", "lute", 1));
    let answer = cancel(connection, &cancelled);
    assert_eq!((answer.status, &answer.json()["cancellation"]["state"]), (200, &"DONE".into()));

    let mut reserved = 1;
    for n in 0..20 {
        let order = submit(connection, "", &order(&format!("user-{n}"), "harp", 1)).json();
        let answer = cancel(connection, &order);
        until_all_have_ended(connection);
        let order = connection.get(&path_to(&order));
        match answer.status {
            200 => assert_eq!(order["reason"]["code"], "CANCELLED_BY_CUSTOMER", "{order}"),
            409 => assert_eq!(order["status"], "CONFIRMED"),
            202 => assert_ne!(order["status"], "PENDING"),
            status => panic!("{status}: {}", answer.body),
        }
        reserved += u32::from(order["status"] == "CONFIRMED");
    }
    assert_eq!(connection.get("/v1/inventory/products/harp")["reserved"], reserved);
    assert_eq!(until_all_have_ended(connection)["notifications"]["SENT"], 22);
}

fn lists_come_in_pages_and_can_be_filtered(world: &World) {
    let connection = &mut world.connect();
    for product in ["drum", "harp", "lute"] {
        put_on_the_shelf(connection, product, 10);
    }
    let mut expected = Vec::new();
    for n in 0..7 {
        let product = if n % 3 == 0 { "none" } else { "harp" };
        expected.push(outcome(connection, &order(&format!("user-{}", n % 2), product, 1)));
    }
    expected.reverse();
    let ids = |orders: &[Value]| -> Vec<Value> {
        orders.iter().map(|order| order["orderId"].clone()).collect()
    };
    let mut pages = |path: &str, list: &str| {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = connection.get(&format!("{path}limit=2{cursor}"));
            let items = page[list].as_array().unwrap();
            assert!(items.len() <= 2);
            found.extend(items.iter().cloned());
            let Some(next) = page["nextCursor"].as_str() else { return found };
            cursor = format!("&cursor={next}");
        }
    };
    assert_eq!(ids(&pages("/v1/orders?", "orders")), ids(&expected));
    let of = |wanted: &dyn Fn(&Value) -> bool| -> Vec<Value> {
        expected.iter().filter(|order| wanted(order)).cloned().collect()
    };
    let cancelled = pages("/v1/orders?status=CANCELLED&", "orders");
    assert_eq!(ids(&cancelled), ids(&of(&|order| order["status"] == "CANCELLED")));
    let mine = pages("/v1/orders?userId=user-1&", "orders");
    assert_eq!(ids(&mine), ids(&of(&|order| order["userId"] == "user-1")));
    let products = pages("/v1/inventory/products?", "products");
    let names: Vec<_> = products.iter().map(|product| &product["productId"]).collect();
    assert_eq!(names, ["drum", "harp", "lute"]);
    let sagas: Vec<_> =
        pages("/v1/sagas?", "sagas").iter().map(|saga| saga["sagaId"].clone()).collect();
    assert_eq!(sagas, expected.iter().map(|o| o["sagaId"].clone()).collect::<Vec<_>>());
    let nobody = "/v1/orders/01890a5d-ac96-774b-bcce-b302099a8057";
    assert_eq!(world.connect().send("GET", nobody, "", "").unwrap().0, 404);
}

fn the_history_of_an_order_can_be_read(world: &World) {
    let connection = &mut world.connect();
    put_on_the_shelf(connection, "harp", 1);
    let confirmed = outcome(connection, &order("ada", "harp", 1));
    let cancelled = outcome(connection, &order("ada", "harp", 1));
    until_all_have_ended(connection);
    let mut story = |order: &Value| -> (Value, Vec<String>) {
        let path = format!("/v1/sagas/{}", order["sagaId"].as_str().unwrap());
        let saga = connection.get(&path);
        let history = connection.get(&format!("{path}/history"));
        let events = history["events"].as_array().unwrap();
        let sequences: Vec<_> = events.iter().map(|e| e["sequence"].as_u64().unwrap()).collect();
        assert_eq!(sequences, (1..=events.len() as u64).collect::<Vec<_>>());
        assert_eq!(saga["version"], events.len());
        let types = events.iter().map(|event| event["type"].as_str().unwrap().to_owned());
        (saga["status"].clone(), types.collect())
    };
    let (status, types) = story(&confirmed);
    assert_eq!(status, "COMPLETED");
    let asked_and_done = ["STEP_ASKED", "STEP_SUCCEEDED"];
    let expected = [
        &["SAGA_STARTED"][..],
        &asked_and_done,
        &["STEP_SUCCEEDED"],
        &asked_and_done,
        &["SAGA_COMPLETED"],
    ];
    assert_eq!(types, expected.concat());
    let (status, types) = story(&cancelled);
    assert_eq!(status, "CANCELLED");
    let ends = [types.first().unwrap().as_str(), types.last().unwrap()];
    assert_eq!(ends, ["SAGA_STARTED", "SAGA_CANCELLED"]);
    for expected in ["STEP_FAILED", "ROLLBACK_STARTED", "ROLLED_BACK"] {
        assert!(types.iter().any(|found| found == expected), "{expected} in {types:?}");
    }
}
