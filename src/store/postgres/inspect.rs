//! Looking at a database without changing anything in it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::connection::establish;
use super::migrate::{self, Kind};
use super::url::Url;
use crate::store::OpenError;
use crate::store::inspection::{LivingNode, Migrations, Schema, Work};

/// What was found at a store's URL.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// Where it is, without secrets.
    pub place: String,
    /// The server.
    pub server: Server,
    /// How far the server's clock is ahead of this machine's, in microseconds.
    pub ahead_micros: i64,
    /// How exactly that is known.
    pub give_or_take: Duration,
    /// Why a store can't live there, if it can't.
    pub unfit: Option<String>,
    /// What is there.
    pub schema: Schema,
    /// What the role may not do there and has to.
    pub lacking: Vec<String>,
    /// How the sagas get on, where the store is the orchestrator's and up to date.
    pub work: Option<Work>,
}

/// A server and how it treats this role.
#[derive(Clone, Debug, QueryableByName)]
pub struct Server {
    /// Its version, for people.
    #[diesel(sql_type = Text)]
    pub version: String,
    /// The role.
    #[diesel(sql_type = Text)]
    pub role: String,
    /// Whether it writes to the disk before it says so.
    #[diesel(sql_type = Text)]
    pub fsync: String,
    /// Whether a torn page can be repaired.
    #[diesel(sql_type = Text)]
    pub full_page_writes: String,
    /// What a commit waits for where nobody says otherwise.
    #[diesel(sql_type = Text)]
    pub synchronous_commit: String,
    /// Connections that are open.
    #[diesel(sql_type = BigInt)]
    pub connections: i64,
    /// Connections that roles such as this may have at a time.
    #[diesel(sql_type = BigInt)]
    pub max_connections: i64,
}

const SERVER: &str = "
    SELECT current_setting('server_version') AS version,
        current_user::text AS role,
        current_setting('fsync') AS fsync,
        current_setting('full_page_writes') AS full_page_writes,
        current_setting('synchronous_commit') AS synchronous_commit,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
        current_setting('max_connections')::bigint
            - current_setting('superuser_reserved_connections')::bigint AS max_connections";

/// Nothing here may write, and nothing may take long.
const LOOK: &str = "
    SET default_transaction_read_only = on;
    SET statement_timeout = '5s';
    SET lock_timeout = '1s'";

/// What the role lacks on the schema and its tables. To look at them takes no right.
const LACKING: &str = "
    SELECT 'USAGE on schema ' || $1 AS line
        WHERE NOT has_schema_privilege(to_regnamespace($1), 'USAGE')
    UNION ALL
    SELECT wanted || ' on ' || $1 || '.' || relname FROM pg_catalog.pg_class,
        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS wanted
    WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p')
        AND relname <> '__diesel_schema_migrations'
        AND NOT has_table_privilege(oid, wanted)
    ORDER BY line";

/// What a role lacks that has to make or to change tables.
const LACKING_TO_MIGRATE: &str = "
    SELECT CASE
        WHEN to_regnamespace($1) IS NULL THEN 'CREATE on the database'
        ELSE 'ownership of schema ' || $1 || ' and its tables' END AS line
    WHERE CASE
        WHEN to_regnamespace($1) IS NULL
            THEN NOT has_database_privilege(current_database(), 'CREATE')
        ELSE NOT has_schema_privilege(to_regnamespace($1), 'CREATE') OR EXISTS (
            SELECT FROM pg_catalog.pg_class
            WHERE relnamespace = to_regnamespace($1) AND relkind IN ('r', 'p')
                AND NOT pg_has_role(relowner, 'USAGE'))
        END";

const WORK: &str = "
    SELECT (SELECT count(*) FROM skald_orchestrator.shards) AS shards,
        (SELECT count(*) FROM skald_orchestrator.shards WHERE NOT EXISTS (
            SELECT FROM skald_orchestrator.nodes
            WHERE nodes.id = shards.owner AND nodes.lease_until > now())) AS unowned,
        (SELECT coalesce(sum(count), 0)::bigint FROM skald_orchestrator.saga_counts
            WHERE status NOT IN ('COMPLETED', 'CANCELLED')) AS unfinished,
        (SELECT coalesce(sum(count), 0)::bigint FROM skald_orchestrator.saga_counts
            WHERE status = 'NEEDS_ATTENTION') AS needing_attention,
        (SELECT count(*) FROM (SELECT FROM skald_orchestrator.sagas
            WHERE due_at < now() - interval '1 minute' LIMIT 10000) AS few) AS overdue,
        (SELECT count(*) FROM (SELECT FROM skald_orchestrator.dead_letters
            WHERE state = 'OPEN' LIMIT 10000) AS few) AS open_letters";

const NODES: &str = "
    SELECT name, url FROM skald_orchestrator.nodes WHERE lease_until > now() ORDER BY id";

