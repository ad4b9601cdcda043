//! What the databases say, read without any of the program's own code.

use std::collections::BTreeMap;
use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::sqlite::Sqlite;
use skald::saga::event::Event;
use uuid::Uuid;

use crate::stack;

/// Where the databases are.
pub enum Source {
    /// All in one database of PostgreSQL.
    Postgres(String),
    /// Files of SQLite that nobody writes to.
    Files(PathBuf),
}

/// An order.
#[derive(Clone, Debug, Default)]
pub struct Order {
    pub saga: Uuid,
    pub user: String,
    pub status: String,
    pub reason: Option<String>,
    /// How many of which product.
    pub items: BTreeMap<String, i64>,
}

/// A saga.
#[derive(Clone, Debug, Default)]
pub struct Saga {
    pub status: String,
    pub version: i64,
    pub is_due: bool,
    /// Its events with their positions, in order.
    pub history: Vec<(i64, Event)>,
}

#[derive(Clone, Debug, QueryableByName)]
pub struct Product {
    #[diesel(sql_type = Text)]
    pub id: String,
    #[diesel(sql_type = BigInt)]
    pub on_hand: i64,
    #[diesel(sql_type = BigInt)]
    pub reserved: i64,
    /// What all reservations of it come to.
    #[diesel(sql_type = BigInt)]
    pub held: i64,
}

#[derive(Clone, Debug, QueryableByName)]
pub struct Notification {
    #[diesel(sql_type = Text)]
    pub key: String,
    #[diesel(sql_type = Text)]
    pub order_id: String,
    #[diesel(sql_type = Text)]
    pub template: String,
    #[diesel(sql_type = Text)]
    pub outcome: String,
    #[diesel(sql_type = Nullable<Text>)]
    pub recipient: Option<String>,
}

#[derive(Clone, Debug, QueryableByName)]
pub struct Shard {
    #[diesel(sql_type = BigInt)]
    pub shard: i64,
    #[diesel(sql_type = BigInt)]
    pub last_seq: i64,
    #[diesel(sql_type = BigInt)]
    pub commands_mark: i64,
    #[diesel(sql_type = BigInt)]
    pub events_mark: i64,
    /// How many history rows it has.
    #[diesel(sql_type = BigInt)]
    pub rows: i64,
}

#[derive(Clone, Debug, QueryableByName)]
pub struct Letter {
    #[diesel(sql_type = Text)]
    pub message_id: String,
    #[diesel(sql_type = Text)]
    pub queue: String,
    #[diesel(sql_type = Text)]
    pub reason: String,
}

/// What all databases of an installation say.
#[derive(Clone, Debug, Default)]
pub struct Books {
    /// Only what is younger than this saga was read, apart from sums.
    pub since: Option<Uuid>,
    pub orders: BTreeMap<Uuid, Order>,
    pub sagas: BTreeMap<Uuid, Saga>,
    /// Which order each idempotency key stands for.
    pub keys: BTreeMap<String, Uuid>,
    pub products: Vec<Product>,
    /// How many of which product each saga holds.
    pub held: BTreeMap<Uuid, BTreeMap<String, i64>>,
    pub notifications: Vec<Notification>,
    pub shards: Vec<Shard>,
    /// What was asked of sagas, or decided about letters, and is not done.
    pub undone: i64,
    pub letters: Vec<Letter>,
}

#[derive(QueryableByName)]
struct OrderRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    saga: String,
    #[diesel(sql_type = Text)]
    user_id: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    reason_code: Option<String>,
}

#[derive(QueryableByName)]
struct SagaRow {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = BigInt)]
    is_due: i64,
}

#[derive(QueryableByName)]
struct HistoryRow {
    #[diesel(sql_type = Text)]
    saga: String,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Text)]
    event: String,
}

/// So many of a product belong to something.
#[derive(QueryableByName)]
struct Quantity {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Text)]
    product: String,
    #[diesel(sql_type = BigInt)]
    quantity: i64,
}

#[derive(QueryableByName)]
struct KeyRow {
    #[diesel(sql_type = Text)]
    key: String,
    #[diesel(sql_type = Text)]
    order_id: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// One database.
enum Database {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Database {
    /// `store` is `orchestrator`, `inventory` or `notification`.
    fn open(source: &Source, store: &str) -> Self {
        match source {
            Source::Postgres(url) => {
                let mut connection = stack::connect(url).unwrap();
                let path = format!("SET search_path = skald_{store}");
                sql_query(path).execute(&mut connection).unwrap();
                Self::Postgres(connection)
            }
            Source::Files(folder) => {
                let file = folder.join(format!("{store}.db"));
                let mut connection = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
                // A process that begins or ends has the file to itself for a moment.
                connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
                Self::Sqlite(connection)
            }
        }
    }

    /// What a query finds. In it `[saga]` is a column with an id, as text.
    fn rows<T>(&mut self, sql: &str) -> Vec<T>
    where
        T: QueryableByName<Pg> + QueryableByName<Sqlite> + 'static,
    {
        match self {
            Self::Postgres(connection) => {
                let sql = sql.replace('[', "CAST(").replace(']', " AS text)");
                sql_query(sql).load(connection).unwrap()
            }
            Self::Sqlite(connection) => {
                let sql = sql.replace('[', "hex(").replace(']', ")");
                sql_query(sql).load(connection).unwrap()
            }
        }
    }

