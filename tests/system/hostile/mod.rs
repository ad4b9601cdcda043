//! Everybody may publish whatever they like, and everything goes on: what nobody can read is put aside
//! with a reason, what fits nothing changes nothing, and orders come to their ends.
//!
//! | file | holds |
//! |---|---|
//! | `raw` | a publisher that knows too little AMQP to be stopped |
//! | `garbage` | what nobody can read |
//! | `misfits` | replies that can be read and fit nothing |

mod garbage;
mod misfits;
mod raw;

use std::collections::BTreeMap;
use std::fs;
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

use diesel::sql_types::Integer;
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use serde_json::Value;
use skald::store::Stores;
use uuid::Uuid;

use crate::accounts::{self, Books, Outside, Source};
use crate::customer::{Connection, Log, finish, stock_up};
use crate::installation::{Installation, WORKERS, together, until_shared};
use crate::many::under_load;
use crate::process::Process;
use crate::stack;
use crate::until::until;
use garbage::HUGE;
use misfits::Known;
use raw::{Parcel, Publisher};

const PRODUCTS: usize = 40;
const SHARDS: u16 = skald::store::postgres::SHARDS;

static REPLY_QUEUES: LazyLock<Vec<String>> =
    LazyLock::new(|| (0..SHARDS).map(|shard| format!("skald.replies.{shard}")).collect());

/// What has to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is a dead letter that died in this queue.
    Parked(&'static str),
    /// It is a dead letter.
    ParkedSomewhere,
    /// It leaves no trace.
    Ignored,
}

/// A message that no friend would send.
struct Hostile {
    name: String,
    parcel: Parcel,
    fate: Fate,
}

impl Hostile {
    /// The message, under an id that nothing else has.
    fn new(name: String, parcel: Parcel, fate: Fate) -> Self {
        let id = Some(format!("hostile-{name}").into_bytes());
        Self { parcel: Parcel { message_id: id, ..parcel }, name, fate }
    }

    fn id(&self) -> String {
        format!("hostile-{}", self.name)
    }
}

#[derive(QueryableByName)]
struct Shard {
    #[diesel(sql_type = Integer)]
    shard: i32,
}

/// An order that was accepted, as the sagas' table has it.
fn known(installation: &Installation, node: &mut Connection, order: Uuid) -> Known {
    let order = node.get(&format!("/v1/orders/{order}"));
    let id: Uuid = order["sagaId"].as_str().unwrap().parse().unwrap();
    let Source::Postgres(url) = installation.source() else { unreachable!() };
    let mut database = stack::connect(&url).unwrap();
    let found = sql_query("SELECT shard FROM skald_orchestrator.sagas WHERE id = $1")
        .bind::<diesel::sql_types::Uuid, _>(id);
    let Shard { shard } = found.get_result(&mut database).unwrap();
    Known { id, shard: shard.try_into().unwrap() }
}

/// Orders so many times, one after the other.
fn order(node: &mut Connection, log: &Log, count: usize) -> Vec<Uuid> {
    for _ in 0..count {
        let (n, key, body) = log.next_order(PRODUCTS);
        let headers = format!("Idempotency-Key: \"{key}\"\r\n");
        let (status, answer) = node.send("POST", "/v1/orders", &headers, &body).unwrap();
        assert_eq!(status, 202, "{answer}");
        log.note(n, &answer);
    }
    (0..count).map(|n| log.nth_accepted(n).unwrap()).collect()
}

/// All dead letters, by their messages' ids.
fn letters(node: &mut Connection) -> BTreeMap<String, Value> {
    let (mut all, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let page = node.get(&format!("/v1/dead-letters?state=ALL&limit=200{cursor}"));
        for letter in page["deadLetters"].as_array().unwrap() {
            all.insert(letter["messageId"].as_str().unwrap().to_owned(), letter.clone());
        }
        let Some(next) = page["nextCursor"].as_str() else { return all };
        cursor = format!("&cursor={next}");
    }
}

/// Publishes everything, and waits until the broker has it.
fn flood(url: &str, hostile: &[Hostile]) {
    let mut publisher = Publisher::connect(url);
    hostile.iter().for_each(|it| publisher.publish(&it.parcel));
    publisher.finish();
}

/// Waits until there are as many dead letters as there have to be.
fn until_parked(stores: &Stores, hostile: &[Hostile]) {
    let parked = hostile.iter().filter(|it| it.fate != Fate::Ignored).count() as u64;
    until("what nobody can read is parked", || stores.letters.open_letters().unwrap() >= parked);
}

/// Each letter says where and why it died, can be looked at, and none is of a message that was fine.
fn are_as_expected(node: &mut Connection, hostile: &[Hostile], found: &BTreeMap<String, Value>) {
    let expected: BTreeMap<String, &Hostile> = hostile.iter().map(|it| (it.id(), it)).collect();
    let parked = hostile.iter().filter(|it| it.fate != Fate::Ignored);
    let missing: Vec<_> = parked.map(Hostile::id).filter(|id| !found.contains_key(id)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    for (id, letter) in found {
        let it = expected.get(id).unwrap_or_else(|| panic!("a letter of nobody: {letter}"));
        let reason = letter["reason"].as_str().unwrap();
        // The words of the broker: nobody here said no, but it came back again and again.
        assert!(!reason.is_empty() && reason != "delivery_limit", "{letter}");
        match it.fate {
            Fate::Parked(queue) => {
                assert_eq!(letter["queue"].as_str().unwrap_or_default(), queue, "{letter}");
            }
            Fate::ParkedSomewhere => {}
            Fate::Ignored => panic!("it fits nothing, and is no dead letter: {letter}"),
        }
        if it.name.starts_with("huge") {
            let path = format!("/v1/dead-letters/{}", letter["letterId"].as_str().unwrap());
            let shown = node.get(&path);
            assert_eq!(shown["bodyBytes"], HUGE, "{}", it.name);
            assert!(shown.get("body").or(shown.get("bodyBase64")).is_none(), "{}", it.name);
        }
    }
}

/// Nothing waits, and nothing is held by anybody who would give it back.
fn queues_are_empty(installation: &Installation) -> bool {
    let vhost = installation.bus().rsplit_once('/').unwrap().1;
    let columns = ["name", "messages"];
    let list = [&["-q", "-p", vhost, "list_queues", "--no-table-headers"][..], &columns].concat();
    let listed = stack::rabbitmqctl(&list);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().count() > usize::from(SHARDS), "{listed}");
    listed.lines().all(|line| line.ends_with("\t0"))
}

