//! What people want of a saga goes through the one door.

use skald::ports::door::{Admitted, InputOutcome, NewInput, Request};
use skald::saga::event::Reason;
use skald::saga::id::SagaId;
use skald::saga::state::SagaStatus;

use crate::rig::Rig;

async fn ask(rig: &Rig, saga: SagaId, request: Request, if_version: Option<u64>) -> InputOutcome {
    let id = uuid::Uuid::now_v7();
    let at = skald::ports::Clock::now(rig.clock.as_ref());
    let input = NewInput { id, saga, client_key: id.to_string(), request, if_version, at };
    assert_eq!(rig.stores.door.admit(&input).unwrap(), Admitted::Stored(id, 0));
    rig.orchestrator.knock(0, saga).await;
    rig.stores.door.outcome(id).unwrap().expect("the outcome is written when the owner has looked")
}

fn cancel() -> Request {
    Request::Cancel { by: "ada".to_owned(), reason: Reason::of("CANCELLED_BY_CUSTOMER") }
}

#[actix::test]
async fn a_cancel_before_the_pivot_undoes_what_may_have_been_done() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let mut notification = rig.commands("notification").await;
    let saga = rig.submit().await;
    let reserve = inventory.next().await;
    assert!(matches!(ask(&rig, saga, cancel(), None).await, InputOutcome::Applied { .. }));
    let release = inventory.next().await;
    assert_eq!(release.message.kind, "inventory.release");
    inventory.succeed(release).await;
    // The late success of what is undone by now changes nothing.
    inventory.succeed(reserve).await;
    let mail = notification.next().await;
    notification.succeed(mail).await;
    rig.until_status(saga, SagaStatus::Cancelled).await;
    rig.stop().await;
}

#[actix::test]
async fn a_cancel_after_the_pivot_and_one_of_another_version_are_turned_down() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let mut inventory = rig.commands("inventory").await;
    let saga = rig.submit().await;
    assert_eq!(
        ask(&rig, saga, cancel(), Some(7)).await,
        InputOutcome::VersionMismatch { found: 2 }
    );
    let reserve = inventory.next().await;
    inventory.succeed(reserve).await;
    rig.until_event(saga, |event| event.name() == "stepSucceeded").await;
    assert!(matches!(ask(&rig, saga, cancel(), None).await, InputOutcome::Rejected { .. }));
    rig.stop().await;
}

#[actix::test]
async fn an_input_that_nobody_knocked_for_is_found_by_the_owner() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::start(folder.path()).await;
    let saga = rig.submit().await;
    let id = uuid::Uuid::now_v7();
    let at = skald::ports::Clock::now(rig.clock.as_ref());
    let input =
        NewInput { id, saga, client_key: "k".to_owned(), request: cancel(), if_version: None, at };
    rig.stores.door.admit(&input).unwrap();
    rig.until("the outcome", || rig.stores.door.outcome(id).unwrap().is_some()).await;
    rig.stop().await;
}