    fn count(&mut self, sql: &str) -> i64 {
        self.rows::<Count>(sql)[0].count
    }

    /// The condition that a column with an id is younger than `since`.
    fn younger(&self, column: &str, since: Option<Uuid>) -> String {
        match (self, since) {
            (_, None) => "1 = 1".to_owned(),
            (Self::Postgres(_), Some(since)) => format!("{column} > '{since}'"),
            (Self::Sqlite(_), Some(since)) => format!("{column} > x'{}'", since.simple()),
        }
    }
}

fn id(text: &str) -> Uuid {
    Uuid::parse_str(text).unwrap()
}

impl Books {
    /// Reads them. `since` leaves out sagas that are not younger, and what belongs to them.
    pub fn read(source: &Source, since: Option<Uuid>) -> Self {
        let mut books = Self { since, ..Self::default() };
        books.read_orchestrator(&mut Database::open(source, "orchestrator"));
        books.read_inventory(&mut Database::open(source, "inventory"));
        books.read_notification(&mut Database::open(source, "notification"));
        books
    }

    fn read_orchestrator(&mut self, database: &mut Database) {
        let young = database.younger("saga", self.since);
        for row in database.rows::<OrderRow>(&format!(
            "SELECT [id] AS id, [saga] AS saga, user_id, status, reason_code FROM orders WHERE {young}"
        )) {
            let OrderRow { user_id: user, status, reason_code: reason, .. } = row;
            let order = Order { saga: id(&row.saga), user, status, reason, ..Order::default() };
            self.orders.insert(id(&row.id), order);
        }
        for row in database.rows::<Quantity>(&format!(
            "SELECT [order_id] AS id, product, quantity FROM order_items
             WHERE order_id IN (SELECT id FROM orders WHERE {young})"
        )) {
            let order = self.orders.entry(id(&row.id)).or_default();
            *order.items.entry(row.product).or_default() += row.quantity;
        }
        let of_age = database.younger("id", self.since);
        for row in database.rows::<SagaRow>(&format!(
            "SELECT [id] AS id, status, version, CAST(due_at IS NOT NULL AS integer) + CAST(0 AS bigint) AS is_due
             FROM sagas WHERE {of_age}"
        )) {
            let SagaRow { status, version, is_due, .. } = row;
            let saga = Saga { status, version, is_due: is_due != 0, history: Vec::new() };
            self.sagas.insert(id(&row.id), saga);
        }
        for row in database.rows::<HistoryRow>(&format!(
            "SELECT [saga] AS saga, sequence, CAST(event AS text) AS event FROM history
             WHERE {young} ORDER BY saga, sequence"
        )) {
            let event = serde_json::from_str(&row.event).unwrap();
            let saga = self.sagas.entry(id(&row.saga)).or_default();
            saga.history.push((row.sequence, event));
        }
        let keys = database.rows::<KeyRow>(&format!(
            "SELECT key, [order_id] AS order_id FROM idempotency_keys
             WHERE order_id IN (SELECT id FROM orders WHERE {young})"
        ));
        self.keys = keys.into_iter().map(|row| (row.key, id(&row.order_id))).collect();
        let rows = match database {
            Database::Postgres(_) => "SELECT shard, count(*) AS rows FROM history GROUP BY shard",
            Database::Sqlite(_) => {
                "SELECT position >> 48 AS shard, count(*) AS rows FROM history GROUP BY 1"
            }
        };
        self.shards = database.rows(&format!(
            "SELECT CAST(s.shard AS bigint) AS shard, last_seq, commands_mark, events_mark,
                    coalesce(h.rows, 0) AS rows
             FROM shards AS s LEFT JOIN ({rows}) AS h ON h.shard = s.shard"
        ));
        self.undone = database
            .count("SELECT count(*) AS count FROM saga_inputs WHERE outcome IS NULL")
            + database
                .count("SELECT count(*) AS count FROM letter_decisions WHERE due_at IS NOT NULL");
        self.letters = database.rows("SELECT message_id, queue, reason FROM dead_letters");
    }

    fn read_inventory(&mut self, database: &mut Database) {
        self.products = database.rows(
            "SELECT p.id, p.on_hand, p.reserved, CAST(coalesce(r.held, 0) AS bigint) AS held
             FROM products AS p LEFT JOIN
                 (SELECT product, sum(quantity) AS held FROM reservations GROUP BY product) AS r
                 ON r.product = p.id",
        );
        let young = database.younger("saga", self.since);
        for row in database.rows::<Quantity>(&format!(
            "SELECT [saga] AS id, product, quantity FROM reservations WHERE {young}"
        )) {
            let held = self.held.entry(id(&row.id)).or_default();
            *held.entry(row.product).or_default() += row.quantity;
        }
    }

    fn read_notification(&mut self, database: &mut Database) {
        // The key begins with the saga's id, and ids sort as texts.
        let since = self.since.unwrap_or_default();
        self.notifications = database.rows(&format!(
            "SELECT key, order_id, template, outcome, recipient FROM notifications WHERE key > '{since}~'"
        ));
    }
}
