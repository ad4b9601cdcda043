//! `skald serve` under load, killed with SIGKILL at random moments and started again.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use skald::saga::state::SagaStatus;
use skald::store::sqlite;

use crate::accounts::{self, Source};
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
        hits += usize::from(unfinished(folder.path()) > 0);
    }

    let server = serve(folder.path());
    finish(server.address(), &log, PRODUCTS);
    server.kill();
    println!("{kills} kills, {hits} with sagas under way");
    let source = Source::Files(folder.path().to_owned());
    let (mail, events) = (folder.path().join("mail"), folder.path().join(EVENTS));
    accounts::all_is_well(&source, &log, &mail, Some(&events));
}

/// Serves from `folder`.
fn serve(folder: &Path) -> Process {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", ".", "--event-log", EVENTS];
    Process::start(Process::command(folder, &arguments), folder.join("log"))
}

/// How many sagas have not ended, by the files of a server that does not run any more.
fn unfinished(folder: &Path) -> u64 {
    let stores = sqlite::open(folder, sqlite::EMBEDDED_SHARDS).unwrap();
    let ended = [SagaStatus::Completed, SagaStatus::Cancelled];
    let counts = stores.queries.counts().unwrap().sagas;
    counts.into_iter().filter(|(status, _)| !ended.contains(status)).map(|(_, count)| count).sum()
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
