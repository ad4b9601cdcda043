//! Lists of orders. The n-th sample order is that of user n mod 3.

use skald::orders::{Order, OrderId, OrderStatus};
use skald::ports::queries::OrderFilter;

use super::sample;
use super::stage::Stage;

/// Nine orders; 2, 3, 6 and 9 are confirmed, 7 and 8 cancelled.
fn nine_orders(stage: &Stage) {
    let owner = stage.owner();
    for n in [5, 1, 9, 3, 7, 2, 8, 4, 6] {
        let saga = owner.place(n);
        match n {
            2 | 3 | 6 | 9 => drop(owner.go_on(&saga, sample::succeeded)),
            7 | 8 => drop(owner.go_on(&saga, sample::refused)),
            _ => {}
        }
    }
}

fn page(stage: &Stage, filter: &OrderFilter, before: Option<u64>, limit: u32) -> Vec<OrderId> {
    let orders = stage.queries.orders(filter, before.map(sample::order_id), limit).unwrap();
    assert!(orders.iter().all(|order: &Order| order.items == sample::order(1).items));
    orders.into_iter().map(|order| order.id).collect()
}

fn ids<const N: usize>(numbers: [u64; N]) -> [OrderId; N] {
    numbers.map(sample::order_id)
}

fn of_user(user: &str) -> OrderFilter {
    OrderFilter { user: Some(user.to_owned()), status: None }
}

fn with_status(status: OrderStatus) -> OrderFilter {
    OrderFilter { user: None, status: Some(status) }
}

pub fn orders_come_newest_first_and_page_by_page(stage: Stage) {
    nine_orders(&stage);
    let all = OrderFilter::default();
    assert_eq!(page(&stage, &all, None, 100), ids([9, 8, 7, 6, 5, 4, 3, 2, 1]));
    assert_eq!(page(&stage, &all, None, 4), ids([9, 8, 7, 6]));
    assert_eq!(page(&stage, &all, Some(6), 4), ids([5, 4, 3, 2]));
    assert_eq!(page(&stage, &all, Some(2), 4), ids([1]));
    assert_eq!(page(&stage, &all, Some(1), 4), []);
}

pub fn orders_are_found_by_user(stage: Stage) {
    nine_orders(&stage);
    assert_eq!(page(&stage, &of_user("user-2"), None, 100), ids([8, 5, 2]));
    assert_eq!(page(&stage, &of_user("user-1"), Some(7), 1), ids([4]));
    assert_eq!(page(&stage, &of_user("user"), None, 100), []);
}

pub fn orders_are_found_by_status(stage: Stage) {
    nine_orders(&stage);
    assert_eq!(page(&stage, &with_status(OrderStatus::Pending), None, 100), ids([5, 4, 1]));
    assert_eq!(page(&stage, &with_status(OrderStatus::Confirmed), Some(9), 1), ids([6]));
    assert_eq!(page(&stage, &with_status(OrderStatus::Cancelled), None, 100), ids([8, 7]));
}

pub fn orders_are_found_by_user_and_status(stage: Stage) {
    nine_orders(&stage);
    let both = |user, status| OrderFilter { status: Some(status), ..of_user(user) };
    let found = |user, status| page(&stage, &both(user, status), None, 100);
    assert_eq!(found("user-0", OrderStatus::Confirmed), ids([9, 6, 3]));
    assert_eq!(found("user-1", OrderStatus::Pending), ids([4, 1]));
    assert_eq!(found("user-2", OrderStatus::Cancelled), ids([8]));
    assert_eq!(found("user-0", OrderStatus::Cancelled), []);
}