/// None has died, lost its connection or its consumers, or come near it.
fn are_unharmed(processes: &mut [Process]) {
    for process in processes {
        assert!(!process.has_ended(), "{}", process.text());
        let harm =
            ["panicked", "lost", "a consumer is over", "can't be stored", "ended a consumer"];
        let harmed = |line: &&Value| {
            let message = line["message"].as_str().unwrap_or_default();
            harm.iter().any(|it| message.contains(it))
        };
        let log = process.log();
        let harmed: Vec<_> = log.iter().filter(harmed).take(5).collect();
        assert!(harmed.is_empty(), "{harmed:#?}");
    }
}

#[test]
fn what_anybody_publishes_stops_nothing_and_what_nobody_can_read_is_parked() {
    let installation = Installation::new();
    let events = installation.folder().join("events.jsonl");
    let listening = ["--event-log", events.to_str().unwrap()];
    let mut processes =
        vec![installation.orchestrator_with(&listening), installation.orchestrator()];
    let nodes: Vec<_> = processes.iter().map(Process::address).collect();
    until_shared(nodes[0], &[32, 32]);
    stock_up(nodes[0], PRODUCTS);
    let log = Log::of_slow_customers(Duration::from_millis(20));
    let stores = installation.stores();
    let mut node = Connection::open(nodes[0]).unwrap();

    // As long as there are no workers, questions stay open.
    let waiting = order(&mut node, &log, 3);
    let waiting: Vec<_> = waiting.iter().map(|it| known(&installation, &mut node, *it)).collect();
    let mut sent: Vec<_> = waiting.iter().flat_map(|it| misfits::to_the_wrong_shard(*it)).collect();
    sent.push(garbage::that_dies_at_once());
    flood(installation.bus(), &sent);
    until_parked(&stores, &sent);
    for saga in &waiting {
        let saga = node.get(&format!("/v1/sagas/{}", saga.id));
        assert_eq!((saga["status"].as_str(), &saga["version"]), (Some("RUNNING"), &2.into()));
    }
    let comes_again = garbage::that_comes_again();
    flood(installation.bus(), std::slice::from_ref(&comes_again));
    Publisher::connect(installation.bus()).give_back(garbage::UNATTENDED);
    sent.push(comes_again);

    processes.extend(together(4, |n| installation.worker(WORKERS[n % 2])));
    let ended = |node: &mut Connection, saga: &Known| {
        node.get(&format!("/v1/sagas/{}", saga.id))["status"] == "COMPLETED"
    };
    until("they end", || waiting.iter().all(|saga| ended(&mut node, saga)));
    let before: Vec<_> =
        waiting.iter().map(|it| node.get(&format!("/v1/sagas/{}", it.id))).collect();
    let mut misfits: Vec<_> =
        waiting.iter().flat_map(|saga| misfits::to_one_that_ended(*saga)).collect();
    misfits.extend(misfits::to_nobody(waiting[0]));
    misfits.extend(garbage::all());
    under_load(&Mutex::new(nodes), &log, PRODUCTS, || {
        flood(installation.bus(), &misfits);
        garbage::to_the_event_log(installation.bus());
        sent.extend(misfits);
        until_parked(&stores, &sent);
        let enough = log.count.load(std::sync::atomic::Ordering::SeqCst) + 50;
        until("orders are accepted", || {
            log.count.load(std::sync::atomic::Ordering::SeqCst) >= enough
        });
    });
    finish(processes[0].address(), &log, PRODUCTS);
    until("all queues are empty", || queues_are_empty(&installation));
    let parked = letters(&mut node);
    are_as_expected(&mut node, &sent, &parked);
    let after: Vec<_> =
        waiting.iter().map(|it| node.get(&format!("/v1/sagas/{}", it.id))).collect();
    assert_eq!(before, after, "what fits nothing changes nothing");
    are_unharmed(&mut processes);
    println!("{} hostile messages", sent.len());

    let written = fs::read_to_string(&events).unwrap();
    let broken = |line: &&str| !line.is_empty() && serde_json::from_str::<Value>(line).is_err();
    assert_eq!(written.lines().find(broken), None, "one event a line");
    let mut books = Books::read(&installation.source(), None);
    books.letters.retain(|letter| !letter.message_id.starts_with("hostile-"));
    let mails = accounts::in_folder(&installation.mail());
    let heard = Some(accounts::heard_in(&events));
    let accounts::Violations(found) =
        accounts::check(&books, &Outside { log: &log, first: 0, mails, heard });
    assert!(found.is_empty(), "{found:#?}");
}
