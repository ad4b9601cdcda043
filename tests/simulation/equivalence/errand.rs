//! What the workers are sent for. As in scripts, numbers stand for one of a few.

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use skald::contract::reply::WorkOutcome;
use skald::orders::money::Currency;
use skald::orders::{OrderId, ProductId};
use skald::ports::inventory::Holding;
use skald::ports::work::RecordKey;
use skald::saga::definition::Direction;
use skald::saga::effect::IdempotencyKey;
use skald::saga::event::Reason;
use skald::workers::inventory::command::{InventoryCommand, Request};
use skald::workers::notification::command::{Letter, Line, NotificationCommand, Template};

use super::sample;
use crate::world::desk::Luck;

/// The products and how many there are of each to begin with; of the last one nobody has heard.
pub const PRODUCTS: [(&str, Option<i64>); 4] =
    [("harp", Some(1)), ("lute", Some(2)), ("reed", Some(1_000)), ("viol", None)];

/// How many sagas there are.
const SAGAS: u64 = 4;

/// The steps with a record each, of whichever worker.
const STEPS: [&str; 3] = ["reserve-inventory", "send-confirmation", "send-cancellation"];

/// What happens at the workers' stores.
#[derive(Clone, Debug)]
pub enum Errand {
    /// A batch of reservations and releases.
    Goods(Vec<Goods>),
    /// A batch of mails, and how far it gets.
    Mails { mails: Vec<Mailing>, luck: Luck, ends: End },
    /// Somebody counts what lies in the warehouse.
    Count { product: u8, on_hand: i64 },
    /// A transaction that no shipped worker makes.
    Transact(Change),
    /// Another one: notifications under these keys, sent or not, some of them there already.
    Note(Vec<(u8, bool)>),
    /// So many seconds pass.
    Wait(u32),
    /// The stores are closed, and opened again.
    Restart,
}

/// A command to the inventory worker.
#[derive(Clone, Debug)]
pub struct Goods {
    pub saga: u64,
    pub generation: u32,
    /// How many of which product; a release where there are none.
    pub wanted: Vec<(u8, i64)>,
}

/// A command to the notification worker.
#[derive(Clone, Debug)]
pub struct Mailing {
    pub saga: u64,
    pub generation: u32,
    pub is_confirmation: bool,
    pub has_address: bool,
}

/// When a worker dies over a batch of mails, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    BeforeSending,
    BeforeRecording,
    Well,
}

/// A change of the warehouse's store as its port allows it.
#[derive(Clone, Debug)]
pub struct Change {
    /// By how much the reserved amounts change.
    pub reserved: Vec<(u8, i64)>,
    /// What these sagas hold from now on.
    pub held: Vec<(u64, Vec<(u8, i64)>)>,
    /// Those that give up what they held.
    pub released: Vec<u64>,
    /// Those that are recorded to have been refused.
    pub recorded: Vec<u64>,
}

pub fn product(n: u8) -> ProductId {
    PRODUCTS[usize::from(n) % PRODUCTS.len()].0.into()
}

pub fn holding(lines: &[(u8, i64)]) -> Holding {
    lines.iter().map(|(n, quantity)| (product(*n), *quantity)).collect()
}

pub fn key(saga: u64, step: &str) -> RecordKey {
    RecordKey { saga: sample::saga_id(saga), step: step.into() }
}

/// The record of a saga's reservation.
pub fn reservation(saga: u64) -> RecordKey {
    key(saga, STEPS[0])
}

/// All records that there can be.
pub fn all_keys() -> impl Iterator<Item = RecordKey> {
    (0..SAGAS).flat_map(|saga| STEPS.map(|step| key(saga, step)))
}

pub fn refusal() -> WorkOutcome {
    WorkOutcome::Failure(Reason::of("INSUFFICIENT_STOCK"))
}

