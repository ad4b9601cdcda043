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
