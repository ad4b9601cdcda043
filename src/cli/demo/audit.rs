//! What the API says after the run, and whether it adds up.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::orders::{OrderId, OrderStatus, ProductId};
use crate::saga::state::SagaStatus;

/// The longest page that the server gives.
const PAGE: usize = 200;

/// What the API says.
#[derive(Debug, Default)]
pub struct Audit {
    /// Orders by status.
    orders: HashMap<OrderId, OrderStatus>,
    /// Cancelled orders by reason.
    pub cancelled_by_reason: BTreeMap<String, u64>,
    /// Pieces that confirmed orders hold.
    promised: HashMap<ProductId, i64>,
    /// The stock.
    products: Vec<Product>,
    /// The counters.
    pub stats: Stats,
}

/// A product, as the API gives it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Product {
    product_id: ProductId,
    on_hand: i64,
    reserved: i64,
    available: i64,
}

/// The counters, as the API gives them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    sagas: BTreeMap<String, u64>,
    #[serde(default)]
    notifications: BTreeMap<String, u64>,
    /// How many transitions shared a commit, on average.
    pub transitions_per_commit: f64,
}

impl Stats {
    /// How many mails were sent.
    pub fn mails(&self) -> u64 {
        self.notifications.get("SENT").copied().unwrap_or_default()
    }

