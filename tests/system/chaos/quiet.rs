//! What must be so some time after the last fault: all is over, and nothing is left over.

use std::time::{Duration, Instant};

use diesel::sql_types::{BigInt, Text};
use diesel::{PgConnection, QueryableByName, RunQueryDsl};

use super::ear;
use super::site::Site;
use crate::accounts::{self, Books};
use crate::customer::{Connection, Log, order_anywhere};
use crate::stack;

/// Everything that will ever be over is over by then, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(150);
/// What takes longer is worth a look.
const SOON: Duration = Duration::from_secs(40);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Connections of one process to the stores: four for its own work and four for the API in each of three,
/// and one for its lease.
const STORE_CONNECTIONS: i64 = 25;
/// One publishes, one consumes.
const BROKER_CONNECTIONS: usize = 2;
/// Descriptors of a process that serves a few customers.
const DESCRIPTORS: usize = 200;

/// What is still under way, by the databases.
const UNDER_WAY: &str = "SELECT
    (SELECT count(*) FROM skald_orchestrator.sagas
        WHERE status IN ('RUNNING', 'ROLLING_BACK', 'NEEDS_ATTENTION')) AS sagas,
    (SELECT CAST(coalesce(sum(2 * last_seq - commands_mark - events_mark), 0) AS bigint)
        FROM skald_orchestrator.shards) AS messages";

