//! Each rule notices what it is there for.

use std::collections::BTreeMap;

use skald::saga::event::{Event, Reason};
use skald::saga::json::Json;
use uuid::Uuid;

use super::books::{Books, Letter, Notification, Order, Product, Saga, Shard};
use super::{Heard, Mails, Outside, Violations, check, expected};
use crate::customer::{Fate, Log};

const CONFIRMED: u128 = 1;
const CANCELLED: u128 = 2;

/// Two orders, one of either outcome, and all that belongs to them.
struct World {
    books: Books,
    log: Log,
    mails: Mails,
    heard: Heard,
}

impl World {
    /// In which everything adds up.
    fn whole() -> Self {
        let log = Log::default();
        let mut books = Books::default();
        let mut mails = Mails::new();
        for number in [CONFIRMED, CANCELLED] {
            let (n, saga) = (number as usize - 1, Uuid::from_u128(100 + number));
            let (_, key, _) = log.next_order(40);
            let id = Uuid::from_u128(number);
            log.note(n, &format!(r#"{{"orderId":"{id}"}}"#));
            let (user, items) = {
                let submission = &log.submissions()[n];
                (submission.user.clone(), submission.items.clone())
            };
            let is_confirmed = number == CONFIRMED;
            let (status, template) = match is_confirmed {
                true => ("CONFIRMED", "ORDER_CONFIRMED"),
                false => ("CANCELLED", "ORDER_CANCELLED"),
            };
            let work_key = format!("{saga}:send:1:do");
            mails.insert(format!("{}@example.org", work_key.replace(':', ".")), 1);
            books.notifications.push(Notification {
                key: work_key,
                order_id: id.to_string(),
                template: template.to_owned(),
                outcome: "SENT".to_owned(),
                recipient: Some(format!("{user}@example.org")),
            });
            if is_confirmed {
                books.held.insert(saga, items.clone());
                for (id, held) in &items {
                    let on_hand = crate::customer::on_hand(id[1..].parse().unwrap());
                    let id = id.clone();
                    books.products.push(Product { id, on_hand, reserved: *held, held: *held });
                }
            }
            let history = history(is_confirmed);
            books.sagas.insert(
                saga,
                Saga {
                    status: if is_confirmed { "COMPLETED" } else { "CANCELLED" }.to_owned(),
                    version: history.len() as i64,
                    is_due: false,
                    history: (1..).zip(history).collect(),
                },
            );
            let reason = (!is_confirmed).then(|| "NO".to_owned());
            let order = Order { saga, user, status: status.to_owned(), reason, items };
            books.orders.insert(id, order);
            books.keys.insert(format!("orders:{key}"), id);
        }
        let all = books.sagas.values().map(|saga| saga.version).sum();
        let [last_seq, commands_mark, events_mark, rows] = [all; 4];
        books.shards.push(Shard { shard: 0, last_seq, commands_mark, events_mark, rows });
        let heard = expected(&books).into_iter().map(|id| (id, 1)).collect();
        Self { books, log, mails, heard }
    }

    fn violations(self) -> Vec<String> {
        let Self { books, log, mails, heard } = self;
        let Violations(found) =
            check(&books, &Outside { log: &log, first: 0, mails, heard: Some(heard) });
        found
    }
}

fn history(is_confirmed: bool) -> Vec<Event> {
    let started = r#"{"sagaStarted":{"definition":{"name":"order","version":1},"key":"k","input":{},"deadline":0}}"#;
    let started = serde_json::from_str(started).unwrap();
    let reason = Reason::of("NO");
    let outcome = match is_confirmed {
        true => Event::StepSucceeded {
            step: "confirm-order".into(),
            generation: 1,
            result: Json::null(),
        },
        false => Event::RolledBack { reason: reason.clone() },
    };
    let end = if is_confirmed { Event::SagaCompleted } else { Event::SagaCancelled { reason } };
    vec![started, outcome, end]
}

#[test]
fn nothing_is_wrong_where_everything_adds_up() {
    assert_eq!(World::whole().violations(), [] as [String; 0]);
}

/// Breaks one thing and expects that somebody says so.
macro_rules! notices {
    ($($name:ident: |$world:ident| $break:expr, $told:literal;)*) => {$(
        #[test]
        #[allow(unused_mut)]
        fn $name() {
            let mut $world = World::whole();
            $break;
            let found = $world.violations();
            assert!(found.iter().any(|told| told.contains($told)), "{found:#?}");
        }
    )*};
}

fn order(world: &mut World, number: u128) -> &mut Order {
    world.books.orders.get_mut(&Uuid::from_u128(number)).unwrap()
}

fn saga(world: &mut World, number: u128) -> &mut Saga {
    world.books.sagas.get_mut(&Uuid::from_u128(100 + number)).unwrap()
}

notices! {
    an_order_that_was_accepted_and_is_gone: |world| {
        world.books.orders.remove(&Uuid::from_u128(CONFIRMED))
    }, "Accepted, but in the books []";
    one_submission_that_became_two_orders: |world| {
        let twin = order(&mut world, CONFIRMED).clone();
        world.books.orders.insert(Uuid::from_u128(3), twin)
    }, "shares its saga";
    a_customer_who_is_told_of_two_orders: |world| {
        let id = Uuid::from_u128(9);
        world.log.note(0, &format!(r#"{{"orderId":"{id}"}}"#))
    }, "which is not there";
    an_order_that_was_refused_and_is_there: |world| {
        world.log.submissions()[0].fate = Fate::Refused
    }, "Refused, but in the books";
    an_order_that_nobody_submitted: |world| {
        order(&mut world, CONFIRMED).user = "nobody".to_owned()
    }, "orders that nobody submitted";
    an_order_of_other_goods: |world| {
        order(&mut world, CONFIRMED).items.insert("p1".to_owned(), 9)
    }, "ordered";
    a_key_that_stands_for_another_order: |world| {
        world.books.keys.insert("orders:key-0".to_owned(), Uuid::from_u128(CANCELLED))
    }, "stands for";
    an_order_that_has_not_ended: |world| {
        order(&mut world, CONFIRMED).status = "PENDING".to_owned()
    }, "not ended";
    a_promise_that_was_broken: |world| {
        world.log.promise(Uuid::from_u128(CONFIRMED), "CANCELLED", "was promised")
    }, "was promised, now";
    a_saga_that_is_gone: |world| {
        world.books.sagas.remove(&Uuid::from_u128(100 + CONFIRMED))
    }, "its saga is not there";
    a_saga_of_another_outcome_than_its_order: |world| {
        saga(&mut world, CONFIRMED).status = "CANCELLED".to_owned()
    }, "CANCELLED, its order CONFIRMED";
    a_saga_that_is_still_due: |world| saga(&mut world, CONFIRMED).is_due = true, "still due";
    a_history_with_a_gap: |world| saga(&mut world, CONFIRMED).history.remove(0), "a gap";
    a_saga_with_two_ends: |world| {
        let saga = saga(&mut world, CONFIRMED);
        saga.history.push((4, Event::SagaCompleted));
        saga.version = 4
    }, "2 ends";
    a_saga_with_two_outcomes: |world| {
        let undone = Event::RolledBack { reason: Reason::of("NO") };
        saga(&mut world, CONFIRMED).history[1].1 = undone
    }, "two outcomes or none";
    goods_that_a_cancelled_order_holds: |world| {
        let held = BTreeMap::from([("p1".to_owned(), 1)]);
        world.books.held.insert(Uuid::from_u128(100 + CANCELLED), held)
    }, "holds";
    goods_that_a_confirmed_order_does_not_hold: |world| {
        world.books.held.remove(&Uuid::from_u128(100 + CONFIRMED))
    }, "holds {}";
    goods_that_are_held_twice: |world| {
        let held = world.books.held.get_mut(&Uuid::from_u128(100 + CONFIRMED)).unwrap();
        held.values_mut().for_each(|held| *held *= 2)
    }, "holds";
    goods_that_nobody_ordered: |world| {
        let held = BTreeMap::from([("p1".to_owned(), 1)]);
        world.books.held.insert(Uuid::from_u128(999), held)
    }, "has no order";
    a_sum_that_its_parts_do_not_come_to: |world| world.books.products[0].held += 1, "do not add up";
    more_reserved_than_there_is: |world| {
        world.books.products[0].reserved = world.books.products[0].on_hand + 1
    }, "more is reserved";
    goods_that_vanished: |world| world.books.products[0].on_hand -= 1, "were put there";
    a_customer_who_was_not_told: |world| world.books.notifications.remove(0), "0 records";
    a_customer_who_was_told_twice: |world| {
        let told = world.books.notifications[0].clone();
        world.books.notifications.push(told)
    }, "2 records";
    a_customer_who_was_told_the_wrong_outcome: |world| {
        world.books.notifications[0].template = "ORDER_CANCELLED".to_owned()
    }, "was told";
    a_mail_that_was_recorded_and_never_taken: |world| world.mails.pop_first(), "0 Message-IDs";
    a_mail_under_two_ids: |world| {
        let (id, _) = world.mails.first_key_value().unwrap();
        let other = id.replace("example.org", "elsewhere.org");
        world.mails.insert(other, 1)
    }, "2 Message-IDs";
    a_mail_that_was_never_recorded: |world| {
        world.mails.insert("x@example.org".to_owned(), 1);
        world.mails.insert(format!("{}.send.1.do@example.org", Uuid::from_u128(9)), 1)
    }, "a mail that no record knows";
    a_message_that_was_not_sent: |world| world.books.shards[0].events_mark -= 1, "not confirmed";
    a_history_that_lost_rows: |world| world.books.shards[0].rows -= 1, "a gap";
    a_wish_that_was_not_carried_out: |world| world.books.undone = 1, "not carried out";
    a_dead_letter_of_no_saga: |world| {
        let (queue, reason) = ("q".to_owned(), "rejected".to_owned());
        world.books.letters.push(Letter { message_id: "x:1".to_owned(), queue, reason })
    }, "a letter of nobody";
    an_event_that_was_not_heard: |world| world.heard.pop_first(), "was not heard";
    an_event_that_never_happened: |world| {
        world.heard.insert(format!("{}:7", Uuid::from_u128(999)), 1)
    }, "never happened";
}

#[test]
fn an_answer_that_never_came_is_explained_either_way() {
    for is_there in [true, false] {
        let mut world = World::whole();
        {
            let mut submissions = world.log.submissions();
            submissions[1].fate = Fate::InDoubt;
            submissions[1].told.clear();
        }
        if !is_there {
            let (id, saga) = (Uuid::from_u128(CANCELLED), Uuid::from_u128(100 + CANCELLED));
            world.books.orders.remove(&id);
            let lost = world.books.sagas.remove(&saga).unwrap().version;
            world.books.notifications.pop();
            let shard = &mut world.books.shards[0];
            for count in [
                &mut shard.last_seq,
                &mut shard.commands_mark,
                &mut shard.events_mark,
                &mut shard.rows,
            ] {
                *count -= lost;
            }
            world.mails.pop_last();
            world.heard = expected(&world.books).into_iter().map(|id| (id, 1)).collect();
        }
        assert_eq!(world.violations(), [] as [String; 0], "{is_there}");
    }
}
