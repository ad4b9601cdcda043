//! `skald serve` under load, killed with SIGKILL at random moments and started again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use skald::store::{Stores, sqlite};

use crate::accounts;
use crate::customer::{Log, finish, order_on, stock_up};
use crate::dice::Dice;
use crate::process::Process;
use crate::until::until;

/// Kills that hit sagas under way.
const KILLS: usize = 20;
/// Kills in all; each is under load, so nearly every one hits.
const AT_MOST: usize = 40;
const CUSTOMERS: usize = 16;
const EVENTS: &str = "events.jsonl";
const PRODUCTS: usize = 40;

#[test]
fn nothing_is_lost_or_doubled_however_often_the_server_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::default());
    let mut dice = Dice::new();
    stock_up(serve(folder.path()).address(), PRODUCTS);

    let (mut kills, mut hits) = (0, 0);
    while hits < KILLS {
        assert!(kills < AT_MOST, "only {hits} of {kills} kills found sagas under way");
        kills += 1;
        let server = serve(folder.path());
        under_load(server.address(), &log, || {
            let enough = log.count.load(Ordering::SeqCst) + 5 + dice.below(150);
            until("orders are accepted", || log.count.load(Ordering::SeqCst) >= enough);
            // Anywhere between two commits, not only right after an answer.
            std::thread::sleep(Duration::from_micros(dice.below(20_000) as u64));
            server.kill();
        });
        hits += usize::from(accounts::unfinished(&open(folder.path())) > 0);
    }

    let server = serve(folder.path());
    finish(server.address(), &log, PRODUCTS);
    server.kill();
    let stores = open(folder.path());
    let accepted = log.accepted.lock().unwrap();
    println!("{kills} kills, {hits} with sagas under way, {} orders", accepted.len());
    accounts::every_accepted_order_is_terminal(&stores, &accepted);
    accounts::the_stock_adds_up(&stores);
    accounts::one_notification_for_each_order(&stores, &folder.path().join("mail"));
    assert!(accounts::heard(&folder.path().join(EVENTS)) == accounts::events(&stores));
}

/// Serves from `folder`.
fn serve(folder: &Path) -> Process {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", ".", "--event-log", EVENTS];
    Process::start(Process::command(folder, &arguments), folder.join("log"))
}

/// The stores of a server that does not run any more.
fn open(folder: &Path) -> Stores {
    sqlite::open(folder, sqlite::EMBEDDED_SHARDS).unwrap()
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
