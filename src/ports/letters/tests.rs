use super::*;

#[test]
fn what_was_decided_stands_and_its_opposite_is_a_conflict() {
    use {Action::*, LetterState::*};
    assert_eq!(Open.judge(Requeue), Verdict::Taken(Requeued));
    assert_eq!(Open.judge(Discard), Verdict::Taken(Discarded));
    assert_eq!(Requeued.judge(Requeue), Verdict::Stands);
    assert_eq!(Discarded.judge(Discard), Verdict::Stands);
    assert_eq!(Requeued.judge(Discard), Verdict::Conflict);
    assert_eq!(Discarded.judge(Requeue), Verdict::Conflict);
}

#[test]
fn names_can_be_read_back() {
    for state in LetterState::ALL {
        assert_eq!(LetterState::parse(state.as_str()), Some(*state));
    }
    assert_eq!(LetterState::parse("open"), None);
}

#[test]
fn a_client_key_stands_for_one_decision() {
    let id = uuid::Uuid::nil();
    let decision = NewDecision {
        id,
        letter: id,
        action: Action::Requeue,
        by: "ada".to_owned(),
        note: "the worker is mended".to_owned(),
        client_key: "1".to_owned(),
        at: Timestamp(0),
    };
    let earlier = decision.taken();
    let by_another = NewDecision { by: "bob".to_owned(), ..decision.clone() };
    assert_eq!(by_another.after(earlier.clone()), Decided::Stands(earlier.clone()));
    for other in [
        NewDecision { note: "try again".to_owned(), ..decision.clone() },
        NewDecision { action: Action::Discard, ..decision },
    ] {
        assert_eq!(other.after(earlier.clone()), Decided::KeyTaken);
    }
}
