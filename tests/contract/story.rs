//! An order on its way: each decision's messages, written as the publisher writes them.

use skald::contract::message::Outgoing;
use skald::contract::names::reply_queue;
use skald::contract::{command, event, reply};
use skald::orders::definition::definition;
use skald::orders::script::{OrderScript, input};
use skald::orders::{Item, Order, OrderId, OrderStatus, money::Currency};
use skald::saga::check::Checked;
use skald::saga::decide::{begin, decide};
use skald::saga::effect;
use skald::saga::event::{Birth, Reason};
use skald::saga::id::{SagaId, Timestamp};
use skald::saga::input::{Answer, Decision, Ignored, Input, Moved, Reached};
use skald::saga::state::Saga;
use uuid::Uuid;

/// 2026-01-02T03:04:05.678901Z.
const START: Timestamp = Timestamp(1_767_323_045_678_901);

/// Between two decisions.
const STEP_MS: u64 = 1_500;

/// The trace that a submission may have come with; not sampled.
pub const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// An order's saga and all that was sent for it.
pub struct Story {
    pub now: Timestamp,
    pub saga: Saga,
    pub sent: Vec<Outgoing>,
    definition: Checked,
}

/// Two harps and a string, to be paid in `currency`. The prices are in its minor units.
pub fn order(number: u128, currency: &str, email: Option<&str>) -> Order {
    let item = |product: &str, quantity, price| Item { product: product.into(), quantity, price };
    Order {
        id: OrderId(Uuid::from_u128(0x019b_7c9f_0e2e_7000_a000_0000_0000_0000 + number)),
        saga: SagaId(Uuid::from_u128(0x019b_7c9f_0e2e_7000_b000_0000_0000_0000 + number)),
        user: "ada".to_owned(),
        email: email.map(ToOwned::to_owned),
        currency: Currency::parse(currency).unwrap(),
        total: 2 * 19_990 + 450,
        status: OrderStatus::Pending,
        reason: None,
        created_at: START,
        updated_at: START,
        items: vec![item("harp", 2, 19_990), item("string", 1, 450)],
    }
}

impl Story {
    pub fn of(order: &Order, traceparent: Option<&str>) -> Self {
        let definition = definition().unwrap();
        let birth = Birth {
            definition: definition.reference(),
            key: order.id.to_string(),
            input: input(order).unwrap(),
            deadline: START.plus_millis(definition.deadline_ms),
            traceparent: traceparent.map(ToOwned::to_owned),
        };
        let moved = begin(&definition, order.saga, birth, START).unwrap();
        let saga = moved.saga.clone();
        let mut story = Self { now: START, saga, sent: Vec::new(), definition };
        story.publish(moved);
        story
    }

    /// The newest message under this routing key.
    #[track_caller]
    pub fn newest(&self, routing_key: &str) -> Outgoing {
        let mut found = self.sent.iter().rev();
        let found = found.find(|outgoing| outgoing.routing_key == routing_key);
        found.unwrap_or_else(|| panic!("no {routing_key} among {:#?}", self.sent)).clone()
    }

    /// The newest command.
    pub fn command(&self) -> Outgoing {
        let commands = self.sent.iter().rev().find(|outgoing| {
            let is_for = |service| outgoing.routing_key.starts_with(service);
            outgoing.message.reply_to.is_some() && (is_for("inventory.") || is_for("notification."))
        });
        commands.unwrap().clone()
    }

    /// A worker's answer arrives.
    pub fn answered(self, answer: &Outgoing) -> Self {
        self.given(&answer.message).unwrap()
    }

    /// A message arrives in the reply queue. Gives back why it changes nothing, if so.
    pub fn given(self, message: &skald::contract::message::Message) -> Result<Self, Ignored> {
        let (to, answer) = reply::read(message).unwrap();
        assert_eq!(to.saga, self.saga.id);
        let answer = answer.unwrap_or_else(Answer::from);
        self.told(Input::Answer { to: to.sequence, answer }, STEP_MS)
    }

    /// The customer wants it no more.
    pub fn cancelled(self) -> Self {
        let reason = Reason::of("CANCELLED_BY_CUSTOMER");
        self.told(Input::Cancel { by: "ada".to_owned(), reason }, STEP_MS).unwrap()
    }

    /// The next moment that it waits for comes.
    pub fn due(self) -> Self {
        let due = self.saga.state.next_due().unwrap();
        let millis = due.millis_since(self.now) + 1;
        self.told(Input::Due { reached: Reached::new() }, millis).unwrap()
    }

    /// So many milliseconds later it is told `input`.
    pub fn told(mut self, input: Input, millis: u64) -> Result<Self, Ignored> {
        self.now = self.now.plus_millis(millis);
        match decide(&self.definition, &self.saga, &input, self.now).unwrap() {
            Decision::Moved(moved) => {
                self.publish(moved);
                Ok(self)
            }
            Decision::Ignored(ignored) => Err(ignored),
        }
    }

    fn publish(&mut self, Moved { events, saga }: Moved) {
        for recorded in &events {
            if let Some(command) = effect::command(&self.definition, &saga, recorded) {
                let reply_to = reply_queue(7);
                self.sent.push(command::write(&OrderScript, &command, &reply_to).unwrap());
            }
            self.sent.extend(event::write(&OrderScript, &saga, recorded).unwrap());
        }
        for command in effect::open_commands(&self.definition, &saga) {
            let again = command::write(&OrderScript, &command, &reply_queue(7)).unwrap();
            let same = self.sent.iter().any(|sent| sent.message == again.message);
            assert!(same, "{} sent again is another message", again.message.id);
        }
        self.saga = saga;
    }
}
