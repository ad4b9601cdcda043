//! Whether everything adds up, by what the stores and the files say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use skald::contract::event;
use skald::orders::script::OrderScript;
use skald::orders::{Order, OrderStatus};
use skald::ports::queries::{OrderFilter, SagaFilter};
use skald::saga::effect::Script;
use skald::saga::state::SagaStatus;
use skald::store::{Stores, sqlite};

/// The stores of a server that does not run any more.
pub fn open(folder: &Path) -> Stores {
    sqlite::open(folder, sqlite::EMBEDDED_SHARDS).unwrap()
}

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

/// Each saga told its customer exactly once: one row for each key, one mail file for each row.
pub fn one_notification_for_each_order(stores: &Stores, folder: &Path) {
    let rows: u64 = stores.notification.counts().unwrap().into_iter().map(|(_, count)| count).sum();
    let orders: u64 =
        stores.queries.counts().unwrap().orders.into_iter().map(|(_, count)| count).sum();
    assert_eq!(rows, orders);
    assert_eq!(files_below(&folder.join("mail")) as u64, orders);
}

/// Every event of every saga is in the file of the listener.
pub fn every_event_was_heard(stores: &Stores, folder: &Path) {
    let text = std::fs::read_to_string(folder.join("events.jsonl")).unwrap();
    let heard: BTreeSet<String> = text
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    let (mut before, mut expected) = (None, 0);
    loop {
        let page = stores.queries.sagas(&SagaFilter::default(), before, 200).unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        for row in &page {
            let (saga, _) = stores.queries.saga(row.id).unwrap().unwrap();
            for recorded in stores.queries.history(row.id, 0, 1_000).unwrap() {
                let script: &dyn Script = &OrderScript;
                if let Some(event) = event::write(script, &saga, &recorded).unwrap() {
                    expected += 1;
                    assert!(
                        heard.contains(&event.message.id),
                        "{} {}",
                        event.message.kind,
                        event.message.id
                    );
                }
            }
        }
    }
    assert!(expected > 0);
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
