//! Products, reservations and the inventory worker's records.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::connection::Database;
use super::failure::Failure;
use super::records::{Records, columns, records_of};
use super::schema::inventory::products;
use super::statement::Statement;
use crate::orders::ProductId;
use crate::ports::StoreError;
use crate::ports::inventory::{
    Holding, InventoryChange, InventoryStore, InventoryView, Product, StockSet,
};
use crate::ports::work::RecordKey;
use crate::saga::id::SagaId;

const RECORDS: Records = records_of!("skald_inventory");

/// The inventory worker's schema.
#[derive(Debug)]
pub(super) struct Inventory {
    pub database: Database,
}

impl InventoryStore for Inventory {
    fn transact(
        &self,
        keys: &BTreeSet<RecordKey>,
        wanted: &BTreeSet<ProductId>,
        settle: &mut dyn FnMut(&InventoryView) -> InventoryChange,
    ) -> Result<(), StoreError> {
        self.database.own_write(|connection| {
            let (known, view) = view(connection, keys, wanted)?;
            let change = settle(&view);
            RECORDS.write(connection, &known, &change.records)?;
            write(connection, &view, &change)
        })
    }

    fn set_on_hand(&self, id: &ProductId, on_hand: i64) -> Result<StockSet, StoreError> {
        self.database.write(|connection| {
            let row: Row = Statement::new(
                "INSERT INTO skald_inventory.products AS p (id, on_hand, reserved)
                 VALUES (?, ?, 0)
                 ON CONFLICT (id) DO UPDATE SET on_hand =
                     CASE WHEN excluded.on_hand < p.reserved THEN p.on_hand
                          ELSE excluded.on_hand END
                 RETURNING id, on_hand, reserved",
            )
            .bind::<Text, _>(id.as_str())
            .bind::<BigInt, _>(on_hand)
            .get_result(connection)?;
            Ok(match on_hand < row.reserved {
                true => StockSet::BelowReserved(row.into()),
                false => StockSet::Set(row.into()),
            })
        })
    }

    fn product(&self, id: &ProductId) -> Result<Option<Product>, StoreError> {
        self.database.look(|connection| {
            let row: Option<Row> = products::table
                .find(id.as_str())
                .select(Row::as_select())
                .first(connection)
                .optional()?;
            Ok(row.map(Product::from))
        })
    }

    fn products(&self, after: Option<&ProductId>, limit: u32) -> Result<Vec<Product>, StoreError> {
        self.database.look(|connection| {
            let rows: Vec<Row> = products::table
                .filter(products::id.gt(after.map_or("", |id| id.as_str())))
                .order(products::id)
                .limit(i64::from(limit))
                .select(Row::as_select())
                .load(connection)?;
            Ok(rows.into_iter().map(Product::from).collect())
        })
    }

    fn ping(&self) -> Result<(), StoreError> {
        self.products(None, 1).map(drop)
    }
}

/// Locks the records that are there, and tells which; then the products in the order of their ids.
fn view(
    connection: &mut PgConnection,
    keys: &BTreeSet<RecordKey>,
    wanted: &BTreeSet<ProductId>,
) -> Result<(BTreeSet<RecordKey>, InventoryView), Failure> {
    let locked = RECORDS.lock(connection, keys)?;
    let holdings = holdings(connection, &locked.known)?;
    let mut touched: BTreeSet<&str> = wanted.iter().map(|id| id.as_str()).collect();
    touched.extend(holdings.values().flat_map(BTreeMap::keys).map(|id| id.as_str()));
    let rows: Vec<LockedRow> = match touched.is_empty() {
        true => Vec::new(),
        false => Statement::new(LOCK)
            .bind::<Array<Text>, _>(touched.into_iter().collect::<Vec<&str>>())
            .load(connection)?,
    };
    let mut view = InventoryView { records: locked.records, holdings, ..InventoryView::default() };
    for LockedRow { product, is_contended } in rows {
        let product = Product::from(product);
        if is_contended {
            view.contended.insert(product.id.clone());
        }
        view.products.insert(product.id.clone(), product);
    }
    Ok((locked.known, view))
}

