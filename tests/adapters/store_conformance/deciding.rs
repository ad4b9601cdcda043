//! Dead letters, and what is decided about them.

use std::collections::BTreeSet;

use skald::ports::door::DeadLetter;
use skald::ports::letters::{
    Action, Decided, Decision, Due, LetterFilter, LetterState, NewDecision, Outcome,
};
use skald::saga::id::Timestamp;
use uuid::Uuid;

use super::sample;
use super::stage::Stage;

pub(super) const INVENTORY: &str = "inventory.commands";

/// Nothing at all.
pub(super) const NOTHING: [Uuid; 0] = [];

pub(super) fn letter_id(n: u64) -> Uuid {
    sample::input_id(100 + n)
}

/// The n-th dead letter, about the n-th saga.
pub(super) fn letter(n: u64, queue: &str) -> DeadLetter {
    DeadLetter {
        id: letter_id(n),
        message_id: format!("{}:2", sample::saga_id(n)),
        queue: queue.into(),
        routing_key: "inventory.reserve".into(),
        reason: "rejected: not JSON".into(),
        headers: r#"{"messageId":"a:2"}"#.into(),
        body: b"\0\xff{".to_vec(),
        saga: Some(sample::saga_id(n)),
        at: sample::second(n),
        notice: None,
    }
}

pub(super) fn bury(stage: &Stage, letters: impl IntoIterator<Item = DeadLetter>) {
    let letters: Vec<_> = letters.into_iter().collect();
    stage.door.bury(&letters).unwrap();
}

/// The n-th decision, under a key of its own.
fn decision(n: u64, letter: u64, action: Action) -> NewDecision {
    NewDecision {
        id: sample::input_id(n),
        letter: letter_id(letter),
        action,
        by: "eve".into(),
        note: "repaired".into(),
        client_key: format!("key {n}"),
        at: sample::second(10 + n),
    }
}

pub(super) fn requeue(n: u64, letter: u64) -> NewDecision {
    decision(n, letter, Action::Requeue)
}

pub(super) fn discard(n: u64, letter: u64) -> NewDecision {
    decision(n, letter, Action::Discard)
}

#[track_caller]
pub(super) fn stands(decided: Decided) -> Decision {
    let Decided::Stands(decision) = decided else { panic!("{decided:?}") };
    decision
}

/// Takes what is due at a second, and puts it off for half a minute.
fn take(stage: &Stage, now: u64, limit: u32) -> Vec<Due> {
    stage.letters.take_due(sample::second(now), sample::second(now + 30), limit).unwrap()
}

fn taken(stage: &Stage, now: u64, limit: u32) -> Vec<Uuid> {
    take(stage, now, limit).into_iter().map(|due| due.decision).collect()
}

fn state(stage: &Stage, n: u64) -> LetterState {
    stage.letters.letter(letter_id(n)).unwrap().unwrap().summary.state
}

pub(super) fn page(
    stage: &Stage,
    filter: &LetterFilter,
    before: Option<u64>,
    limit: u32,
) -> Vec<Uuid> {
    let letters = stage.letters.letters(filter, before.map(letter_id), limit).unwrap();
    letters.into_iter().map(|letter| letter.id).collect()
}

pub(super) fn ids<const N: usize>(numbers: [u64; N]) -> [Uuid; N] {
    numbers.map(letter_id)
}

pub fn about_a_letter_that_is_not_there_nothing_is_decided(stage: Stage) {
    assert_eq!(stage.letters.letter(letter_id(1)), Ok(None));
    assert_eq!(stage.letters.decide(&requeue(1, 1)), Ok(Decided::NoSuchLetter));
    assert_eq!(stage.letters.decision_outcome(sample::input_id(1)), Ok(None));
    assert_eq!(taken(&stage, 60, 10), NOTHING);
}

pub fn a_requeued_letter_is_due_until_it_is_known_to_be_sent(stage: Stage) {
    let dead = letter(1, INVENTORY);
    bury(&stage, [dead.clone()]);
    let wish = requeue(1, 1);
    stage.letters.decide(&wish).unwrap();
    assert_eq!(taken(&stage, 10, 10), NOTHING, "not before it was decided");
    let due = Due {
        decision: wish.id,
        queue: dead.queue,
        routing_key: dead.routing_key,
        headers: dead.headers,
        body: dead.body,
    };
    assert_eq!(take(&stage, 11, 10), [due]);
    assert_eq!(taken(&stage, 40, 10), NOTHING, "it is in somebody's hands");
    let stage = stage.reopened();
    assert_eq!(taken(&stage, 41, 10), [wish.id], "whoever had it said nothing");
    stage.letters.settle(&[(wish.id, Outcome::Done)]).unwrap();
    assert_eq!(taken(&stage, 9_999, 10), NOTHING);
    assert_eq!(stage.letters.decision_outcome(wish.id), Ok(Some(Outcome::Done)));
    assert_eq!(state(&stage, 1), LetterState::Requeued);
}