    fn unfinished_sagas(&self) -> u64 {
        let ends = [SagaStatus::Completed, SagaStatus::Cancelled].map(SagaStatus::as_str);
        let unfinished = self.sagas.iter().filter(|(status, _)| !ends.contains(&status.as_str()));
        unfinished.map(|(_, count)| count).sum()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrdersPage {
    orders: Vec<Order>,
    next_cursor: Option<String>,
}

/// An order, as the API gives it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: OrderId,
    status: OrderStatus,
    reason: Option<Reason>,
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Reason {
    code: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    product_id: ProductId,
    quantity: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProductsPage {
    products: Vec<Product>,
    next_cursor: Option<String>,
}

/// Reads every order, every product and the counters.
///
/// # Errors
/// When the API does not answer.
pub async fn read(client: &Client) -> Result<Audit, Failure> {
    let mut audit = Audit { stats: client.get("/v1/stats").await?, ..Audit::default() };
    for status in OrderStatus::ALL {
        let mut cursor = Some(String::new());
        while let Some(from) = cursor {
            let path = format!("/v1/orders?status={}&limit={PAGE}&cursor={from}", status.as_str());
            let page: OrdersPage = client.get(&path).await?;
            page.orders.into_iter().for_each(|order| audit.note(order));
            cursor = page.next_cursor;
        }
    }
    let mut cursor = Some(String::new());
    while let Some(from) = cursor {
        let path = format!("/v1/inventory/products?limit={PAGE}&cursor={from}");
        let page: ProductsPage = client.get(&path).await?;
        audit.products.extend(page.products);
        cursor = page.next_cursor;
    }
    Ok(audit)
}

impl Audit {
    fn note(&mut self, order: Order) {
        self.orders.insert(order.order_id, order.status);
        match order.status {
            OrderStatus::Pending => {}
            OrderStatus::Confirmed => {
                for Item { product_id, quantity } in order.items {
                    *self.promised.entry(product_id).or_default() += quantity;
                }
            }
            OrderStatus::Cancelled => {
                let code = order.reason.map_or_else(|| "NONE".to_owned(), |reason| reason.code);
                *self.cancelled_by_reason.entry(code).or_default() += 1;
            }
        }
    }

    /// How many orders have this status.
    pub fn count(&self, wanted: OrderStatus) -> u64 {
        self.orders.values().filter(|status| **status == wanted).count() as u64
    }

    /// What is wrong with the orders: every one that was `accepted` must be there, at its end, and
    /// no other. Empty where nothing is.
    pub fn faults_of_orders(&self, accepted: &[OrderId]) -> Vec<String> {
        let known: HashSet<OrderId> = accepted.iter().copied().collect();
        let lost = known.iter().filter(|id| !self.orders.contains_key(id)).count();
        let foreign = self.orders.keys().filter(|id| !known.contains(id)).count();
        let counted = [
            (lost as u64, "orders were accepted and are gone"),
            (foreign as u64, "orders are there that nobody sent"),
            ((accepted.len() - known.len()) as u64, "orders were accepted twice"),
            (self.count(OrderStatus::Pending), "orders have not ended"),
            (self.stats.unfinished_sagas(), "sagas have not ended"),
        ];
        let wrong = counted.into_iter().filter(|(count, _)| *count > 0);
        wrong.map(|(count, what)| format!("{count} {what}")).collect()
    }

    /// What is wrong with the stock: for each of the `expected` products onHand is what it was at
    /// the start and the sum of available and reserved, and reserved is what confirmed orders hold.
    /// Empty where nothing is.
    pub fn faults_of_stock(&self, expected: &[(ProductId, i64)]) -> Vec<String> {
        let mut missing: BTreeMap<&ProductId, i64> =
            expected.iter().map(|(id, on_hand)| (id, *on_hand)).collect();
        let mut promised = self.promised.clone();
        let mut faults = Vec::new();
        for Product { product_id: id, on_hand, reserved, available } in &self.products {
            let put = missing.remove(id);
            if put != Some(*on_hand) {
                faults.push(format!("{id}: onHand is {on_hand}, but {put:?} was put in"));
            }
            if *on_hand != available + reserved || *available < 0 || *reserved < 0 {
                faults.push(format!(
                    "{id}: onHand {on_hand} is not available {available} + reserved {reserved}"
                ));
            }
            let held = promised.remove(id).unwrap_or_default();
            if *reserved != held {
                faults.push(format!(
                    "{id}: reserved is {reserved}, but confirmed orders hold {held}"
                ));
            }
        }
        faults.extend(missing.keys().map(|id| format!("{id}: the product is gone")));
        let unknown =
            promised.keys().map(|id| format!("{id}: confirmed, but there is no such product"));
        faults.extend(unknown);
        faults
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(n: u128, status: &str, quantity: i64) -> serde_json::Value {
        json!({"orderId": uuid::Uuid::from_u128(n), "status": status, "userId": "ignored",
            "reason": {"code": "INSUFFICIENT_STOCK"},
            "items": [{"productId": "a", "quantity": quantity, "price": 1}]})
    }

    fn audit(orders: &[serde_json::Value], stock: [i64; 3], running: u64) -> Audit {
        let mut audit = Audit::default();
        for order in orders {
            audit.note(serde_json::from_value(order.clone()).unwrap());
        }
        let [on_hand, reserved, available] = stock;
        audit.products = vec![Product { product_id: "a".into(), on_hand, reserved, available }];
        audit.stats.sagas = [("RUNNING".to_owned(), running), ("COMPLETED".to_owned(), 9)].into();
        audit
    }

    fn ids(ids: &[u128]) -> Vec<OrderId> {
        ids.iter().map(|n| OrderId(uuid::Uuid::from_u128(*n))).collect()
    }

    fn expected() -> Vec<(ProductId, i64)> {
        vec![("a".into(), 10)]
    }

    #[test]
    fn what_adds_up_has_no_faults() {
        let orders = [order(1, "CONFIRMED", 2), order(2, "CONFIRMED", 3), order(3, "CANCELLED", 7)];
        let audit = audit(&orders, [10, 5, 5], 0);
        assert!(audit.faults_of_orders(&ids(&[1, 2, 3])).is_empty());
        assert!(audit.faults_of_stock(&expected()).is_empty());
        assert_eq!(audit.count(OrderStatus::Confirmed), 2);
        assert_eq!(audit.cancelled_by_reason, [("INSUFFICIENT_STOCK".to_owned(), 1)].into());
    }

    #[test]
    fn every_order_that_is_lost_foreign_doubled_or_unfinished_is_a_fault() {
        let one = [order(1, "CONFIRMED", 1)];
        let faults = |orders: &[_], running, accepted: &[u128]| {
            audit(orders, [10, 1, 9], running).faults_of_orders(&ids(accepted)).join("; ")
        };
        assert_eq!(faults(&one, 0, &[1]), "");
        assert_eq!(faults(&one, 0, &[1, 2]), "1 orders were accepted and are gone");
        assert_eq!(faults(&one, 0, &[]), "1 orders are there that nobody sent");
        assert_eq!(faults(&one, 0, &[1, 1]), "1 orders were accepted twice");
        assert_eq!(faults(&[order(1, "PENDING", 1)], 0, &[1]), "1 orders have not ended");
        assert_eq!(faults(&one, 4, &[1]), "4 sagas have not ended");
    }

    #[test]
    fn stock_that_does_not_add_up_is_a_fault() {
        let one = [order(1, "CONFIRMED", 2)];
        let faults = |stock| audit(&one, stock, 0).faults_of_stock(&expected()).len();
        assert_eq!(faults([10, 2, 8]), 0);
        assert_eq!(faults([10, 3, 7]), 1);
        assert_eq!(faults([10, 2, 7]), 1);
        assert_eq!(faults([11, 2, 9]), 1);
        let oversold = audit(&[order(1, "CONFIRMED", 12)], [10, 12, -2], 0);
        assert_eq!(oversold.faults_of_stock(&expected()).len(), 1);
        let mut gone = audit(&one, [10, 2, 8], 0);
        gone.products.clear();
        assert_eq!(gone.faults_of_stock(&expected()).len(), 2);
    }
}
