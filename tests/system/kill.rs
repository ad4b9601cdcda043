//! `skald serve` under load, killed with SIGKILL at random moments and started again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::accounts;
use crate::customer::{Connection, Log, order_on};
use crate::server::Server;

/// Kills that hit sagas under way.
const KILLS: usize = 20;
/// Kills in all; each is under load, so nearly every one hits.
const AT_MOST: usize = 40;
const CUSTOMERS: usize = 16;
const PRODUCTS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn nothing_is_lost_or_doubled_however_often_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::default());
    let mut dice = Dice(seed());
    stock_up(folder.path());

    let (mut kills, mut hits) = (0, 0);
    while hits < KILLS {
        assert!(kills < AT_MOST, "only {hits} of {kills} kills found sagas under way");
        kills += 1;
        let server = Server::start(folder.path());
        under_load(server.address, &log, || {
            let enough = log.count.load(Ordering::SeqCst) + 5 + dice.below(150);
            until("orders are accepted", || log.count.load(Ordering::SeqCst) >= enough);
            // Anywhere between two commits, not only right after an answer.
            std::thread::sleep(Duration::from_micros(dice.below(20_000) as u64));
            server.kill();
        });
        hits += usize::from(accounts::unfinished(&accounts::open(folder.path())) > 0);
    }

    finish(folder.path(), &log);
    let stores = accounts::open(folder.path());
    let accepted = log.accepted.lock().unwrap();
    println!("{kills} kills, {hits} with sagas under way, {} orders", accepted.len());
    accounts::every_accepted_order_is_terminal(&stores, &accepted);
    accounts::the_stock_adds_up(&stores);
    accounts::one_notification_for_each_order(&stores, folder.path());
    accounts::every_event_was_heard(&stores, folder.path());
}

/// Puts goods on the shelves: enough of most, too little of some.
fn stock_up(folder: &Path) {
    let server = Server::start(folder);
    let mut connection = Connection::open(server.address).unwrap();
    for product in 0..PRODUCTS {
        let on_hand = if product % 8 == 0 { 20 } else { 1_000_000 };
        let path = format!("/v1/inventory/products/p{product}");
        let (status, body) =
            connection.send("PUT", &path, "", &format!(r#"{{"onHand":{on_hand}}}"#)).unwrap();
        assert!(status < 300, "{status}: {body}");
    }
}

/// Has customers order while `during` runs, which ends the server.
fn under_load(address: SocketAddr, log: &Arc<Log>, during: impl FnOnce()) {
    std::thread::scope(|scope| {
        for _ in 0..CUSTOMERS {
            scope.spawn(|| order_on(address, log, PRODUCTS));
        }
        during();
    });
}

/// Asks again for every order whose answer never came, and waits until all sagas have ended and
/// every event was heard.
fn finish(folder: &Path, log: &Arc<Log>) {
    let server = Server::start(folder);
    std::thread::scope(|scope| {
        scope.spawn(|| order_on(server.address, log, PRODUCTS));
        until("no order's fate is unknown", || log.unknown() == 0);
        log.stop();
    });
    log.go_on();
    let mut connection = Connection::open(server.address).unwrap();
    until("all sagas have ended", || {
        let stats = connection.get("/v1/stats");
        let unfinished = ["RUNNING", "ROLLING_BACK", "NEEDS_ATTENTION"];
        unfinished.iter().all(|status| stats["sagas"][status].as_u64().unwrap_or(0) == 0)
    });
    until("every event is confirmed", || connection.get("/v1/stats")["lag"]["events"] == 0);
}

fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < patience, "still waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Random enough for moments; printed, though moments on a real machine do not repeat.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        // xorshift64 (Marsaglia 2003)
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

fn seed() -> u64 {
    let seed = std::process::id().into();
    println!("seed {seed}");
    seed
}