#[derive(Debug, Default, PartialEq, Eq, QueryableByName)]
struct UnderWay {
    #[diesel(sql_type = BigInt)]
    sagas: i64,
    #[diesel(sql_type = BigInt)]
    messages: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Waits until every order has come to its end and every message is confirmed. Returns how long that
/// took since the last fault.
///
/// # Errors
/// When it is not so in the end; says what is still under way.
pub fn until_all_is_over(
    site: &Site,
    log: &Log,
    products: usize,
    last_fault: Instant,
) -> Result<Duration, String> {
    log.go_on();
    std::thread::scope(|scope| {
        scope.spawn(|| order_anywhere(&site.nodes, 0, log, products));
        let repeated = eventually(|| match log.to_be_repeated() {
            0 => Ok(()),
            left => Err(format!("{left} customers still ask again")),
        });
        log.stop();
        repeated
    })?;
    let mut store = stack::connect(site.database()).map_err(|error| error.to_string())?;
    eventually(|| {
        let found: UnderWay =
            diesel::sql_query(UNDER_WAY).get_result(&mut store).map_err(|it| it.to_string())?;
        if found == UnderWay::default() { Ok(()) } else { Err(format!("{found:?}")) }
    })?;
    let took = last_fault.elapsed();
    if took > SOON {
        for line in history_of_the_last(&mut store) {
            println!("  the last one: {line}");
        }
    }
    Ok(took)
}

/// What happened to the saga that took longest.
fn history_of_the_last(store: &mut PgConnection) -> Vec<String> {
    let history =
        "SELECT at || ' ' || left(event::text, 200) AS line FROM skald_orchestrator.history
        WHERE saga = (SELECT id FROM skald_orchestrator.sagas ORDER BY updated_at DESC LIMIT 1)
        ORDER BY sequence";
    let found: Vec<Line> = diesel::sql_query(history).load(store).unwrap_or_default();
    found.into_iter().map(|line| line.line).collect()
}

/// Whether nothing of a kind is left over, or what is.
type Rule = fn(&Site) -> Result<(), String>;

/// Waits until nothing is left over, and says what is after all.
pub fn leftovers(site: &Site) -> Vec<String> {
    let rules: [(&str, Rule); 5] = [
        ("the nodes", nodes_are_idle),
        ("the queues", queues_are_empty),
        ("connections to the broker", broker_connections),
        ("connections to the store", store_connections),
        ("descriptors", descriptors),
    ];
    let left = rules
        .map(|(what, rule)| eventually(|| rule(site)).err().map(|left| format!("{what}: {left}")));
    left.into_iter().flatten().collect()
}

/// Waits until the listener has heard everything, and checks all books that are younger than `since`.
pub fn violations(
    site: &Site,
    log: &Log,
    since: Option<uuid::Uuid>,
    first: usize,
) -> (Books, Vec<String>) {
    let books = Books::read(&site.source(), since);
    let expected = accounts::expected(&books);
    // If it never does, the check says which are missing.
    let _ = eventually(|| {
        let heard = site.ear.heard();
        let missing = expected.iter().filter(|id| !heard.contains_key(*id)).count();
        if missing == 0 { Ok(()) } else { Err(missing.to_string()) }
    });
    let (mails, heard) = (site.mail.lock().unwrap().mails(), Some(site.ear.heard()));
    let outside = accounts::Outside { log, first, mails, heard };
    let accounts::Violations(found) = accounts::check(&books, &outside);
    (books, found)
}

fn eventually(mut is_so: impl FnMut() -> Result<(), String>) -> Result<(), String> {
    let began = Instant::now();
    loop {
        match is_so() {
            Err(_) if began.elapsed() < PATIENCE => std::thread::sleep(LOOK),
            otherwise => return otherwise,
        }
    }
}

fn unless(is_right: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if is_right { Ok(()) } else { Err(what()) }
}

/// No saga is in memory, no command is waited for, every shard has its owner.
fn nodes_are_idle(site: &Site) -> Result<(), String> {
    let nodes = site.nodes.lock().unwrap().clone();
    for node in &nodes {
        let get = |path| {
            let answer = Connection::open(*node).and_then(|mut it| it.ask("GET", path, "", ""));
            match answer {
                Ok(answer) if answer.status == 200 => Ok(answer.json()),
                Ok(answer) => Err(answer.body),
                Err(error) => Err(error.to_string()),
            }
        };
        let stats = get("/v1/stats")?;
        let outstanding = stats["outstanding"].as_object().into_iter().flatten();
        let is_idle = stats["awake"] == 0 && outstanding.into_iter().all(|(_, count)| count == 0);
        unless(is_idle, || format!("{node} is awake: {stats}"))?;
        let census = get("/v1/nodes")?;
        let known = census["nodes"].as_array().map_or(0, Vec::len);
        let is_complete =
            known == nodes.len() && census["unowned"].as_array().is_some_and(Vec::is_empty);
        unless(is_complete, || format!("{node} sees {census}"))?;
    }
    Ok(())
}

/// What was sent was processed, or is a dead letter in the store.
fn queues_are_empty(site: &Site) -> Result<(), String> {
    let columns = ["name", "messages", "messages_ready", "messages_unacknowledged", "consumers"];
    let listed = list(site, "list_queues", &columns)?;
    let fields = |line: &str| line.split('\t').map(str::to_owned).collect::<Vec<_>>();
    let queues = listed.lines().map(fields);
    let full: Vec<_> = queues.filter(|fields| fields[1] != "0").collect();
    unless(full.is_empty() && listed.contains(ear::QUEUE), || format!("{columns:?}: {full:?}"))
}

fn list(site: &Site, what: &str, columns: &[&str]) -> Result<String, String> {
    site.rabbitmq.rabbitmqctl(&[&["-q", what, "--no-table-headers"], columns].concat())
}

fn broker_connections(site: &Site) -> Result<(), String> {
    let listed = list(site, "list_connections", &["name", "state"])?;
    // The listener's are the last two.
    let expected = BROKER_CONNECTIONS * (site.pids().len() + 1);
    unless(listed.lines().count() == expected, || format!("{expected} expected: {listed}"))
}

fn store_connections(site: &Site) -> Result<(), String> {
    let mut store = stack::connect(site.database()).map_err(|error| error.to_string())?;
    let mut count = |condition: &str| {
        let sql = format!(
            "SELECT count(*) AS count FROM pg_stat_activity
             WHERE application_name = 'skald' AND {condition}"
        );
        let found: Result<Count, _> = diesel::sql_query(sql).get_result(&mut store);
        found.map(|found| found.count).map_err(|error| error.to_string())
    };
    let open = count("true")?;
    let most = STORE_CONNECTIONS * site.pids().len() as i64;
    unless(open <= most, || format!("{open} are open, {most} would be many"))?;
    let forgotten =
        count("state LIKE 'idle in transaction%' AND state_change < now() - interval '10 s'")?;
    unless(forgotten == 0, || format!("{forgotten} are idle in a transaction"))
}

fn descriptors(site: &Site) -> Result<(), String> {
    for pid in site.pids() {
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        unless(open <= DESCRIPTORS, || format!("process {pid} has {open} open"))?;
    }
    Ok(())
}
