//! The program dies right before and right after each commit, publish, confirmation and
//! acknowledgement; every one of these moments kills a process here.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use skald::bus::rabbitmq::{Address, Bundling, RabbitBus};
use skald::contract::message::{Exchange, Message, Outgoing};
use skald::ports::bus::{Bus, Receipt};
use skald::store::postgres;
use tokio::sync::mpsc;

use crate::accounts::{self, Books, Outside, Source, books_add_up, in_folder};
use crate::customer::{Connection, Log, finish, order_anywhere, order_on, stock_up};
use crate::installation::{Installation, together};
use crate::process::Process;
use crate::until::until;

/// Where a process may die that runs everything.
const EMBEDDED: [&str; 18] = [
    "orchestrator.before_commit",
    "orchestrator.after_commit",
    "publisher.before_publish",
    "publisher.after_publish",
    "publisher.before_confirm",
    "publisher.after_confirm",
    "saga.before_ack",
    "saga.after_ack",
    "inventory.before_commit",
    "inventory.after_commit",
    "notification.before_commit",
    "notification.after_commit",
    "replies.before_publish",
    "replies.after_publish",
    "replies.before_ack",
    "replies.after_ack",
    "event_log.before_ack",
    "event_log.after_ack",
];

/// Where a mail is given away.
const MAILER: [&str; 2] = ["mailer.before_send", "mailer.after_send"];

/// What else an orchestrator commits on PostgreSQL: its leases, and what requests want.
const OTHER_COMMITS: [&str; 4] = [
    "leases.before_commit",
    "leases.after_commit",
    "requests.before_commit",
    "requests.after_commit",
];

/// What tells a node that somebody wants something.
const POKES: [&str; 2] = ["poke.before_ack", "poke.after_ack"];

/// What becomes of a command whose answer nobody wants.
const UNANSWERED: [&str; 2] = ["unanswered.before_ack", "unanswered.after_ack"];

/// What any process does with RabbitMQ.
const RABBITMQ: [&str; 6] = [
    "rabbitmq.before_publish",
    "rabbitmq.after_publish",
    "rabbitmq.before_confirm",
    "rabbitmq.after_confirm",
    "rabbitmq.before_ack",
    "rabbitmq.after_ack",
];

/// What an orchestrator does with dead letters, in the order in which it comes to it.
const LETTERS: [&str; 8] = [
    "dead_letters.before_ack",
    "dead_letters.after_ack",
    "requeue.before_publish",
    "requeue.after_publish",
    "requeue.before_confirm",
    "requeue.after_confirm",
    "bury.before_ack",
    "bury.after_ack",
];

const PRODUCTS: usize = 40;

/// Where one part of a process may die.
fn of(part: &str) -> Vec<&'static str> {
    EMBEDDED.into_iter().filter(|point| point.starts_with(part)).collect()
}

/// Has `command` die at `point`, once it has passed it so many times.
fn dying(mut command: Command, point: &str, passes: u32) -> Command {
    command.env("FAILPOINTS", format!("{point}={passes}*off->return"));
    command
}

/// Where a process that has ended died.
fn died_at(process: &Process) -> Option<String> {
    let log = process.log();
    Some(log.iter().rev().find_map(|line| line.get("point"))?.as_str()?.to_owned())
}

#[test]
fn every_moment_of_the_program_has_its_test() {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            for call in fs::read_to_string(&path).unwrap().split("failpoint::reach(").skip(1) {
                let (arguments, _) = call.split_once(')').unwrap();
                let (part, moment) = arguments.split_once(", ").unwrap();
                let parts = match part {
                    "self.store" => vec!["orchestrator", "inventory", "notification"],
                    "by" => vec!["leases", "requests"],
                    part => vec![part.trim_matches('"')],
                };
                let moment = moment.trim_matches('"');
                found.extend(parts.into_iter().map(|part| format!("{part}.{moment}")));
            }
        }
    }
    let all: [&[&str]; 7] =
        [&EMBEDDED, &MAILER, &RABBITMQ, &LETTERS, &OTHER_COMMITS, &POKES, &UNANSWERED];
    assert_eq!(found, all.concat().into_iter().map(str::to_owned).collect());
}

