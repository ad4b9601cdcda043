//! Mails over SMTP, and a mail server that is away.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::accounts::{self, Outside};
use crate::customer::{Connection, Log, finish, order_on, stock_up};
use crate::installation::Installation;
use crate::process::Process;
use crate::smtp_sink::{Manner, Protection, Sink};
use crate::until::until;

const PRODUCTS: usize = 40;
const CUSTOMERS: usize = 4;

/// Has a process send its mails to `sink`.
fn over_smtp(mut command: Command, sink: &Sink) -> Command {
    command.env("SKALD_MAIL_URL", sink.url()).env("SKALD_MAIL_FROM", "orders@example.org");
    command
}

/// Serves from `folder`, which holds all its data.
fn serve(folder: &Path, sink: &Sink) -> Process {
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "."];
    let command = over_smtp(Process::command(folder, &arguments), sink);
    Process::start(command, folder.join("log"))
}

fn order(node: SocketAddr) {
    let mut connection = Connection::open(node).unwrap();
    let body = r#"{"userId":"u","email":"u@example.org","items":[{"productId":"p1","quantity":1,"price":1}]}"#;
    let answer = connection.ask("POST", "/v1/orders", "Prefer: wait=15\r\n", body).unwrap();
    assert_eq!(answer.json()["status"], "CONFIRMED", "{}", answer.body);
}

fn until_told(node: SocketAddr, customers: u64) {
    let mut connection = Connection::open(node).unwrap();
    until("every customer is told", || {
        connection.get("/v1/stats")["notifications"]["SENT"] == customers
    });
}

#[test]
fn every_mail_reaches_a_server_that_dies_and_comes_back() {
    let sink = Sink::start(Protection::None);
    let installation = Installation::new();
    let orchestrator = installation.orchestrator();
    let _inventory = installation.worker("inventory");
    let command = over_smtp(installation.command(&["worker", "notification"]), &sink);
    let mailing = installation.start(command, "notification");
    let node = orchestrator.address();
    stock_up(node, PRODUCTS);
    let log = Arc::new(Log::default());
    std::thread::scope(|scope| {
        for _ in 0..CUSTOMERS {
            scope.spawn(|| order_on(node, &log, PRODUCTS));
        }
        let some_more = || {
            let enough = log.count.load(Ordering::SeqCst) + 50;
            until("orders are accepted", || log.count.load(Ordering::SeqCst) >= enough);
        };
        until("mails are sent", || sink.taken().len() >= 20);
        // Some are taken, and nobody hears of it.
        sink.at("TAKEN", 3, Manner::Drops);
        some_more();
        sink.close();
        some_more();
        sink.open();
        some_more();
        log.stop();
    });
    finish(node, &log, PRODUCTS);

    let mails = sink.mails();
    let (taken, told) = (mails.values().sum::<usize>(), mails.len());
    let outside = Outside { log: &log, first: 0, mails, heard: None };
    accounts::everything_adds_up(&installation.source(), &outside);
    assert!(taken >= told + 3, "what was taken unheard was sent again");
    println!("{told} orders, {taken} mails");
    let is_put_off = "mails were not sent and are tried again";
    assert!(mailing.log().iter().any(|line| line["message"] == is_put_off));
}

#[test]
fn who_is_killed_between_sending_and_recording_sends_again_under_the_same_message_id() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start(Protection::None));
    let server = serve(folder.path(), &sink);
    stock_up(server.address(), PRODUCTS);
    sink.at("TAKEN", 1, Manner::Hangs);
    order(server.address());
    until("the mail is taken", || sink.taken().len() == 1);
    server.kill();

    let server = serve(folder.path(), &sink);
    until_told(server.address(), 1);
    let taken = sink.taken();
    assert!(taken.len() == 2 && taken[0].id() == taken[1].id(), "{taken:?}");
    assert!(server.stop().success());
}

#[test]
fn no_order_waits_for_a_mail_server_that_is_away() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start(Protection::None));
    sink.close();
    let server = serve(folder.path(), &sink);
    stock_up(server.address(), PRODUCTS);
    order(server.address());
    let mut connection = Connection::open(server.address()).unwrap();
    let put_off = r#"skald_mails_total{outcome="put_off"}"#;
    until("the mail is put off", || {
        connection.send("GET", "/metrics", "", "").unwrap().1.contains(put_off)
    });
    assert_eq!(connection.send("GET", "/readyz", "", "").unwrap(), (200, "ok".to_owned()));
    let is_away = "the mail server is not ready; mails wait";
    until("that is told", || server.log().iter().any(|line| line["message"] == is_away));
    sink.open();
    until_told(server.address(), 1);
    assert_eq!(sink.taken().len(), 1);
}

#[test]
fn a_mail_server_that_refuses_us_is_told_loudly_and_no_customer_suffers() {
    let (folder, sink) = (tempfile::tempdir().unwrap(), Sink::start(Protection::None));
    sink.at("MAIL", usize::MAX, Manner::Says("553 5.7.1 sender rejected"));
    let server = serve(folder.path(), &sink);
    stock_up(server.address(), PRODUCTS);
    order(server.address());
    until("it is told", || {
        server.log().iter().any(|line| {
            line["level"] == "ERROR" && line["error"].as_str().unwrap_or("").contains("553 5.7.1")
        })
    });
    sink.relent();
    until_told(server.address(), 1);
}
