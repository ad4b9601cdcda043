use uuid::Uuid;

use super::*;
use crate::journal::examples::{NOW, birth, gone};
use crate::orders::OrderStatus;
use crate::orders::definition::definition;
use crate::ports::ledger::examples::order;
use crate::saga::event::Reason;
use crate::saga::json::Json;

/// The event that asked for the first step.
const ASKED: Sequence = 2;

fn success() -> Answer {
    Answer::Success(Json::null())
}

/// The saga after its first command came to nothing, and was sent again.
fn asked_twice() -> Saga {
    let definition = definition().unwrap();
    let setback = Answer::Setback(Setback::TimedOut);
    let turn = answer(&definition, (&birth().saga, false), ASKED, setback, NOW).unwrap();
    let Turn::Write(paused) = turn else { panic!("{turn:?}") };
    let until = paused.saga.state.next_due().unwrap();
    let turn = due(&definition, &paused.saga, &Reached::new(), until).unwrap();
    let Turn::Write(again) = turn else { panic!("{turn:?}") };
    again.saga
}

#[test]
fn an_answer_to_what_was_never_asked_is_believed_to_be_that_only_by_a_saga_that_was_just_read() {
    let (definition, saga) = (definition().unwrap(), birth().saga);
    let answered = |just_read, to| answer(&definition, (&saga, just_read), to, success(), NOW);
    assert!(matches!(answered(false, 9), Ok(Turn::Behind)));
    assert!(matches!(answered(true, 9), Ok(Turn::Ignored(Ignored::NeverAsked))));
    assert!(matches!(answered(false, ASKED), Ok(Turn::Write(_))));
}

#[test]
fn what_is_wanted_of_another_version_is_told_so_and_changes_nothing() {
    let (definition, saga) = (definition().unwrap(), birth().saga);
    let wanted = |if_version| {
        let request = Request::Cancel { by: "ada".to_owned(), reason: Reason::of("changed-mind") };
        let id = Uuid::from_u128(5);
        let input = PendingInput { id, saga: saga.id, request, if_version };
        let entry = want(&definition, &saga, input, NOW);
        let [(of, outcome)] = &entry.inputs[..] else { panic!("{entry:?}") };
        assert_eq!(*of, id);
        (entry.events.len(), outcome.clone())
    };
    assert_eq!(wanted(Some(1)), (0, InputOutcome::VersionMismatch { found: 2 }));
    for if_version in [Some(2), None] {
        let (events, outcome) = wanted(if_version);
        assert!(events > 0 && matches!(outcome, InputOutcome::Applied { .. }), "{outcome:?}");
    }
}

#[test]
fn an_order_hears_of_its_outcome_with_the_event_that_brings_it_and_of_nothing_else() {
    let (definition, saga) = (definition().unwrap(), birth().saga);
    let settled = |answered: Answer| {
        let turn = answer(&definition, (&saga, false), ASKED, answered, NOW).unwrap();
        let Turn::Write(entry) = turn else { panic!("{turn:?}") };
        entry.order.map(|change| match change {
            OrderChange::Settled { id, status, reason, at } => (id, status, reason, at),
            placed => panic!("{placed:?}"),
        })
    };
    let confirmed = (order().id, OrderStatus::Confirmed, None, NOW);
    assert_eq!(settled(success()), Some(confirmed));
    assert_eq!(settled(Answer::Setback(Setback::TimedOut)), None);
}

#[test]
fn an_order_counts_as_accepted_only_once_it_is_written() {
    let stored = StoredAnswer { fingerprint: Vec::new(), order: order().id, body: "{}".to_owned() };
    let refused = StoreError::Refused { store: "orchestrator", cause: "check".to_owned() };
    let told = refused.to_string();
    assert_eq!(acceptance(Ok(EntryOutcome::Written(7))), Acceptance::Accepted);
    let replayed = acceptance(Ok(EntryOutcome::Replayed(stored.clone())));
    assert_eq!(replayed, Acceptance::Replayed(stored));
    assert_eq!(acceptance(Ok(EntryOutcome::Conflict)), Acceptance::Unknown);
    assert_eq!(acceptance(Err(gone())), Acceptance::Unknown);
    let deposed = StoreError::Deposed { shard: 0, mine: 1, found: 2 };
    assert_eq!(acceptance(Err(deposed)), Acceptance::Unknown);
    assert_eq!(acceptance(Err(refused)), Acceptance::Failed(told));
}

#[test]
fn a_delivery_is_acknowledged_only_for_what_was_written() {
    let refused = StoreError::Refused { store: "orchestrator", cause: "check".to_owned() };
    let outcomes =
        [Ok(EntryOutcome::Written(7)), Ok(EntryOutcome::Conflict), Err(refused), Err(gone())];
    let expected = [
        Acknowledgement::Acknowledge,
        Acknowledgement::GiveBack,
        Acknowledgement::Bury("check".to_owned()),
        Acknowledgement::GiveBackLater,
    ];
    assert_eq!(outcomes.map(|outcome| acknowledgement(&outcome)), expected);
}

#[test]
fn only_the_answer_to_the_newest_asking_shows_how_far_its_queue_has_got() {
    let (definition, once, twice) = (definition().unwrap(), birth().saga, asked_twice());
    let by = |saga, to, answer| reached(&definition, saga, to, &answer);
    let (queue, asked_at) = by(&once, ASKED, success()).expect("the queue has got to it");
    assert_eq!((queue.as_str(), asked_at), ("inventory.commands", NOW));
    assert_eq!(by(&once, 1, success()), None);
    for silent in [Setback::TimedOut, Setback::Unroutable] {
        assert_eq!(by(&once, ASKED, Answer::Setback(silent)), None);
    }
    assert_eq!(by(&twice, ASKED, success()), None);
    let newest = twice.state.calls().find_map(|(_, _, call)| call.newest_ask()).unwrap();
    assert!(newest > ASKED && by(&twice, newest, success()).is_some());
}

#[test]
fn a_saga_waits_for_its_moment_and_probes_a_silent_queue_when_it_has_come() {
    let (definition, saga) = (definition().unwrap(), birth().saga);
    let moment = saga.state.next_due().unwrap();
    let mut queues = QueueWatch::default();
    let early = hold(&definition, &saga, &mut queues, NOW);
    assert_eq!((early.until, early.probes), (Some(moment), vec![]));
    let late = hold(&definition, &saga, &mut queues, moment);
    assert_eq!(late.until, Some(moment.plus_millis(LOOK_AGAIN_AFTER_MS)));
    assert_eq!(late.probes, [ASKED]);
}
