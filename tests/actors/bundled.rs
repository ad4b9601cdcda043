//! Answers that came in one message, which comes again as a whole if one of them has to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::{BoxFuture, ready};
use skald::bus::in_process::InProcessBus;
use skald::contract::names::reply_queue;
use skald::contract::reply::{self, ReplyBody, WorkOutcome};
use skald::ports::Clock;
use skald::ports::bus::{
    Bus, BusError, Deliveries, Delivery, Inbox, Message, Outgoing, QueueDepth, QueueSpec, Receipt,
    Settle, Verdict,
};
use skald::ports::clock::SystemClock;
use skald::saga::id::QueueName;
use skald::saga::json::Json;
use skald::saga::state::SagaStatus;

use crate::rig::{PATIENCE, Rig};

/// Answers that the test hands over, and what became of them.
#[derive(Clone, Default)]
struct ByHand(Arc<Mutex<Hands>>);

#[derive(Default)]
struct Hands {
    waiting: VecDeque<Delivery>,
    taker: Option<Waker>,
    verdicts: Vec<Verdict>,
}

impl ByHand {
    /// Hands over answers that are there at the same time.
    fn hand_over(&self, answers: Vec<Message>) {
        let deliveries = answers
            .into_iter()
            .map(|answer| Delivery::new(Arc::new(answer), 0, Box::new(Noted(self.clone()))));
        let mut hands = self.0.lock().unwrap();
        hands.waiting.extend(deliveries);
        hands.taker.take().unwrap().wake();
    }

    fn verdicts(&self) -> Vec<Verdict> {
        self.0.lock().unwrap().verdicts.clone()
    }
}

impl Inbox for ByHand {
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        batch: &mut Vec<Delivery>,
        _: usize,
    ) -> Poll<usize> {
        let mut hands = self.0.lock().unwrap();
        if hands.waiting.is_empty() {
            hands.taker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = hands.waiting.len();
        batch.extend(hands.waiting.drain(..));
        Poll::Ready(count)
    }
}

struct Noted(ByHand);

impl Settle for Noted {
    fn settle(self: Box<Self>, verdict: Verdict) {
        self.0.0.lock().unwrap().verdicts.push(verdict);
    }
}

/// A bus on which answers come by hand.
struct Handed(InProcessBus, ByHand);

impl Bus for Handed {
    fn declare(&self, spec: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>> {
        self.0.declare(spec)
    }

    fn publish(&self, outgoing: Outgoing, receipt: Receipt) {
        self.0.publish(outgoing, receipt);
    }

    fn consume_before_others(
        &self,
        queue: &QueueName,
        prefetch: usize,
        priority: i64,
    ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
        if *queue == reply_queue(0) {
            return Box::pin(ready(Ok(Deliveries::new(self.1.clone()))));
        }
        self.0.consume_before_others(queue, prefetch, priority)
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>> {
        self.0.depths()
    }

    fn is_lasting(&self) -> bool {
        false
    }
}

fn answer(command: &Message) -> Message {
    let done = ReplyBody::Settled(WorkOutcome::Success(Json::null()));
    let reply = reply::write(command, "test.answered", &done, SystemClock.now());
    reply.unwrap().unwrap().message
}

#[actix::test]
async fn none_of_many_answers_to_a_saga_that_ends_has_to_come_again() {
    let (folder, answers) = (tempfile::tempdir().unwrap(), ByHand::default());
    let bus: Arc<dyn Bus> = Arc::new(Handed(InProcessBus::default(), answers.clone()));
    let rig = Rig::start_on(bus, folder.path(), PATIENCE).await;
    let mut inventory = rig.commands("inventory").await;
    let mut notification = rig.commands("notification").await;
    let saga = rig.submit().await;
    let reserve = inventory.next_of("inventory.reserve").await;
    answers.hand_over(vec![answer(&reserve.message)]);
    let mail = notification.next_of("notification.send").await;
    // The first of these ends the saga.
    answers.hand_over(vec![answer(&mail.message); 3]);
    rig.until_status(saga, SagaStatus::Completed).await;
    rig.until("all are settled", || answers.verdicts().len() == 4).await;
    // And these wake it, only to be ignored.
    rig.until_awake(0).await;
    answers.hand_over(vec![answer(&reserve.message); 3]);
    rig.until("all are settled", || answers.verdicts().len() == 7).await;
    assert_eq!(answers.verdicts(), vec![Verdict::Ack; 7]);
    rig.stop().await;
}

#[actix::test]
async fn many_answers_to_what_was_never_asked_are_ignored_by_a_saga_that_is_read_for_them() {
    let (folder, answers) = (tempfile::tempdir().unwrap(), ByHand::default());
    let bus: Arc<dyn Bus> = Arc::new(Handed(InProcessBus::default(), answers.clone()));
    let rig = Rig::start_on(bus, folder.path(), Duration::from_millis(100)).await;
    let mut inventory = rig.commands("inventory").await;
    let saga = rig.submit().await;
    let reserve = inventory.next_of("inventory.reserve").await;
    rig.until_awake(0).await;
    let never = Some(format!("{saga}:999"));
    let never = Message { correlation_id: never, ..(*reserve.message).clone() };
    answers.hand_over(vec![answer(&never); 3]);
    rig.until("all are settled", || answers.verdicts().len() == 3).await;
    assert_eq!(answers.verdicts(), vec![Verdict::Ack; 3]);
    rig.stop().await;
}
