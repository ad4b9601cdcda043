//! Products, reservations, and the inventory worker's records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use skald::orders::ProductId;
use skald::ports::StoreError;
use skald::ports::inventory::{
    Holding, InventoryChange, InventoryStore, InventoryView, Product, StockSet,
};
use skald::ports::work::{Answered, RecordKey, WorkOutcome, WorkRecord};
use skald::saga::json::Json;

use super::sample;
use super::stage::Stage;

pub fn key(n: u64) -> RecordKey {
    RecordKey { saga: sample::saga_id(n), step: "reserve-inventory".into() }
}

/// What a worker remembers that did its work in the n-th try.
pub fn done(generation: u32) -> WorkRecord {
    let outcome = WorkOutcome::Success(Json::of(&generation).unwrap());
    WorkRecord { done: Some(Answered { generation, outcome }), ..WorkRecord::default() }
}

fn stock(stage: &Stage, id: &str, on_hand: i64) {
    let set = stage.inventory.set_on_hand(&id.into(), on_hand).unwrap();
    assert!(matches!(set, StockSet::Set(_)), "{set:?}");
}

fn product(id: &str, on_hand: i64, reserved: i64) -> Product {
    Product { id: id.into(), on_hand, reserved }
}

fn stored(stage: &Stage, id: &str) -> Option<Product> {
    stage.inventory.product(&id.into()).unwrap()
}

fn holding(lines: &[(&str, i64)]) -> Holding {
    lines.iter().map(|(product, quantity)| (ProductId::from(*product), *quantity)).collect()
}

/// Has the n-th record hold these lines.
fn reserving(n: u64, lines: &[(&str, i64)]) -> InventoryChange {
    InventoryChange {
        records: BTreeMap::from([(key(n), done(1))]),
        reserved: holding(lines),
        held: BTreeMap::from([(key(n), holding(lines))]),
        released: BTreeSet::new(),
    }
}

/// Runs a transaction on the n-th record; tells what it saw.
fn transact(
    stage: &Stage,
    n: u64,
    wanted: &[&str],
    change: InventoryChange,
) -> Result<InventoryView, StoreError> {
    let mut seen = InventoryView::default();
    let wanted = wanted.iter().map(|id| ProductId::from(*id)).collect();
    stage.inventory.transact(&BTreeSet::from([key(n)]), &wanted, &mut |view| {
        seen = view.clone();
        change.clone()
    })?;
    Ok(seen)
}

fn look(stage: &Stage, n: u64, wanted: &[&str]) -> InventoryView {
    transact(stage, n, wanted, InventoryChange::default()).unwrap()
}

pub fn a_product_is_made_by_setting_its_stock(stage: Stage) {
    assert_eq!(stored(&stage, "pen"), None);
    let set = stage.inventory.set_on_hand(&"pen".into(), 5).unwrap();
    assert_eq!(set, StockSet::Set(product("pen", 5, 0)));
    let set = stage.inventory.set_on_hand(&"pen".into(), 7).unwrap();
    assert_eq!(set, StockSet::Set(product("pen", 7, 0)));
    assert_eq!(stored(&stage, "pen"), Some(product("pen", 7, 0)));
    let negative = stage.inventory.set_on_hand(&"ink".into(), -1);
    assert!(matches!(negative, Err(StoreError::Refused { .. })), "{negative:?}");
}

pub fn stock_can_not_be_set_below_what_is_reserved(stage: Stage) {
    stock(&stage, "pen", 5);
    transact(&stage, 1, &["pen"], reserving(1, &[("pen", 3)])).unwrap();
    let set = stage.inventory.set_on_hand(&"pen".into(), 2).unwrap();
    assert_eq!(set, StockSet::BelowReserved(product("pen", 5, 3)));
    let set = stage.inventory.set_on_hand(&"pen".into(), 3).unwrap();
    assert_eq!(set, StockSet::Set(product("pen", 3, 3)));
}

pub fn products_come_by_id_and_page_by_page(stage: Stage) {
    for id in ["c", "a", "é", "b", "B"] {
        stock(&stage, id, 1);
    }
    let page = |after: Option<&str>, limit| -> Vec<String> {
        let after = after.map(ProductId::from);
        let products = stage.inventory.products(after.as_ref(), limit).unwrap();
        products.into_iter().map(|product| product.id.to_string()).collect()
    };
    assert_eq!(page(None, 100), ["B", "a", "b", "c", "é"]);
    assert_eq!(page(Some("a"), 2), ["b", "c"]);
    assert_eq!(page(Some("é"), 2), [] as [&str; 0]);
}

pub fn a_transaction_sees_what_it_asked_for(stage: Stage) {
    stock(&stage, "pen", 5);
    stock(&stage, "ink", 1);
    let view = look(&stage, 1, &["pen", "paper"]);
    assert_eq!(view.records, BTreeMap::from([(key(1), WorkRecord::default())]));
    assert!(view.holdings.is_empty());
    assert_eq!(view.products, BTreeMap::from([("pen".into(), product("pen", 5, 0))]));
}

pub fn a_transaction_sees_the_products_that_its_records_hold(stage: Stage) {
    stock(&stage, "pen", 5);
    stock(&stage, "ink", 4);
    let lines = [("ink", 1), ("pen", 3)];
    transact(&stage, 1, &["ink", "pen"], reserving(1, &lines)).unwrap();
    let view = look(&stage, 1, &[]);
    assert_eq!(view.holdings, BTreeMap::from([(key(1), holding(&lines))]));
    let products = [("ink".into(), product("ink", 4, 1)), ("pen".into(), product("pen", 5, 3))];
    assert_eq!(view.products, BTreeMap::from(products));
    assert!(look(&stage, 2, &[]).holdings.is_empty());
}

