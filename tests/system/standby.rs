//! A PostgreSQL with a synchronous standby, which takes over when the primary dies.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection;

use crate::accounts;
use crate::customer::{Log, finish, order_anywhere, stock_up};
use crate::installation::{Installation, together};
use crate::pauses::Pauses;
use crate::postgres_server::{PASSWORD, PrivateServer, connect};
use crate::process::Process;
use crate::stack::Vhost;
use crate::until::{PATIENCE, until};

const CUSTOMERS: usize = 4;
const PRODUCTS: usize = 40;
const SOME: usize = 100;

#[test]
fn nothing_accepted_is_lost_when_a_synchronous_standby_takes_over() {
    let mut primary = PrivateServer::start();
    let standby = primary.with_standby();
    let mut anywhere = connect(&primary.url("postgres"));
    // The standby is asked first, and has to know the database to say that it is no primary.
    anywhere.batch_execute("SET synchronous_commit = remote_apply").unwrap();
    anywhere.batch_execute("CREATE DATABASE shop").unwrap();
    // Whichever comes first, the primary is found.
    let places = format!("{},{}", standby.place(), primary.place());
    let store = format!("postgres://postgres:{PASSWORD}@{places}/shop?sslmode=disable");
    let vhost = Vhost::create();
    let installation = Installation::at(store, vhost.url().to_owned());
    let orchestrators = together(2, |_| installation.orchestrator());
    let _reserving = together(2, |_| installation.worker("inventory"));
    let nodes = Mutex::new(orchestrators.iter().map(Process::address).collect::<Vec<_>>());
    stock_up(orchestrators[0].address(), PRODUCTS);

    let log = Log::of_slow_customers(Duration::from_millis(25));
    let count = || log.count.load(Ordering::SeqCst);
    let some_more = || {
        let enough = count() + SOME;
        until("orders are accepted", || count() >= enough);
    };
    let longest = thread::scope(|scope| {
        for first in 0..CUSTOMERS {
            let (nodes, log) = (&nodes, &log);
            scope.spawn(move || order_anywhere(nodes, first, log, PRODUCTS));
        }
        // Also if something goes wrong, or the customers would order for ever.
        let _stop = log.stopping();
        let pauses = Pauses::watch(scope, count);
        some_more();
        // What is committed from now on is nowhere else, and nobody may be told of it.
        primary.suspend_senders();
        until("a COMMIT waits", || primary.commits_that_wait() > 0);
        let answered = count();
        until("every writer waits", || primary.commits_that_wait() >= 3);
        println!("{} answers while the standby took nothing", count() - answered);
        primary.kill();
        standby.promote();
        some_more();
        pauses.longest()
    });

    // Not before: a mail that is in hand when its store goes stays claimed for ten seconds.
    let _notifying = installation.worker("notification");
    finish(orchestrators[0].address(), &log, PRODUCTS);
    println!("{longest:?} without an order at most");
    assert!(longest < PATIENCE);
    accounts::all_is_well(&installation.source(), &log, &installation.mail(), None);
}
