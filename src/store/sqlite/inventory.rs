//! Products, reservations and the inventory worker's records.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::connection::Database;
use super::encode::Id;
use super::failure::Failure;
use super::records;
use super::schema::inventory::{products, reservations};
use super::update::update;
use crate::orders::ProductId;
use crate::ports::StoreError;
use crate::ports::inventory::{
    Holding, InventoryChange, InventoryStore, InventoryView, Product, StockSet,
};
use crate::ports::work::RecordKey;

/// The inventory worker's file.
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
        self.database.write(|connection| {
            let view = view(connection, keys, wanted)?;
            let change = settle(&view);
            write(connection, &view, &change)
        })
    }

    fn set_on_hand(&self, id: &ProductId, on_hand: i64) -> Result<StockSet, StoreError> {
        self.database.write(|connection| {
            let found = product(connection, id)?;
            match found {
                Some(product) if on_hand < product.reserved => {
                    return Ok(StockSet::BelowReserved(product));
                }
                Some(_) => {
                    update!(
                        products::table,
                        products::on_hand.eq(on_hand),
                        products::id.eq(id.as_str()),
                    )
                    .execute(connection)?;
                }
                None => {
                    diesel::insert_into(products::table)
                        .values((
                            products::id.eq(id.as_str()),
                            products::on_hand.eq(on_hand),
                            products::reserved.eq(0),
                        ))
                        .execute(connection)?;
                }
            }
            let reserved = found.map_or(0, |product| product.reserved);
            Ok(StockSet::Set(Product { id: id.clone(), on_hand, reserved }))
        })
    }

    fn product(&self, id: &ProductId) -> Result<Option<Product>, StoreError> {
        self.database.read(|connection| Ok(product(connection, id)?))
    }

    fn products(&self, after: Option<&ProductId>, limit: u32) -> Result<Vec<Product>, StoreError> {
        self.database.read(|connection| {
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

fn view(
    connection: &mut SqliteConnection,
    keys: &BTreeSet<RecordKey>,
    wanted: &BTreeSet<ProductId>,
) -> Result<InventoryView, Failure> {
    let records = records::read(connection, keys)?;
    let mut holdings = BTreeMap::new();
    let mut touched = wanted.clone();
    for key in keys {
        let held = holding(connection, key)?;
        if !held.is_empty() {
            touched.extend(held.keys().cloned());
            holdings.insert(key.clone(), held);
        }
    }
    let mut products = BTreeMap::new();
    for id in touched {
        if let Some(product) = product(connection, &id)? {
            products.insert(id, product);
        }
    }
    // There is one writer, which waits for all of the file and for no product.
    Ok(InventoryView { records, holdings, products, contended: BTreeSet::new() })
}

fn holding(connection: &mut SqliteConnection, key: &RecordKey) -> Result<Holding, Failure> {
    let rows: Vec<(String, i64)> = reservations::table
        .filter(reservations::saga.eq(Id(key.saga.0)))
        .filter(reservations::step.eq(key.step.as_str()))
        .select((reservations::product, reservations::quantity))
        .load(connection)?;
    Ok(rows.into_iter().map(|(product, quantity)| (product.into(), quantity)).collect())
}

fn write(
    connection: &mut SqliteConnection,
    view: &InventoryView,
    change: &InventoryChange,
) -> Result<(), Failure> {
    records::write(connection, &change.records)?;
    let emptied = change.held.keys().filter(|key| view.holdings.contains_key(key));
    for key in change.released.iter().chain(emptied) {
        diesel::delete(
            reservations::table
                .filter(reservations::saga.eq(Id(key.saga.0)))
                .filter(reservations::step.eq(key.step.as_str())),
        )
        .execute(connection)?;
    }
    for (key, held) in &change.held {
        for (product, quantity) in held {
            diesel::insert_into(reservations::table)
                .values((
                    reservations::saga.eq(Id(key.saga.0)),
                    reservations::step.eq(key.step.as_str()),
                    reservations::product.eq(product.as_str()),
                    reservations::quantity.eq(quantity),
                ))
                .execute(connection)?;
        }
    }
    for (id, change) in change.reserved.iter().filter(|(_, change)| **change != 0) {
        let found = update!(
            products::table,
            products::reserved.eq(products::reserved + change),
            products::id.eq(id.as_str()),
        )
        .execute(connection)?;
        if found == 0 {
            return Err(Failure::Refused(format!("there is no product {id} to reserve")));
        }
    }
    Ok(())
}

#[derive(Queryable, Selectable)]
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

fn product(connection: &mut SqliteConnection, id: &ProductId) -> QueryResult<Option<Product>> {
    let row: Option<Row> =
        products::table.find(id.as_str()).select(Row::as_select()).first(connection).optional()?;
    Ok(row.map(Product::from))
}