pub fn a_discarded_letter_is_sent_to_nobody(stage: Stage) {
    bury(&stage, [letter(1, INVENTORY)]);
    let decision = stands(stage.letters.decide(&discard(1, 1)).unwrap());
    assert_eq!(decision.outcome, Some(Outcome::Done));
    assert_eq!(stage.letters.decision_outcome(decision.id), Ok(Some(Outcome::Done)));
    assert_eq!(taken(&stage, 60, 10), NOTHING);
    assert_eq!(state(&stage, 1), LetterState::Discarded);
}

pub fn a_letter_that_was_requeued_is_not_requeued_twice(stage: Stage) {
    bury(&stage, [letter(1, INVENTORY)]);
    let first = stands(stage.letters.decide(&requeue(1, 1)).unwrap());
    assert_eq!(stands(stage.letters.decide(&requeue(2, 1)).unwrap()), first);
    assert_eq!(taken(&stage, 60, 10), [first.id]);
    stage.letters.settle(&[(first.id, Outcome::Done)]).unwrap();
    let done = Decision { outcome: Some(Outcome::Done), ..first };
    assert_eq!(stands(stage.letters.decide(&requeue(3, 1)).unwrap()), done);
    assert_eq!(taken(&stage, 9_999, 10), NOTHING);
    assert_eq!(stage.letters.letter(letter_id(1)).unwrap().unwrap().decisions, [done]);
}

pub fn a_letter_that_was_decided_about_is_not_decided_about_otherwise(stage: Stage) {
    bury(&stage, [letter(1, INVENTORY), letter(2, INVENTORY)]);
    stage.letters.decide(&requeue(1, 1)).unwrap();
    let first = stands(stage.letters.decide(&discard(2, 2)).unwrap());
    let conflict = |state| Ok(Decided::Conflict(state));
    assert_eq!(stage.letters.decide(&discard(3, 1)), conflict(LetterState::Requeued));
    assert_eq!(stage.letters.decide(&requeue(4, 2)), conflict(LetterState::Discarded));
    assert_eq!(stands(stage.letters.decide(&discard(5, 2)).unwrap()), first);
}

pub fn a_key_stands_for_one_decision_about_one_letter(stage: Stage) {
    bury(&stage, [letter(1, INVENTORY), letter(2, INVENTORY)]);
    let wish = requeue(1, 1);
    let first = stands(stage.letters.decide(&wish).unwrap());
    let repeat = NewDecision { id: sample::input_id(2), at: sample::second(99), ..wish.clone() };
    assert_eq!(stands(stage.letters.decide(&repeat).unwrap()), first);
    let otherwise = NewDecision { note: "another reason".into(), ..repeat.clone() };
    assert_eq!(stage.letters.decide(&otherwise), Ok(Decided::KeyTaken));
    let opposite = NewDecision { action: Action::Discard, ..repeat.clone() };
    assert_eq!(stage.letters.decide(&opposite), Ok(Decided::KeyTaken));
    let elsewhere = NewDecision { letter: letter_id(2), ..repeat.clone() };
    assert_eq!(stands(stage.letters.decide(&elsewhere).unwrap()).id, repeat.id);

    // Also once the letter is open again.
    stage.letters.settle(&[(first.id, Outcome::Done)]).unwrap();
    bury(&stage, [letter(1, INVENTORY)]);
    let again = NewDecision { id: sample::input_id(3), ..repeat };
    assert_eq!(stands(stage.letters.decide(&again).unwrap()).id, first.id);
    assert_eq!(state(&stage, 1), LetterState::Open);
}

pub fn a_requeue_that_failed_opens_its_letter_and_gives_its_key_back(stage: Stage) {
    bury(&stage, [letter(1, INVENTORY)]);
    let failures = [Outcome::Unroutable, Outcome::QueueFull, Outcome::NotSendable];
    for (n, outcome) in (1..).zip(failures) {
        let wish = NewDecision { client_key: "key".into(), ..requeue(n, 1) };
        assert_eq!(stands(stage.letters.decide(&wish).unwrap()).id, wish.id);
        stage.letters.settle(&[(wish.id, outcome)]).unwrap();
        assert_eq!(stage.letters.decision_outcome(wish.id), Ok(Some(outcome)));
        assert_eq!(taken(&stage, 9_999, 10), NOTHING);
        assert_eq!(state(&stage, 1), LetterState::Open);
    }
    let decisions = stage.letters.letter(letter_id(1)).unwrap().unwrap().decisions;
    let outcomes: Vec<_> = decisions.into_iter().filter_map(|it| it.outcome).collect();
    assert_eq!(outcomes, failures, "oldest first");
    assert_eq!(stands(stage.letters.decide(&discard(9, 1)).unwrap()).id, sample::input_id(9));
}