pub fn what_a_transaction_returns_is_written(stage: Stage) {
    stock(&stage, "pen", 5);
    transact(&stage, 1, &["pen"], reserving(1, &[("pen", 3)])).unwrap();
    transact(&stage, 2, &["pen"], reserving(2, &[("pen", 2)])).unwrap();
    assert_eq!(stored(&stage, "pen"), Some(product("pen", 5, 5)));
    let newer = InventoryChange {
        records: BTreeMap::from([(key(1), done(2))]),
        ..InventoryChange::default()
    };
    transact(&stage, 1, &[], newer).unwrap();

    let stage = stage.reopened();
    let view = look(&stage, 1, &[]);
    assert_eq!(view.records, BTreeMap::from([(key(1), done(2))]));
    assert_eq!(view.holdings, BTreeMap::from([(key(1), holding(&[("pen", 3)]))]));
}

pub fn a_release_leaves_nothing_held(stage: Stage) {
    stock(&stage, "pen", 5);
    for n in [1, 2] {
        transact(&stage, n, &["pen"], reserving(n, &[("pen", 2)])).unwrap();
    }
    let release = InventoryChange {
        released: BTreeSet::from([key(1)]),
        reserved: holding(&[("pen", -2)]),
        ..InventoryChange::default()
    };
    transact(&stage, 1, &[], release).unwrap();
    assert!(look(&stage, 1, &[]).holdings.is_empty());
    assert_eq!(look(&stage, 2, &[]).holdings[&key(2)], holding(&[("pen", 2)]));
    assert_eq!(stored(&stage, "pen"), Some(product("pen", 5, 2)));
}

pub fn a_new_holding_replaces_the_old_one(stage: Stage) {
    stock(&stage, "pen", 9);
    stock(&stage, "ink", 9);
    transact(&stage, 1, &["pen", "ink"], reserving(1, &[("ink", 1), ("pen", 1)])).unwrap();
    transact(&stage, 1, &["pen"], reserving(1, &[("pen", 4)])).unwrap();
    assert_eq!(look(&stage, 1, &[]).holdings[&key(1)], holding(&[("pen", 4)]));
}

fn refused_and_unwritten(stage: &Stage, change: InventoryChange, before: Option<Product>) {
    let outcome = transact(stage, 1, &["pen"], change);
    assert!(matches!(outcome, Err(StoreError::Refused { .. })), "{outcome:?}");
    assert_eq!(stored(stage, "pen"), before);
    let view = look(stage, 1, &[]);
    assert_eq!(view.records[&key(1)], WorkRecord::default());
    assert!(view.holdings.is_empty());
}

pub fn more_than_there_is_can_not_be_reserved_and_nothing_is_written(stage: Stage) {
    stock(&stage, "pen", 5);
    let before = stored(&stage, "pen");
    refused_and_unwritten(&stage, reserving(1, &[("pen", 6)]), before);
}

pub fn less_than_nothing_can_not_be_reserved(stage: Stage) {
    stock(&stage, "pen", 5);
    let before = stored(&stage, "pen");
    let release =
        InventoryChange { reserved: holding(&[("pen", -1)]), ..InventoryChange::default() };
    refused_and_unwritten(&stage, release, before);
}

pub fn what_does_not_exist_can_not_be_reserved(stage: Stage) {
    refused_and_unwritten(&stage, reserving(1, &[("pen", 1)]), None);
}

pub fn transactions_at_the_same_time_lose_nothing(stage: Stage) {
    const THREADS: u64 = 4;
    const EACH: u64 = 25;
    stock(&stage, "pen", (THREADS * EACH) as i64);
    let add_one = |inventory: &Arc<dyn InventoryStore>, n: u64| {
        let pen = BTreeSet::from([ProductId::from("pen")]);
        inventory
            .transact(&BTreeSet::from([key(n)]), &pen, &mut |view| {
                assert_eq!(view.records[&key(n)], WorkRecord::default());
                reserving(n, &[("pen", 1)])
            })
            .unwrap();
    };
    let elsewhere = stage.elsewhere();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let stores = if thread % 2 == 0 { &*stage } else { &elsewhere };
            scope.spawn(move || {
                for n in 0..EACH {
                    add_one(&stores.inventory, thread * EACH + n);
                }
            });
        }
    });
    let all = (THREADS * EACH) as i64;
    assert_eq!(stored(&stage, "pen"), Some(product("pen", all, all)));
}

pub fn a_reader_neither_waits_for_a_transaction_nor_sees_it(stage: Stage) {
    stock(&stage, "pen", 5);
    let inventory = Arc::clone(&stage.inventory);
    let mut seen = None;
    stage
        .inventory
        .transact(&BTreeSet::from([key(1)]), &BTreeSet::from(["pen".into()]), &mut |_| {
            // The transaction is open, and would stay so if this waited for it.
            seen = inventory.product(&"pen".into()).unwrap();
            reserving(1, &[("pen", 1)])
        })
        .unwrap();
    assert_eq!(seen, Some(product("pen", 5, 0)));
    assert_eq!(stored(&stage, "pen"), Some(product("pen", 5, 1)));
}

pub fn a_transaction_that_panics_changes_nothing(stage: Stage) {
    stock(&stage, "pen", 5);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        stage
            .inventory
            .transact(&BTreeSet::from([key(1)]), &BTreeSet::new(), &mut |_| panic!("on purpose"))
    }));
    assert!(panicked.is_err());
    assert_eq!(look(&stage, 1, &[]).records[&key(1)], WorkRecord::default());
    transact(&stage, 1, &["pen"], reserving(1, &[("pen", 1)])).unwrap();
    assert_eq!(stored(&stage, "pen"), Some(product("pen", 5, 1)));
}