#[derive(QueryableByName)]
struct Clock {
    #[diesel(sql_type = BigInt)]
    micros: i64,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

#[derive(QueryableByName)]
struct WorkRow {
    #[diesel(sql_type = BigInt)]
    shards: i64,
    #[diesel(sql_type = BigInt)]
    unowned: i64,
    #[diesel(sql_type = BigInt)]
    unfinished: i64,
    #[diesel(sql_type = BigInt)]
    needing_attention: i64,
    #[diesel(sql_type = BigInt)]
    overdue: i64,
    #[diesel(sql_type = BigInt)]
    open_letters: i64,
}

#[derive(QueryableByName)]
struct NodeRow {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    url: String,
}

/// Looks at the orchestrator's store.
///
/// # Errors
/// When nobody answers there, or not to us.
pub fn inspect_orchestrator(url: &str) -> Result<Inspection, OpenError> {
    inspect(url, &migrate::ORCHESTRATOR)
}

/// Looks at the inventory worker's store.
///
/// # Errors
/// When nobody answers there, or not to us.
pub fn inspect_inventory(url: &str) -> Result<Inspection, OpenError> {
    inspect(url, &migrate::INVENTORY)
}

/// Looks at the notification worker's store.
///
/// # Errors
/// When nobody answers there, or not to us.
pub fn inspect_notification(url: &str) -> Result<Inspection, OpenError> {
    inspect(url, &migrate::NOTIFICATION)
}

fn inspect(url: &str, kind: &Kind) -> Result<Inspection, OpenError> {
    let (mut connection, url) = establish(url, kind.store)?;
    look(&mut connection, kind, &url).map_err(|error| OpenError::Database {
        store: kind.store,
        place: url.to_string(),
        cause: url.redact(&error.to_string()),
    })
}

fn look(connection: &mut PgConnection, kind: &Kind, url: &Url) -> QueryResult<Inspection> {
    let unfit = match migrate::check_server(connection, kind, url)
        .and_then(|()| migrate::check_language(connection, kind, url))
    {
        Err(OpenError::Unfit { cause, .. }) => Some(cause),
        _ => None,
    };
    connection.batch_execute(LOOK)?;
    let server: Server = diesel::sql_query(SERVER).get_result(connection)?;
    let (ahead_micros, give_or_take) = clock(connection)?;
    let schema = schema(connection, kind)?;
    let mut lacking = lines(connection, LACKING, kind)?;
    let is_current = match &schema {
        Schema::Ours(migrations) => migrations.missing.is_empty(),
        Schema::Missing => false,
        Schema::Foreign(_) => true,
    };
    if !is_current {
        lacking.extend(lines(connection, LACKING_TO_MIGRATE, kind)?);
    }
    let is_orchestrator = kind.schema == migrate::ORCHESTRATOR.schema;
    let work = match &schema {
        Schema::Ours(_) if is_orchestrator && is_current && lacking.is_empty() => {
            Some(work(connection)?)
        }
        _ => None,
    };
    Ok(Inspection {
        place: url.to_string(),
        server,
        ahead_micros,
        give_or_take,
        unfit,
        schema,
        lacking,
        work,
    })
}

/// How far the server's clock is ahead, as the fastest of a few answers tells.
fn clock(connection: &mut PgConnection) -> QueryResult<(i64, Duration)> {
    const ANSWERS: usize = 4;
    let mut best: Option<(i64, Duration)> = None;
    for _ in 0..ANSWERS {
        let (asked, began) = (micros_now(), Instant::now());
        let told: Clock = diesel::sql_query(
            "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros",
        )
        .get_result(connection)?;
        let half = began.elapsed() / 2;
        let middle = asked.saturating_add(i64::try_from(half.as_micros()).unwrap_or(i64::MAX));
        if best.is_none_or(|(_, give_or_take)| half < give_or_take) {
            best = Some((told.micros.saturating_sub(middle), half));
        }
    }
    Ok(best.unwrap_or_default())
}

fn micros_now() -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX)
}

fn schema(connection: &mut PgConnection, kind: &Kind) -> QueryResult<Schema> {
    let found = migrate::find(connection, kind)?;
    if found.tables == 0 {
        return Ok(Schema::Missing);
    }
    if !found.migrations {
        return Ok(Schema::Foreign(migrate::foreign(kind)));
    }
    let table = format!("{}.__diesel_schema_migrations", kind.schema);
    let readable: Flag = diesel::sql_query("SELECT has_table_privilege($1, 'SELECT') AS flag")
        .bind::<Text, _>(&table)
        .get_result(connection)?;
    if !readable.flag {
        return Ok(Schema::Foreign(format!("the role may not read {table}")));
    }
    let applied: Vec<Line> =
        diesel::sql_query(format!("SELECT version AS line FROM {table} ORDER BY version"))
            .load(connection)?;
    if applied.is_empty() {
        return Ok(Schema::Missing);
    }
    let applied: Vec<String> = applied.into_iter().map(|line| line.line).collect();
    let needed = migrate::needed(connection, kind)?;
    Ok(Schema::Ours(Migrations::compare(&applied, &migrate::known(kind), &needed)))
}

fn lines(connection: &mut PgConnection, query: &str, kind: &Kind) -> QueryResult<Vec<String>> {
    let lines: Vec<Line> =
        diesel::sql_query(query).bind::<Text, _>(kind.schema).load(connection)?;
    Ok(lines.into_iter().map(|line| line.line).collect())
}

fn work(connection: &mut PgConnection) -> QueryResult<Work> {
    let row: WorkRow = diesel::sql_query(WORK).get_result(connection)?;
    let nodes: Vec<NodeRow> = diesel::sql_query(NODES).load(connection)?;
    let node = |NodeRow { name, url }| LivingNode { name, url };
    let count = |count: i64| u64::try_from(count).unwrap_or_default();
    Ok(Work {
        shards: count(row.shards),
        unowned: count(row.unowned),
        unfinished: count(row.unfinished),
        needing_attention: count(row.needing_attention),
        overdue: count(row.overdue),
        open_letters: count(row.open_letters),
        nodes: nodes.into_iter().map(node).collect(),
    })
}