#[test]
fn the_embedded_program_may_die_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let log = Arc::new(Log::default());
    let serve = || {
        let arguments =
            ["serve", "--listen", "127.0.0.1:0", "--data-dir", ".", "--event-log", "events"];
        Process::command(folder.path(), &arguments)
    };
    let start = |command| Process::start(command, folder.path().join("log"));
    stock_up(start(serve()).address(), PRODUCTS);
    for (n, point) in (0..).zip(EMBEDDED.iter().chain(&MAILER)) {
        let mut server = start(dying(serve(), point, 5 + n % 7));
        let address = server.address();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| order_on(address, &log, PRODUCTS));
            }
            until(&format!("the program dies at {point}"), || server.has_ended());
            assert_eq!(died_at(&server).as_deref(), Some(*point));
        });
    }
    let server = start(serve());
    finish(server.address(), &log, PRODUCTS);
    server.kill();
    let source = Source::Files(folder.path().to_owned());
    accounts::all_is_well(&source, &log, &folder.path().join("mail"), None);
}

#[test]
fn any_process_of_an_installation_may_die_at_any_moment() {
    let installation = Installation::new();
    let nodes: Vec<&str> = [
        &of("orchestrator"),
        &of("publisher"),
        &of("saga"),
        &RABBITMQ[..],
        &LETTERS,
        &OTHER_COMMITS,
        &POKES,
    ]
    .concat();
    let keepers: Vec<&str> =
        [&of("inventory"), &of("replies"), &RABBITMQ[..], &UNANSWERED].concat();
    let writers: Vec<&str> = [&of("notification"), &MAILER[..]].concat();
    let start = |role: &str, point: &'static str| {
        let passes = if UNANSWERED.contains(&point) { 0 } else { 40 };
        let command = dying(installation.command(&["worker", role]), point, passes);
        installation.start(command, &format!("{role}-{point}"))
    };
    let serve = ["serve", "--workers", "none", "--listen", "127.0.0.1:0"];
    // Some are reached seldom.
    let lasting = installation.orchestrator();
    stock_up(lasting.address(), PRODUCTS);
    let _workers = [installation.worker("inventory"), installation.worker("notification")];
    let mut mortal = together(nodes.len(), |n| {
        let passes = match nodes[n] {
            // The first is that of the start.
            point if point.starts_with("leases") => 5,
            point if [&LETTERS[..], &OTHER_COMMITS, &POKES].concat().contains(&point) => 0,
            _ => 40,
        };
        let command = dying(installation.command(&serve), nodes[n], passes);
        installation.start(command, nodes[n])
    });
    let addresses = mortal.iter().chain([&lasting]).map(Process::address);
    let addresses = Mutex::new(addresses.collect::<Vec<_>>());
    mortal.extend(together(keepers.len(), |n| start("inventory", keepers[n])));
    mortal.extend(together(writers.len(), |n| start("notification", writers[n])));
    let log = Log::of_slow_customers(Duration::from_millis(2));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (addresses, log, over) = (&addresses, &log, &over);
        for first in 0..4 {
            scope.spawn(move || order_anywhere(addresses, first * 4, log, PRODUCTS));
        }
        scope.spawn(|| send_strange(installation.bus(), over));
        scope.spawn(|| operate(addresses, over));
        // Also if something goes wrong, or the others would go on for ever.
        let _over = Over(over, log);
        for (process, point) in
            mortal.iter_mut().zip([&nodes, &keepers, &writers].iter().copied().flatten())
        {
            until(&format!("a process dies at {point}"), || process.has_ended());
        }
    });
    for (process, point) in mortal.iter().zip([nodes, keepers, writers].concat()) {
        assert_eq!(died_at(process).as_deref(), Some(point));
    }
    finish(lasting.address(), &log, PRODUCTS);
    let read = || Books::read(&installation.source(), None);
    // What a node had in hand when it died is tried again by another one, half a minute later.
    until("what was decided is carried out", || read().undone == 0);
    let mut books = read();
    let letters = books.letters.len();
    books.letters.retain(|letter| !letter.message_id.starts_with(GARBAGE));
    assert!(books.letters.len() < letters, "what nobody can read is kept");
    let mails = in_folder(&installation.mail());
    books_add_up(&books, &Outside { log: &log, first: 0, mails, heard: None });
}

