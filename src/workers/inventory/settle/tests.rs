use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::ports::inventory::Product;
use crate::saga::definition::Direction;
use crate::saga::effect::IdempotencyKey;
use crate::saga::id::SagaId;

const NOW: Timestamp = Timestamp(1_000_000);

/// A warehouse, as a store would keep it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Warehouse {
    records: BTreeMap<RecordKey, WorkRecord>,
    holdings: BTreeMap<RecordKey, Holding>,
    products: BTreeMap<ProductId, (i64, i64)>,
}

impl Warehouse {
    fn stocked(stock: &[(&str, i64)]) -> Self {
        let products = stock.iter().map(|(id, on_hand)| ((*id).into(), (*on_hand, 0))).collect();
        Self { products, ..Self::default() }
    }

    fn settle(&mut self, commands: &[InventoryCommand]) -> Vec<ReplyBody> {
        let products = self.products.iter().map(|(id, (on_hand, reserved))| {
            (id.clone(), Product { id: id.clone(), on_hand: *on_hand, reserved: *reserved })
        });
        let view = InventoryView {
            records: self.records.clone(),
            holdings: self.holdings.clone(),
            products: products.collect(),
            contended: Default::default(),
        };
        let (change, replies) = settle(&view, commands, NOW);
        self.write(change);
        replies
    }

    fn write(&mut self, change: InventoryChange) {
        assert!(change.held.keys().all(|step| !change.released.contains(step)));
        self.records.extend(change.records);
        self.holdings.retain(|step, _| !change.released.contains(step));
        self.holdings.extend(change.held);
        for (product, amount) in change.reserved {
            self.products.get_mut(&product).unwrap().1 += amount;
        }
    }

    fn reserved(&self, product: &str) -> i64 {
        self.products[product].1
    }

    /// What holds at all times.
    fn check(&self) {
        for (id, (on_hand, reserved)) in &self.products {
            assert!((0..=*on_hand).contains(reserved), "{id}: {reserved} of {on_hand}");
            let held: i64 = self.holdings.values().filter_map(|holding| holding.get(id)).sum();
            assert_eq!(*reserved, held, "{id}: what is reserved is not what is held");
        }
    }
}

fn key(saga: u128, generation: u32, direction: Direction) -> IdempotencyKey {
    let saga = SagaId(Uuid::from_u128(saga));
    IdempotencyKey { saga, step: "reserve".into(), generation, direction }
}

fn reserve(saga: u128, generation: u32, lines: &[(&str, i64)]) -> InventoryCommand {
    let wanted = lines.iter().map(|(id, amount)| ((*id).into(), *amount)).collect();
    let key = key(saga, generation, Direction::Do);
    InventoryCommand { key, request: Request::Reserve(wanted) }
}

fn release(saga: u128, generation: u32) -> InventoryCommand {
    let key = key(saga, generation, Direction::Undo);
    InventoryCommand { key, request: Request::Release }
}

fn done(json: &str) -> ReplyBody {
    ReplyBody::Settled(WorkOutcome::Success(serde_json::from_str(json).unwrap()))
}

fn refused(code: &str, text: &str) -> ReplyBody {
    let reason = Reason { code: code.into(), text: text.to_owned() };
    ReplyBody::Settled(WorkOutcome::Failure(reason))
}