impl Goods {
    pub fn command(&self) -> InventoryCommand {
        let RecordKey { saga, step } = reservation(self.saga);
        let (direction, request) = match self.wanted.is_empty() {
            true => (Direction::Undo, Request::Release),
            false => (Direction::Do, Request::Reserve(holding(&self.wanted))),
        };
        let key = IdempotencyKey { saga, step, generation: self.generation, direction };
        InventoryCommand { key, request }
    }
}

impl Mailing {
    pub fn command(&self) -> NotificationCommand {
        let (step, template) = match self.is_confirmation {
            true => (STEPS[1], Template::OrderConfirmed),
            false => (STEPS[2], Template::OrderCancelled),
        };
        let RecordKey { saga, step } = key(self.saga, step);
        let key =
            IdempotencyKey { saga, step, generation: self.generation, direction: Direction::Do };
        let order_id: OrderId = sample::order_id(self.saga);
        let letter = Letter {
            template,
            order_id,
            currency: Currency::DEFAULT,
            lines: vec![Line { product: "harp".into(), quantity: 1, price: 999 }],
            total: 999,
            reason: None,
        };
        let recipient = self.has_address.then(|| "ada@example.org".to_owned());
        NotificationCommand { key, recipient, letter }
    }
}

fn lines(from: usize) -> impl Strategy<Value = Vec<(u8, i64)>> {
    btree_map(prop_oneof![3 => 0..3_u8, 1 => 0..4_u8], 1..4_i64, from..3)
        .prop_map(|lines| lines.into_iter().collect())
}

fn goods() -> impl Strategy<Value = Goods> {
    let wanted = prop_oneof![2 => lines(1), 1 => Just(Vec::new())];
    (0..SAGAS, 1..4_u32, wanted).prop_map(|(saga, generation, wanted)| Goods {
        saga,
        generation,
        wanted,
    })
}

fn mailing() -> impl Strategy<Value = Mailing> {
    (0..SAGAS, 1..3_u32, any::<bool>(), prop::bool::weighted(0.8)).prop_map(
        |(saga, generation, is_confirmation, has_address)| Mailing {
            saga,
            generation,
            is_confirmation,
            has_address,
        },
    )
}

fn mails() -> impl Strategy<Value = Errand> {
    let luck = prop_oneof![4 => Just(Luck::Fine), 1 => Just(Luck::Fails), 1 => Just(Luck::Unheard),
        1 => Just(Luck::Never)];
    let ends = prop_oneof![4 => Just(End::Well), 1 => Just(End::BeforeSending),
        1 => Just(End::BeforeRecording)];
    (vec(mailing(), 1..4), luck, ends).prop_map(|(mails, luck, ends)| Errand::Mails {
        mails,
        luck,
        ends,
    })
}

fn change() -> impl Strategy<Value = Change> {
    let sagas = || vec(0..SAGAS, 0..2);
    let reserved = btree_map(0..4_u8, -2..3_i64, 0..3);
    let held = btree_map(0..SAGAS, lines(1), 0..2);
    (reserved, held, sagas(), sagas()).prop_map(|(reserved, held, released, recorded)| Change {
        reserved: reserved.into_iter().collect(),
        held: held.into_iter().collect(),
        released,
        recorded,
    })
}

fn errand() -> impl Strategy<Value = Errand> {
    prop_oneof![
        10 => vec(goods(), 1..6).prop_map(Errand::Goods),
        8 => mails(),
        2 => (0..4_u8, 0..5_i64).prop_map(|(product, on_hand)| Errand::Count { product, on_hand }),
        4 => change().prop_map(Errand::Transact),
        2 => vec((0..4_u8, any::<bool>()), 1..4).prop_map(Errand::Note),
        3 => prop_oneof![0..2_u32, Just(120)].prop_map(Errand::Wait),
        1 => option::weighted(0.2, Just(()))
            .prop_map(|restart| restart.map_or(Errand::Wait(30), |()| Errand::Restart)),
    ]
}

/// Some thirty errands.
pub fn errands() -> impl Strategy<Value = Vec<Errand>> {
    vec(errand(), 1..60)
}