pub fn the_first_outcome_of_a_decision_stands(stage: Stage) {
    bury(&stage, [letter(1, INVENTORY), letter(2, INVENTORY)]);
    let [sent, failed] = [requeue(1, 1), requeue(2, 2)];
    for wish in [&sent, &failed] {
        stage.letters.decide(wish).unwrap();
    }
    let first = [(sent.id, Outcome::Done), (failed.id, Outcome::QueueFull)];
    stage.letters.settle(&first).unwrap();
    stage.letters.settle(&[(sent.id, Outcome::Unroutable), (failed.id, Outcome::Done)]).unwrap();
    for (id, outcome) in first {
        assert_eq!(stage.letters.decision_outcome(id), Ok(Some(outcome)));
    }
    assert_eq!((state(&stage, 1), state(&stage, 2)), (LetterState::Requeued, LetterState::Open));
}

pub fn a_message_that_dies_again_opens_its_letter(stage: Stage) {
    bury(&stage, (1..=3).map(|n| letter(n, INVENTORY)));
    let [sent, on_its_way] = [requeue(1, 1), requeue(2, 2)];
    stage.letters.decide(&sent).unwrap();
    stage.letters.settle(&[(sent.id, Outcome::Done)]).unwrap();
    stage.letters.decide(&on_its_way).unwrap();
    stage.letters.decide(&discard(3, 3)).unwrap();

    let again = |n| DeadLetter {
        id: letter_id(50 + n),
        reason: "delivery_limit".into(),
        at: sample::second(500),
        ..letter(n, INVENTORY)
    };
    bury(&stage, (1..=3).map(again));
    use LetterState::*;
    assert_eq!([1, 2, 3].map(|n| state(&stage, n)), [Open, Open, Discarded]);
    let found = stage.letters.letter(letter_id(1)).unwrap().unwrap();
    assert_eq!((&*found.summary.reason, found.summary.at), ("delivery_limit", sample::second(500)));
    assert_eq!(found.decisions.len(), 1, "what was decided before stays on record");
    assert_eq!(page(&stage, &LetterFilter::default(), None, 10), ids([3, 2, 1]), "no new letters");

    // It died before its sending was recorded.
    stage.letters.settle(&[(on_its_way.id, Outcome::Done)]).unwrap();
    assert_eq!(state(&stage, 2), Open);
    let second = stands(stage.letters.decide(&requeue(4, 1)).unwrap());
    assert_eq!(second.id, sample::input_id(4));
}

pub fn what_is_longest_due_is_handed_out_first_and_no_more_than_asked(stage: Stage) {
    bury(&stage, (1..=4).map(|n| letter(n, INVENTORY)));
    for (n, of) in [(2, 1), (4, 2), (1, 3), (3, 4)] {
        stage.letters.decide(&requeue(n, of)).unwrap();
    }
    assert_eq!(taken(&stage, 20, 3), [1, 2, 3].map(sample::input_id));
    assert_eq!(taken(&stage, 20, 3), [sample::input_id(4)]);
}

pub fn of_nodes_that_ask_at_the_same_time_each_gets_others(stage: Stage) {
    const LETTERS: u64 = 40;
    bury(&stage, (1..=LETTERS).map(|n| letter(n, INVENTORY)));
    for n in 1..=LETTERS {
        stage.letters.decide(&requeue(n, n)).unwrap();
    }
    let nodes = [stage.elsewhere(), stage.elsewhere(), stage.elsewhere()];
    let handed: Vec<Uuid> = std::thread::scope(|scope| {
        let taking = nodes.each_ref().map(|node| {
            scope.spawn(|| {
                let mut all = Vec::new();
                loop {
                    let due = node.letters.take_due(sample::second(99), Timestamp(i64::MAX), 3);
                    match due.unwrap() {
                        due if due.is_empty() => return all,
                        due => all.extend(due.into_iter().map(|due| due.decision)),
                    }
                }
            })
        });
        taking.into_iter().flat_map(|taking| taking.join().unwrap()).collect()
    });
    assert_eq!(handed.len() as u64, LETTERS);
    assert_eq!(handed.iter().collect::<BTreeSet<_>>().len() as u64, LETTERS);
}

pub fn of_opposite_decisions_at_the_same_time_one_stands(stage: Stage) {
    for n in 1..=10 {
        bury(&stage, [letter(n, INVENTORY)]);
        let (one, other) = (requeue(2 * n, n), discard(2 * n + 1, n));
        let nodes = [stage.elsewhere(), stage.elsewhere()];
        let decided = std::thread::scope(|scope| {
            let one = scope.spawn(|| nodes[0].letters.decide(&one).unwrap());
            let other = scope.spawn(|| nodes[1].letters.decide(&other).unwrap());
            [one.join().unwrap(), other.join().unwrap()]
        });
        let conflicts = decided.iter().filter(|it| matches!(it, Decided::Conflict(_))).count();
        assert_eq!(conflicts, 1, "{decided:?}");
        assert_eq!(stage.letters.letter(letter_id(n)).unwrap().unwrap().decisions.len(), 1);
    }
}