#[test]
fn an_order_is_reserved_and_released() {
    let mut warehouse = Warehouse::stocked(&[("a", 5), ("b", 5)]);
    let replies = warehouse.settle(&[reserve(1, 1, &[("a", 2), ("b", 5)])]);
    assert_eq!(replies, [done(r#"{"reserved":{"products":2,"pieces":7}}"#)]);
    assert_eq!((warehouse.reserved("a"), warehouse.reserved("b")), (2, 5));
    let replies = warehouse.settle(&[release(1, 1)]);
    assert_eq!(replies, [done(r#"{"released":{"products":2,"pieces":7}}"#)]);
    assert_eq!((warehouse.reserved("a"), warehouse.reserved("b")), (0, 0));
    assert!(warehouse.holdings.is_empty());
}

#[test]
fn of_an_order_that_lacks_one_line_nothing_is_reserved() {
    let mut warehouse = Warehouse::stocked(&[("a", 5), ("b", 1)]);
    let replies = warehouse.settle(&[reserve(1, 1, &[("a", 2), ("b", 2)])]);
    assert_eq!(replies, [refused(INSUFFICIENT_STOCK, "not enough of b")]);
    assert_eq!((warehouse.reserved("a"), warehouse.reserved("b")), (0, 0));
}

#[test]
fn an_unknown_product_is_told_before_a_scarce_one() {
    let mut warehouse = Warehouse::stocked(&[("a", 1)]);
    let lines = [("a", 2), ("v", 1), ("w", 1), ("x", 1), ("y", 1)];
    let replies = warehouse.settle(&[reserve(1, 1, &lines)]);
    assert_eq!(replies, [refused(UNKNOWN_PRODUCT, "unknown v, w and 2 more")]);
}

#[test]
fn the_last_piece_goes_to_the_first_in_the_batch() {
    let mut warehouse = Warehouse::stocked(&[("a", 1)]);
    let replies = warehouse.settle(&[reserve(1, 1, &[("a", 1)]), reserve(2, 1, &[("a", 1)])]);
    assert!(matches!(&replies[0], ReplyBody::Settled(WorkOutcome::Success(_))));
    assert_eq!(replies[1], refused(INSUFFICIENT_STOCK, "not enough of a"));
}

#[test]
fn what_is_released_in_a_batch_can_be_reserved_in_it() {
    let mut warehouse = Warehouse::stocked(&[("a", 1)]);
    warehouse.settle(&[reserve(1, 1, &[("a", 1)])]);
    let replies = warehouse.settle(&[release(1, 1), reserve(2, 1, &[("a", 1)])]);
    assert!(matches!(&replies[1], ReplyBody::Settled(WorkOutcome::Success(_))));
    warehouse.check();
}

#[test]
fn a_repeat_is_answered_the_same_and_changes_nothing() {
    let mut warehouse = Warehouse::stocked(&[("a", 10)]);
    for command in [reserve(1, 1, &[("a", 1)]), reserve(2, 1, &[("a", 99)]), release(1, 1)] {
        let first = warehouse.settle(std::slice::from_ref(&command));
        let after = warehouse.clone();
        let again = warehouse.settle(&[command.clone(), command]);
        assert_eq!(again, [first[0].clone(), first[0].clone()]);
        assert_eq!(warehouse, after);
    }
}

#[test]
fn a_reservation_that_comes_after_its_release_is_refused() {
    let mut warehouse = Warehouse::stocked(&[("a", 10)]);
    let replies = warehouse.settle(&[release(1, 1), reserve(1, 1, &[("a", 1)])]);
    assert_eq!(replies[0], done(r#"{"released":{"products":0,"pieces":0}}"#));
    assert_eq!(replies[1], refused(ALREADY_RELEASED, ""));
    assert_eq!(warehouse.reserved("a"), 0);
}

#[test]
fn a_reservation_and_its_release_in_one_batch_leave_nothing() {
    let mut warehouse = Warehouse::stocked(&[("a", 10)]);
    warehouse.settle(&[reserve(1, 1, &[("a", 3)]), release(1, 1)]);
    assert_eq!(warehouse.reserved("a"), 0);
    assert!(warehouse.holdings.is_empty());
}

#[test]
fn a_new_generation_after_a_release_reserves_again() {
    let mut warehouse = Warehouse::stocked(&[("a", 10)]);
    warehouse.settle(&[reserve(1, 1, &[("a", 3)])]);
    warehouse.settle(&[release(1, 1), reserve(1, 2, &[("a", 4)])]);
    assert_eq!(warehouse.reserved("a"), 4);
    warehouse.check();
}

#[test]
fn a_late_release_leaves_a_newer_generation_alone() {
    let mut warehouse = Warehouse::stocked(&[("a", 10)]);
    warehouse.settle(&[reserve(1, 2, &[("a", 4)]), release(1, 1)]);
    assert_eq!(warehouse.reserved("a"), 4);
}

#[test]
fn a_release_gives_back_what_the_record_holds_not_what_is_in_stock_now() {
    let mut warehouse = Warehouse::stocked(&[("a", 10)]);
    warehouse.settle(&[reserve(1, 1, &[("a", 4)])]);
    warehouse.products.get_mut("a").unwrap().0 = 4;
    warehouse.settle(&[release(1, 1)]);
    assert_eq!(warehouse.products["a"], (4, 0));
}

fn commands() -> impl Strategy<Value = Vec<InventoryCommand>> {
    let lines = prop::collection::btree_map(
        prop::sample::select(vec!["a", "b", "c", "unknown"]),
        1..5_i64,
        1..3,
    );
    let one = (0..4_u128, 1..4_u32, prop::option::weighted(0.6, lines));
    let command = one.prop_map(|(saga, generation, lines)| match lines {
        Some(lines) => reserve(saga, generation, &lines.into_iter().collect::<Vec<_>>()),
        None => release(saga, generation),
    });
    prop::collection::vec(command, 1..40)
}

proptest! {
    #[test]
    fn a_batch_comes_to_the_same_as_its_commands_one_by_one(
        commands in commands(),
        cut in 0..40_usize,
    ) {
        let stock = [("a", 3), ("b", 8), ("c", 0)];
        let (mut batched, mut single) = (Warehouse::stocked(&stock), Warehouse::stocked(&stock));
        let (first, second) = commands.split_at(cut.min(commands.len()));
        let mut in_batches = batched.settle(first);
        batched.check();
        in_batches.extend(batched.settle(second));
        batched.check();
        let mut one_by_one = Vec::new();
        for command in &commands {
            one_by_one.extend(single.settle(std::slice::from_ref(command)));
            single.check();
        }
        prop_assert_eq!(in_batches, one_by_one);
        prop_assert_eq!(batched, single);
    }

    #[test]
    fn a_reservation_is_held_whole_or_not_at_all(commands in commands()) {
        let mut warehouse = Warehouse::stocked(&[("a", 3), ("b", 8), ("c", 0)]);
        for command in &commands {
            let before = warehouse.clone();
            let replies = warehouse.settle(std::slice::from_ref(command));
            let step = RecordKey::from(&command.key);
            let fresh = warehouse.records.get(&step) != before.records.get(&step);
            let held = warehouse.holdings.get(&step);
            match (&command.request, &replies[0]) {
                _ if !fresh => prop_assert_eq!(&warehouse, &before),
                (Request::Reserve(wanted), ReplyBody::Settled(WorkOutcome::Success(_))) => {
                    prop_assert_eq!(held, Some(wanted));
                }
                (Request::Reserve(_), _) => prop_assert_eq!(held, None),
                (Request::Release, _) => {
                    let newest = warehouse.records[&step].done.as_ref();
                    let superseded = newest.is_some_and(|d| d.generation > command.key.generation);
                    prop_assert!(superseded || held.is_none());
                }
            }
        }
    }

    #[test]
    fn a_repeat_after_anything_is_answered_as_before_unless_it_was_undone(commands in commands()) {
        let mut warehouse = Warehouse::stocked(&[("a", 3), ("b", 8), ("c", 0)]);
        let replies = warehouse.settle(&commands);
        let settled = warehouse.clone();
        let again = warehouse.settle(&commands);
        prop_assert_eq!(&warehouse, &settled, "a repeat changed something");
        for (n, command) in commands.iter().enumerate() {
            let newest = commands.iter().rposition(|later| later.key == command.key) == Some(n);
            let overtaken = commands[n..].iter().any(|later| {
                later.key.saga == command.key.saga
                    && later.key != command.key
            });
            if newest && !overtaken {
                prop_assert_eq!(&again[n], &replies[n]);
            }
        }
    }
}
