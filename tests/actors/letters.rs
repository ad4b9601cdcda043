//! Dead letters that are requeued go out, whoever decided it, and come back if they die again.

use std::time::Duration;

use skald::contract::message::{Exchange, Message, Outgoing};
use skald::ports::Clock;
use skald::ports::door::DeadLetter;
use skald::ports::letters::{
    Action, Decided, LetterFilter, LetterId, LetterState, LetterSummary, NewDecision, Outcome,
};
use skald::saga::event::Event;
use skald::saga::id::SagaId;
use skald::store::Stores;
use uuid::Uuid;

use crate::rig::{Inbox, Rig, publish};

/// Decides that a letter is to be requeued; tells no node.
fn requeue(stores: &Stores, clock: &dyn Clock, letter: LetterId) -> Uuid {
    let wish = NewDecision {
        id: Uuid::now_v7(),
        letter,
        action: Action::Requeue,
        by: "eve".to_owned(),
        note: "repaired".to_owned(),
        client_key: "key".to_owned(),
        at: clock.now(),
    };
    let Decided::Stands(decision) = stores.letters.decide(&wish).unwrap() else { panic!() };
    decision.id
}

fn letters(rig: &Rig, state: LetterState) -> Vec<LetterSummary> {
    let filter = LetterFilter { state: Some(state), ..LetterFilter::default() };
    rig.stores.letters.letters(&filter, None, 10).unwrap()
}

async fn until_open(rig: &Rig) -> LetterSummary {
    rig.until("an open letter", || !letters(rig, LetterState::Open).is_empty()).await;
    letters(rig, LetterState::Open).remove(0)
}

async fn until_outcome(rig: &Rig, decision: Uuid, outcome: Outcome) {
    let known = || rig.stores.letters.decision_outcome(decision).unwrap();
    rig.until("an outcome", || known().is_some()).await;
    assert_eq!(known(), Some(outcome));
}

/// Has a saga's first command rejected; tells the message and its letter.
async fn rejected(rig: &Rig, inventory: &mut Inbox) -> (SagaId, Message, LetterSummary) {
    let saga = rig.submit().await;
    let reserve = inventory.next_of("inventory.reserve").await;
    let message = Message::clone(&reserve.message);
    reserve.reject("the test does not like it");
    (saga, message, until_open(rig).await)
}

/// The command of this id, which comes among those that the saga sends by itself.
async fn until_command(inventory: &mut Inbox, id: &str) -> skald::ports::bus::Delivery {
    loop {
        let delivery = inventory.next().await;
        if delivery.message.id == id {
            return delivery;
        }
        delivery.ack();
    }
}

#[actix::test]
async fn a_requeued_command_comes_as_the_message_that_it_was_and_its_answer_counts() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let (saga, message, letter) = rejected(&rig, &mut inventory).await;
    assert_eq!((letter.saga, &*letter.queue), (Some(saga), "inventory.commands"));
    let decision = requeue(&rig.stores, rig.clock.as_ref(), letter.id);
    rig.orchestrator.look_for_requeued();
    let again = until_command(&mut inventory, &message.id).await;
    assert_eq!(*again.message, message);
    inventory.succeed(again).await;
    rig.until_event(saga, |event| matches!(event, Event::StepSucceeded { .. })).await;
    until_outcome(&rig, decision, Outcome::Done).await;
    assert_eq!(letters(&rig, LetterState::Requeued).len(), 1);
    rig.stop().await;
}

#[actix::test]
async fn what_was_decided_before_a_crash_is_sent_after_it() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let (_, message, letter) = rejected(&rig, &mut inventory).await;
    let (stores, clock) = (rig.stores.clone(), rig.clock.clone());
    drop(inventory);
    rig.stop().await;
    // The process died with this in the store and nothing else done.
    let decision = requeue(&stores, clock.as_ref(), letter.id);
    drop(stores);
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    until_command(&mut inventory, &message.id).await.ack();
    until_outcome(&rig, decision, Outcome::Done).await;
    rig.stop().await;
}

#[actix::test]
async fn a_letter_is_kept_while_the_store_is_away_and_tells_when_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    rig.hatch.shut(2);
    rig.submit().await;
    inventory.next_of("inventory.reserve").await.reject("the test does not like it");
    rig.until("a burial in vain", || rig.hatch.left() < 2).await;
    let came_before = rig.clock.now();
    rig.clock.advance(Duration::from_secs(3_600));
    let letter = until_open(&rig).await;
    assert!(letter.at <= came_before, "it was given back and came again");
    assert_eq!(rig.hatch.left(), 0);
    rig.stop().await;
}

#[actix::test]
async fn a_requeued_command_that_dies_again_is_an_open_letter_again() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let (_, message, letter) = rejected(&rig, &mut inventory).await;
    requeue(&rig.stores, rig.clock.as_ref(), letter.id);
    rig.orchestrator.look_for_requeued();
    until_command(&mut inventory, &message.id).await.reject("still not");
    let open = until_open(&rig).await;
    assert_eq!((open.id, &*open.reason), (letter.id, "rejected: still not"));
    rig.stop().await;
}

#[actix::test]
async fn a_reply_goes_back_to_the_queue_of_its_shard() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let stray = Outgoing {
        exchange: Exchange::Default,
        routing_key: "skald.replies.0".to_owned(),
        message: Message {
            id: "stray".to_owned(),
            kind: "x".to_owned(),
            correlation_id: Some("nonsense".to_owned()),
            reply_to: None,
            traceparent: None,
            body: "{}".into(),
            death: None,
        },
    };
    publish(rig.bus.as_ref(), stray).await;
    let letter = until_open(&rig).await;
    assert_eq!((&*letter.message_id, &*letter.queue), ("stray", "skald.replies.0"));
    let decision = requeue(&rig.stores, rig.clock.as_ref(), letter.id);
    rig.orchestrator.look_for_requeued();
    until_outcome(&rig, decision, Outcome::Done).await;
    // It makes no more sense than before.
    assert_eq!(until_open(&rig).await.id, letter.id);
    rig.stop().await;
}

#[actix::test]
async fn what_no_queue_takes_stays_open_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let dead = |queue: &str, routing_key: &str| DeadLetter {
        id: Uuid::now_v7(),
        message_id: queue.to_owned(),
        queue: queue.to_owned(),
        routing_key: routing_key.to_owned(),
        reason: "rejected".to_owned(),
        headers: r#"{"messageId":"m","type":"k"}"#.to_owned(),
        body: b"{}".to_vec(),
        saga: None,
        at: rig.clock.now(),
        notice: None,
    };
    for (queue, routing_key, outcome) in [
        ("parcels.commands", "parcels.send", Outcome::Unroutable),
        ("shop.events", "order.created", Outcome::NotSendable),
    ] {
        let dead = dead(queue, routing_key);
        rig.stores.door.bury(std::slice::from_ref(&dead)).unwrap();
        let decision = requeue(&rig.stores, rig.clock.as_ref(), dead.id);
        rig.orchestrator.look_for_requeued();
        until_outcome(&rig, decision, outcome).await;
        let letter = rig.stores.letters.letter(dead.id).unwrap().unwrap();
        assert_eq!(letter.summary.state, LetterState::Open);
    }
    rig.stop().await;
}