#[test]
fn a_process_does_not_outlive_what_sends_its_messages() {
    let installation = Installation::new();
    let log = Log::of_slow_customers(Duration::from_millis(2));
    let lasting = installation.orchestrator();
    stock_up(lasting.address(), PRODUCTS);
    let _workers = [installation.worker("inventory"), installation.worker("notification")];
    for point in ["publisher.before_publish", "rabbitmq.before_publish"] {
        let mut serve =
            installation.command(&["serve", "--workers", "none", "--listen", "127.0.0.1:0"]);
        serve.env("FAILPOINTS", format!("{point}=20*off->panic"));
        let mut server = installation.start(serve, point);
        let address = server.address();
        log.go_on();
        std::thread::scope(|scope| {
            let _stopping = log.stopping();
            scope.spawn(|| order_on(address, &log, PRODUCTS));
            until(&format!("the program ends after {point}"), || server.has_ended());
        });
    }
    finish(lasting.address(), &log, PRODUCTS);
}

/// Ends what goes on beside the test.
struct Over<'a>(&'a AtomicBool, &'a Log);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        self.1.stop();
    }
}

/// What the ids of messages begin with that nobody can read.
const GARBAGE: &str = "garbage-";

/// Sends workers and nodes what they can't read, so that there are dead letters, and workers what
/// nobody wants answered.
fn send_strange(url: &str, over: &AtomicBool) {
    let address = Address::parse(url).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(async {
        let bus = RabbitBus::connect(vec![address], "vandal", Bundling::default()).await.unwrap();
        let (receipts, mut settled) = mpsc::unbounded_channel();
        for n in 0.. {
            let outgoing = match n % 3 {
                0 => garbage(n, Exchange::Commands, RELEASE.to_owned()),
                1 => {
                    let shard = n / 3 % u64::from(postgres::SHARDS);
                    garbage(n, Exchange::Default, format!("skald.replies.{shard}"))
                }
                _ => unanswered(n),
            };
            bus.publish(outgoing, Receipt::new(receipts.clone(), n));
            settled.recv().await.unwrap();
            if over.load(Ordering::SeqCst) {
                return;
            }
        }
    });
}

const RELEASE: &str = "inventory.release";

/// What nobody can read.
fn garbage(n: u64, exchange: Exchange, routing_key: String) -> Outgoing {
    let message = Message {
        id: format!("{GARBAGE}{n}"),
        kind: RELEASE.to_owned(),
        correlation_id: None,
        reply_to: None,
        traceparent: None,
        body: Bytes::from_static(b"garbage"),
        death: None,
    };
    Outgoing { exchange, routing_key, message }
}

/// A command that does not say where its answer goes: to release what was never reserved.
fn unanswered(n: u64) -> Outgoing {
    let saga = uuid::Uuid::now_v7();
    let body = serde_json::json!({"data": {
        "commandType": "RELEASE_INVENTORY",
        "data": {"orderId": saga, "items": [{"productId": "p", "quantity": 1, "price": 1}]},
        "metadata": {"idempotencyKey": format!("{saga}:reserve-inventory:1:undo")},
    }});
    let garbage = garbage(n, Exchange::Commands, RELEASE.to_owned());
    let id = format!("{saga}:2");
    let message = Message { id, body: body.to_string().into(), ..garbage.message };
    Outgoing { message, ..garbage }
}

/// Has one node after the other send dead letters again and try sagas again, over and over. Whoever is
/// asked sends letters; sagas are tried by who has them, and told so by the others.
fn operate(nodes: &Mutex<Vec<SocketAddr>>, over: &AtomicBool) {
    let nodes = nodes.lock().unwrap().clone();
    for node in nodes.iter().cycle() {
        if over.load(Ordering::SeqCst) {
            return;
        }
        // A node that died is not asked.
        let _ = all_again(*node, "dead-letters", "deadLetters", "letterId", "requeue");
        let _ = all_again(*node, "sagas", "sagas", "sagaId", "retry");
    }
}

/// Has a node do something to the first few of a list.
fn all_again(node: SocketAddr, path: &str, list: &str, id: &str, action: &str) -> io::Result<()> {
    let mut connection = Connection::open(node)?;
    let found = connection.ask("GET", &format!("/v1/{path}?limit=3"), "", "")?;
    if found.status != 200 {
        return Ok(());
    }
    for one in found.json()[list].as_array().unwrap() {
        let path = format!("/v1/{path}/{}/{action}", one[id].as_str().unwrap());
        let answer = connection.ask("POST", &path, "", r#"{"reason":"again"}"#)?;
        assert!([200, 202, 409, 503].contains(&answer.status), "{}", answer.body);
    }
    Ok(())
}
