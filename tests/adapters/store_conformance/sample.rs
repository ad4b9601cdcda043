//! Orders and what happens to them, decided by the core itself.

use skald::orders::definition::{definition, reason};
use skald::orders::money::Currency;
use skald::orders::outcome::{Outcome, brought_by};
use skald::orders::script::{OrderInput, input};
use skald::orders::{Item, Order, OrderId, OrderStatus};
use skald::ports::door::{NewInput, Request};
use skald::ports::ledger::{Claim, Entry, OrderChange, StoredAnswer};
use skald::saga::decide::{begin, decide};
use skald::saga::event::{Birth, Event, Reason, Recorded};
use skald::saga::id::{DefinitionRef, SagaId, Timestamp};
use skald::saga::input::{Answer, Decision, Input};
use skald::saga::json::Json;
use skald::saga::state::Saga;
use uuid::Uuid;

/// When the samples begin, 2026-01-01.
pub const START: Timestamp = Timestamp(1_767_225_600_000_000);

/// The n-th id of a kind; later ones are greater.
fn uuid(kind: u128, n: u64) -> Uuid {
    Uuid::from_u128(0x019b_0000_0000_7000_8000_0000_0000_0000 | (u128::from(n) << 64) | kind)
}

pub fn saga_id(n: u64) -> SagaId {
    SagaId(uuid(1, n))
}

pub fn order_id(n: u64) -> OrderId {
    OrderId(uuid(2, n))
}

pub fn input_id(n: u64) -> Uuid {
    uuid(3, n)
}

/// The moment `n` seconds after the start.
pub fn second(n: u64) -> Timestamp {
    START.plus_millis(n * 1000)
}

/// The n-th order, with two lines.
pub fn order(n: u64) -> Order {
    Order {
        id: order_id(n),
        saga: saga_id(n),
        user: format!("user-{}", n % 3),
        email: (!n.is_multiple_of(2)).then(|| "ada@example.org".to_owned()),
        currency: Currency::DEFAULT,
        total: 3_497,
        status: OrderStatus::Pending,
        reason: None,
        created_at: second(n),
        updated_at: second(n),
        items: vec![
            Item { product: "zebra".into(), quantity: 3, price: 999 },
            Item { product: "aardvark".into(), quantity: 1, price: 500 },
        ],
    }
}

/// The acceptance of an order.
pub fn placed_order(order: Order, claim: Option<Claim>) -> Entry {
    let now = order.created_at;
    let definition = definition().unwrap();
    let birth = Birth {
        definition: definition.reference(),
        key: order.id.to_string(),
        input: input(&order).unwrap(),
        deadline: now.plus_millis(86_400_000),
        traceparent: None,
    };
    let moved = begin(&definition, order.saga, birth, now).unwrap();
    Entry {
        expected: 0,
        events: moved.events,
        saga: moved.saga,
        status_before: None,
        order: Some(OrderChange::Placed(Box::new(order), claim)),
        inputs: Vec::new(),
    }
}

/// The acceptance of the n-th order.
pub fn placed(n: u64) -> Entry {
    placed_order(order(n), None)
}

/// The acceptance of the n-th order under an idempotency key.
pub fn claimed(n: u64, key: &str) -> Entry {
    placed_order(order(n), Some(Claim { key: key.to_owned(), answer: answer(n) }))
}

/// What is answered to the submission of the n-th order.
pub fn answer(n: u64) -> StoredAnswer {
    StoredAnswer {
        fingerprint: vec![0, 255, n.to_le_bytes()[0]],
        order: order_id(n),
        body: format!(r#"{{"order":{n}}}"#),
    }
}

/// The birth of the n-th saga, which is about no order, of this definition and with this key.
pub fn born(n: u64, definition: &str, key: &str) -> Entry {
    let mut entry = placed(n);
    let birth = Birth {
        definition: DefinitionRef { name: definition.into(), version: 7 },
        key: key.to_owned(),
        ..(*entry.saga.birth).clone()
    };
    entry.events[0].event = Event::SagaStarted(birth.clone());
    entry.saga.birth = birth.into();
    entry.order = None;
    entry
}

/// A moment after a saga's newest event.
pub fn after(saga: &Saga) -> Timestamp {
    second(saga.state.version + saga.id.0.as_u64_pair().0 % 4096)
}

/// What `input` does to a saga at `now`; none where it does nothing.
pub fn brought(saga: &Saga, input: &Input, now: Timestamp) -> Option<Entry> {
    let Ok(Decision::Moved(moved)) = decide(&definition().unwrap(), saga, input, now) else {
        return None;
    };
    let order = brought_by(&moved.events).map(|(Outcome { status, reason }, at)| {
        let order: OrderInput<'_> = saga.birth.input.read().unwrap();
        OrderChange::Settled { id: order.order_id, status, reason, at }
    });
    Some(Entry {
        expected: saga.state.version,
        events: moved.events,
        saga: moved.saga,
        status_before: Some(saga.state.status()),
        order,
        inputs: Vec::new(),
    })
}

/// What `input` does to a saga one second after its newest event.
fn decided(saga: &Saga, input: &Input) -> Entry {
    brought(saga, input, after(saga)).unwrap_or_else(|| panic!("nothing happens to {saga:?}"))
}

fn answered(saga: &Saga, answer: Answer) -> Entry {
    let to = saga.state.calls().find_map(|(_, _, call)| call.newest_ask()).unwrap();
    decided(saga, &Input::Answer { to, answer })
}

/// The worker that is asked succeeds.
pub fn succeeded(saga: &Saga) -> Entry {
    answered(saga, Answer::Success(Json::of("done").unwrap()))
}

/// The worker that is asked refuses for want of stock.
pub fn refused(saga: &Saga) -> Entry {
    answered(saga, Answer::Failure(Reason::of(reason::INSUFFICIENT_STOCK)))
}

/// Nothing happens, but the input gets its outcome.
pub fn unmoved(saga: &Saga) -> Entry {
    Entry {
        expected: saga.state.version,
        events: Vec::new(),
        saga: saga.clone(),
        status_before: Some(saga.state.status()),
        order: None,
        inputs: Vec::new(),
    }
}

/// An operator's retry, whether or not the saga is stuck; `change` says where it stands after it.
pub fn changed(saga: &Saga, change: impl FnOnce(&mut Saga)) -> Entry {
    let mut after = saga.clone();
    after.state.version += 1;
    let sequence = after.state.version;
    change(&mut after);
    let event = Event::RetryRequested { by: "eve".into(), note: "again".into() };
    Entry {
        events: vec![Recorded { sequence, at: second(sequence), event }],
        saga: after,
        ..unmoved(saga)
    }
}

/// The n-th wish to cancel a saga.
pub fn cancellation(n: u64, saga: SagaId, client_key: &str) -> NewInput {
    NewInput {
        id: input_id(n),
        saga,
        client_key: client_key.to_owned(),
        request: Request::Cancel {
            by: "ada".to_owned(),
            reason: Reason::of(reason::CANCELLED_BY_CUSTOMER),
        },
        if_version: None,
        at: second(n),
    }
}
