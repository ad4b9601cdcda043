//! Three orchestrators and four workers: the same outcomes as one of each, also where nodes go.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::accounts;
use crate::customer::{Connection, Log, finish, one_of, order_anywhere, stock_up};
use crate::installation::{Installation, WORKERS, shares, together, until_shared};
use crate::process::Process;
use crate::until::{until, within};

const PRODUCTS: usize = 40;
const CUSTOMERS: usize = 6;
/// As short as it may be.
const LEASE: Duration = Duration::from_secs(15);

/// Two workers of each kind.
pub fn workers(installation: &Installation) -> Vec<Process> {
    together(4, |n| installation.worker(WORKERS[n % 2]))
}

/// Has customers order from all `nodes` while `during` runs, and a canceller and readers beside them
/// that go to whichever node.
pub fn under_load(
    nodes: &Mutex<Vec<SocketAddr>>,
    log: &Log,
    products: usize,
    during: impl FnOnce(),
) {
    log.go_on();
    std::thread::scope(|scope| {
        for first in 0..CUSTOMERS {
            scope.spawn(move || order_anywhere(nodes, first, log, products));
        }
        scope.spawn(|| look_on(nodes, log));
        scope.spawn(|| read_along(nodes, log));
        // Also if something goes wrong, or the customers would order for ever.
        let _stop = log.stopping();
        during();
    });
}

/// Reads and cancels every tenth order through another node than the one before.
fn look_on(nodes: &Mutex<Vec<SocketAddr>>, log: &Log) {
    for turn in 0.. {
        let Some(found) = log.nth_accepted(10 * turn) else { return };
        let connection = one_of(nodes, turn).map(Connection::open);
        let Some(Ok(mut connection)) = connection else { continue };
        let path = format!("/v1/orders/{found}");
        let Ok(answer) = connection.ask("POST", &format!("{path}/cancel"), "", "") else {
            continue;
        };
        let order = connection.ask("GET", &path, "", "");
        match (answer.status, order.map(|answer| (answer.status, answer.body))) {
            (200, _) => log.promise(found, "CANCELLED", "was promised to be cancelled"),
            // 408: a node that was suspended found the request too late, and did nothing.
            (202 | 408 | 503, _) | (409, Err(_) | Ok((408 | 503, _))) => {}
            (409, Ok((200, order))) => {
                assert!(order.contains(r#""CONFIRMED""#), "{order}");
                log.promise(found, "CONFIRMED", "was refused to be cancelled");
            }
            (status, order) => panic!("{status}: {} {order:?}", answer.body),
        }
    }
}

/// Reads the sagas of some orders at one node and the next, a few times each: what is shown is never older
/// than what was shown before, and no outcome changes.
fn read_along(nodes: &Mutex<Vec<SocketAddr>>, log: &Log) {
    for turn in 0.. {
        let Some(found) = log.nth_accepted(7 * turn) else { return };
        let (mut saga, mut newest) = (None, 0);
        for visit in 0..9 {
            let Some(Ok(mut connection)) = one_of(nodes, turn + visit).map(Connection::open) else {
                continue;
            };
            let path = match &saga {
                None => format!("/v1/orders/{found}"),
                Some(saga) => format!("/v1/sagas/{saga}"),
            };
            let Ok(answer) = connection.ask("GET", &path, "", "") else { continue };
            if answer.status != 200 {
                continue;
            }
            let Some(etag) = answer.headers.get("etag").filter(|_| saga.is_some()) else {
                saga = answer.json()["sagaId"].as_str().map(str::to_owned);
                continue;
            };
            let version: u64 = etag.trim_matches('"').parse().unwrap();
            assert!(version >= newest, "{found} was at {newest} and is shown at {version}");
            newest = version;
            match answer.json()["status"].as_str() {
                Some("COMPLETED") => log.promise(found, "CONFIRMED", "was shown as completed"),
                Some("CANCELLED") => log.promise(found, "CANCELLED", "was shown as cancelled"),
                _ => continue,
            }
            break;
        }
    }
}

pub fn everything_adds_up(installation: &Installation, log: &Log) {
    println!("{} promises", log.promises().len());
    accounts::all_is_well(&installation.source(), log, &installation.mail(), None);
}

#[test]
fn many_processes_come_to_the_same_outcomes_as_one() {
    let installation = Installation::new();
    let orchestrators = together(3, |_| installation.orchestrator());
    let nodes: Vec<_> = orchestrators.iter().map(Process::address).collect();
    let _workers = workers(&installation);
    until_shared(nodes[0], &[21, 21, 22]);
    stock_up(nodes[0], PRODUCTS);
    let log = Arc::new(Log::default());
    let nodes = Mutex::new(nodes);
    under_load(&nodes, &log, PRODUCTS, || {
        until("orders are accepted", || log.count.load(Ordering::SeqCst) >= 400);
    });
    let nodes = nodes.into_inner().unwrap();
    finish(nodes[0], &log, PRODUCTS);
    everything_adds_up(&installation, &log);
    for node in nodes {
        assert_eq!(shares(node), Some(vec![21, 21, 22]));
        let (status, told) =
            Connection::open(node).unwrap().send("GET", "/readyz", "", "").unwrap();
        assert_eq!(status, 200, "{told}");
    }
}

#[test]
fn nodes_take_over_from_those_that_die_hang_or_leave() {
    let installation = Installation::new();
    let mut orchestrators = together(3, |_| installation.orchestrator());
    let nodes = Mutex::new(orchestrators.iter().map(Process::address).collect::<Vec<_>>());
    let _workers = workers(&installation);
    let all = nodes.lock().unwrap().clone();
    let [stays, hangs, _] = all[..] else { panic!("{all:?}") };
    until_shared(stays, &[21, 21, 22]);
    stock_up(stays, PRODUCTS);
    let log = Arc::new(Log::default());
    let accepted = AtomicUsize::new(0);
    let some_more = || {
        let enough = accepted.load(Ordering::SeqCst) + 100;
        until("orders are accepted", || log.count.load(Ordering::SeqCst) >= enough);
        accepted.store(log.count.load(Ordering::SeqCst), Ordering::SeqCst);
    };
    under_load(&nodes, &log, PRODUCTS, || {
        some_more();
        nodes.lock().unwrap().truncate(1);
        orchestrators.pop().unwrap().kill();
        orchestrators[1].signal("STOP");
        let took = within(2 * LEASE, "one node has all shards", || shares(stays) == Some(vec![64]));
        println!("taken over after {took:?}");
        some_more();
        // It finds its leases lost, touches nothing of theirs, and gets a share anew.
        orchestrators[1].signal("CONT");
        until_shared(stays, &[32, 32]);
        nodes.lock().unwrap().push(hangs);
        some_more();
        // Handed over at once, not when the leases run out.
        nodes.lock().unwrap().remove(0);
        let status = orchestrators.remove(0).stop();
        assert!(status.success(), "{status}");
        let took =
            within(LEASE * 2 / 3, "the other has all shards", || shares(hangs) == Some(vec![64]));
        println!("handed over after {took:?}");
        some_more();
    });
    finish(hangs, &log, PRODUCTS);
    everything_adds_up(&installation, &log);
    let complaints = |line: &Value| line["message"] == "a saga needs attention";
    assert!(!orchestrators[0].log().iter().any(complaints));
}
