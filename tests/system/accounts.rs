//! Whether everything adds up, by what the stores and the files say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use skald::contract::event;
use skald::orders::script::OrderScript;
use skald::orders::{Order, OrderStatus};
use skald::ports::queries::{OrderFilter, SagaFilter};
use skald::saga::effect::Script;
use skald::saga::state::SagaStatus;
use skald::store::Stores;

/// How many sagas have not ended.
pub fn unfinished(stores: &Stores) -> u64 {
    let ended = [SagaStatus::Completed, SagaStatus::Cancelled];
    let counts = stores.queries.counts().unwrap().sagas;
    counts.into_iter().filter(|(status, _)| !ended.contains(status)).map(|(_, count)| count).sum()
}

/// Every order that a customer was told of is there once, and has come to its end.
pub fn every_accepted_order_is_terminal(stores: &Stores, accepted: &[(String, String)]) {
    let mut by_key = BTreeMap::new();
    for (key, id) in accepted {
        let told = by_key.entry(key).or_insert(id);
        assert_eq!(*told, id, "one key, two orders");
        let order = stores.queries.order(id.parse().unwrap()).unwrap();
        let order = order.unwrap_or_else(|| panic!("order {id} was accepted and is gone"));
        assert_ne!(order.status, OrderStatus::Pending, "order {id}");
    }
    let orders: u64 =
        stores.queries.counts().unwrap().orders.into_iter().map(|(_, count)| count).sum();
    assert_eq!(orders, by_key.len() as u64, "as many orders as keys");
}

/// What is reserved of each product is what confirmed orders hold, and never more than there is.
pub fn the_stock_adds_up(stores: &Stores) {
    let mut held: BTreeMap<String, i64> = BTreeMap::new();
    for order in orders(stores, OrderStatus::Confirmed) {
        for item in order.items {
            *held.entry(item.product.to_string()).or_default() += i64::from(item.quantity);
        }
    }
    let mut after = None;
    loop {
        let products = stores.inventory.products(after.as_ref(), 200).unwrap();
        let Some(last) = products.last() else { break };
        after = Some(last.id.clone());
        for product in products {
            let expected = held.remove(product.id.as_str()).unwrap_or(0);
            assert_eq!(product.reserved, expected, "{}", product.id);
            assert!(product.reserved <= product.on_hand, "{}", product.id);
        }
    }
    assert!(held.is_empty(), "reserved of unknown products: {held:?}");
}

/// Each saga told its customer exactly once: one row for each key, one mail in `folder` for each row.
pub fn one_notification_for_each_order(stores: &Stores, folder: &Path) {
    let rows: u64 = stores.notification.counts().unwrap().into_iter().map(|(_, count)| count).sum();
    let orders: u64 =
        stores.queries.counts().unwrap().orders.into_iter().map(|(_, count)| count).sum();
    assert_eq!(rows, orders);
    assert_eq!(files_below(folder) as u64, orders);
}

/// The ids of the events that every saga's history has to tell of. What is missing among them was
/// never heard, what is beside them never happened.
pub fn events(stores: &Stores) -> BTreeSet<String> {
    let (mut before, mut expected) = (None, BTreeSet::new());
    loop {
        let page = stores.queries.sagas(&SagaFilter::default(), before, 200).unwrap();
        let Some(last) = page.last() else { return expected };
        before = Some(last.id);
        for row in &page {
            let (saga, _) = stores.queries.saga(row.id).unwrap().unwrap();
            for recorded in stores.queries.history(row.id, 0, 1_000).unwrap() {
                let script: &dyn Script = &OrderScript;
                let event = event::write(script, &saga, &recorded).unwrap();
                expected.extend(event.map(|event| event.message.id));
            }
        }
    }
}

/// The ids of the events in the file of a listener.
pub fn heard(file: &Path) -> BTreeSet<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let events = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    events.map(|event: serde_json::Value| event["id"].as_str().unwrap().to_owned()).collect()
}

fn orders(stores: &Stores, status: OrderStatus) -> Vec<Order> {
    let filter = OrderFilter { user: None, status: Some(status) };
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = stores.queries.orders(&filter, before, 200).unwrap();
        let Some(last) = page.last() else { return all };
        before = Some(last.id);
        all.extend(page);
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files_below(&path) } else { usize::from(is_mail(&path)) })
        .sum()
}

fn is_mail(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "eml")
}