/// Locks products in the order of their ids, and tells which of them others changed meanwhile: those
/// whose newest version, which is the one that is locked, is by a transaction that the statement's
/// snapshot does not show. `xmin` has 32 bits of that transaction's number; the others are those of the
/// number nearest to the snapshot's end.
const LOCK: &str = "
SELECT p.id, p.on_hand, p.reserved, NOT pg_visible_in_snapshot(
    ((SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint) + 2147483648
        - (((SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
            - p.xmin::text::bigint + 2147483648) & 4294967295))::text::xid8,
    (SELECT pg_current_snapshot())) AS is_contended
FROM unnest(?) AS n (id) JOIN skald_inventory.products AS p ON p.id = n.id
ORDER BY p.id FOR UPDATE OF p";

#[derive(QueryableByName)]
struct LockedRow {
    #[diesel(embed)]
    product: Row,
    #[diesel(sql_type = Bool)]
    is_contended: bool,
}

#[derive(QueryableByName)]
struct HeldRow {
    #[diesel(sql_type = SqlUuid)]
    saga: Uuid,
    #[diesel(sql_type = Text)]
    step: String,
    #[diesel(sql_type = Text)]
    product: String,
    #[diesel(sql_type = BigInt)]
    quantity: i64,
}

fn holdings(
    connection: &mut PgConnection,
    known: &BTreeSet<RecordKey>,
) -> Result<BTreeMap<RecordKey, Holding>, Failure> {
    let mut holdings: BTreeMap<RecordKey, Holding> = BTreeMap::new();
    if known.is_empty() {
        return Ok(holdings);
    }
    let (sagas, steps) = columns(known);
    let rows: Vec<HeldRow> = Statement::new(
        "SELECT r.saga, r.step, r.product, r.quantity FROM unnest(?, ?) AS n (saga, step)
         JOIN skald_inventory.reservations AS r ON r.saga = n.saga AND r.step = n.step",
    )
    .bind::<Array<SqlUuid>, _>(sagas)
    .bind::<Array<Text>, _>(steps)
    .load(connection)?;
    for HeldRow { saga, step, product, quantity } in rows {
        let key = RecordKey { saga: SagaId(saga), step: step.as_str().into() };
        holdings.entry(key).or_default().insert(product.into(), quantity);
    }
    Ok(holdings)
}

fn write(
    connection: &mut PgConnection,
    view: &InventoryView,
    change: &InventoryChange,
) -> Result<(), Failure> {
    let replaced = change.held.keys().filter(|key| view.holdings.contains_key(key));
    let emptied: BTreeSet<&RecordKey> = change.released.iter().chain(replaced).collect();
    if !emptied.is_empty() {
        let (sagas, steps) = columns(emptied);
        Statement::new(
            "DELETE FROM skald_inventory.reservations AS r USING unnest(?, ?) AS n (saga, step)
             WHERE r.saga = n.saga AND r.step = n.step",
        )
        .bind::<Array<SqlUuid>, _>(sagas)
        .bind::<Array<Text>, _>(steps)
        .execute(connection)?;
    }
    hold(connection, &change.held)?;
    reserve(connection, &change.reserved)
}

fn hold(connection: &mut PgConnection, held: &BTreeMap<RecordKey, Holding>) -> Result<(), Failure> {
    let lines = || held.iter().flat_map(|(key, held)| held.iter().map(move |line| (key, line)));
    if lines().next().is_none() {
        return Ok(());
    }
    let (sagas, steps) = columns(lines().map(|(key, _)| key));
    let (products, quantities): (Vec<&str>, Vec<i64>) =
        lines().map(|(_, (product, quantity))| (product.as_str(), *quantity)).unzip();
    Statement::new(
        "INSERT INTO skald_inventory.reservations (saga, step, product, quantity)
         SELECT * FROM unnest(?, ?, ?, ?)",
    )
    .bind::<Array<SqlUuid>, _>(sagas)
    .bind::<Array<Text>, _>(steps)
    .bind::<Array<Text>, _>(products)
    .bind::<Array<BigInt>, _>(quantities)
    .execute(connection)?;
    Ok(())
}

/// Changes the products, which were locked before, unless one of them does not exist.
fn reserve(
    connection: &mut PgConnection,
    changes: &BTreeMap<ProductId, i64>,
) -> Result<(), Failure> {
    let (ids, deltas): (Vec<&str>, Vec<i64>) = changes
        .iter()
        .filter(|(_, change)| **change != 0)
        .map(|(id, change)| (id.as_str(), *change))
        .unzip();
    if ids.is_empty() {
        return Ok(());
    }
    let wanted = ids.len();
    let found = Statement::new(
        "UPDATE skald_inventory.products AS p SET reserved = p.reserved + n.change
         FROM unnest(?, ?) AS n (id, change) WHERE p.id = n.id",
    )
    .bind::<Array<Text>, _>(ids)
    .bind::<Array<BigInt>, _>(deltas)
    .execute(connection)?;
    match found == wanted {
        true => Ok(()),
        false => {
            Err(Failure::Refused(format!("{} products to reserve of do not exist", wanted - found)))
        }
    }
}

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = products)]
struct Row {
    id: String,
    on_hand: i64,
    reserved: i64,
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        Self { id: row.id.into(), on_hand: row.on_hand, reserved: row.reserved }
    }
}
