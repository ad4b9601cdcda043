//! Replies that are late, repeated or unknown.

use serde_json::json;
use skald::saga::event::{AttentionCause, Doubt, Reason, Setback};
use skald::saga::input::{Answer, Ignored};
use skald::saga::state::REMEMBERED_ASKS;

use crate::definitions::{REFUSED, SECOND, checked, order_like, pivot, retriable};
use crate::scenario::Scenario;
use crate::sending::{doing, refusal, success, undoing};

/// A reservation that is asked for a second time.
fn reserving_again() -> Scenario {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_silence("reserve")
        .expect_pause("reserve", Setback::TimedOut, SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2)
}

#[test]
fn a_late_success_of_an_earlier_attempt_counts() {
    reserving_again()
        .given_late(doing("reserve").attempt(1), success(7))
        .expect_done("confirm")
        .expect_asked("mail")
        .given_late(doing("reserve").attempt(2), success(7))
        .expect_ignored(Ignored::Settled);
}

#[test]
fn a_late_success_counts_during_the_pause() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_silence("reserve")
        .expect_pause("reserve", Setback::TimedOut, SECOND)
        .given_late(doing("reserve"), success(7))
        .expect_done("confirm")
        .expect_asked("mail");
}

#[test]
fn a_refusal_after_an_unanswered_attempt_is_undone_because_that_attempt_may_have_succeeded() {
    reserving_again()
        .given_refusal("reserve")
        .expect_given_up("reserve", Doubt::RefusedLate(Reason::of(REFUSED)))
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_asked("apologise");
}

#[test]
fn a_late_refusal_of_the_first_attempt_is_undone_once_there_is_a_second() {
    reserving_again()
        .given_late(doing("reserve").attempt(1), refusal())
        .expect_given_up("reserve", Doubt::RefusedLate(Reason::of(REFUSED)))
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve");
}

#[test]
fn a_refusal_of_the_only_attempt_says_that_nothing_was_done_even_during_the_pause() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_silence("reserve")
        .expect_pause("reserve", Setback::TimedOut, SECOND)
        .given_late(doing("reserve"), refusal())
        .expect_failed("reserve")
        .expect_rollback(REFUSED)
        .expect_rolled_back(REFUSED)
        .expect_asked("apologise");
}

#[test]
fn a_setback_of_an_earlier_attempt_says_nothing_about_the_one_that_is_open() {
    let to_the_first = 2;
    reserving_again()
        .given_answer(to_the_first, Answer::Setback(Setback::DeadLettered))
        .expect_ignored(Ignored::Superseded)
        .given_answer(to_the_first, Answer::Failure(Reason::of("ERR_NULL_POINTER")))
        .expect_ignored(Ignored::Superseded);
}

#[test]
fn a_repeated_setback_does_not_start_a_second_pause() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, SECOND)
        .after_ms(10)
        .given_setback("reserve", Setback::Retryable)
        .expect_ignored(Ignored::Superseded);
}

#[test]
fn a_repeated_success_is_ignored() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(7))
        .expect_done("confirm")
        .expect_asked("mail")
        .given_late(doing("reserve"), success(7))
        .expect_ignored(Ignored::Settled)
        .given_late(doing("reserve"), refusal())
        .expect_ignored(Ignored::Settled);
}

#[test]
fn a_success_that_comes_after_the_undo_was_asked_for_is_ignored() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rollback("UNWANTED")
        .expect_undo_asked("reserve")
        .given_late(doing("reserve"), success(7))
        .expect_ignored(Ignored::Settled)
        .given_success("reserve", json!(null))
        .expect_rolled_back("UNWANTED")
        .expect_asked("apologise")
        .given_late(undoing("reserve"), success(json!(null)))
        .expect_ignored(Ignored::Settled);
}

#[test]
fn every_reply_after_the_end_is_ignored() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_refusal("reserve")
        .expect_failed("reserve")
        .expect_rollback(REFUSED)
        .expect_rolled_back(REFUSED)
        .expect_asked("apologise")
        .given_success("apologise", json!(null))
        .expect_cancelled(REFUSED)
        .given_late(doing("reserve"), success(7))
        .expect_ignored(Ignored::Settled)
        .given_late(doing("apologise"), refusal())
        .expect_ignored(Ignored::Settled)
        .after_ms(86_400 * SECOND)
        .when_due()
        .expect_ignored(Ignored::NothingDue);
}

#[test]
fn a_reply_to_what_was_never_asked_is_ignored() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_answer(3, success(7))
        .expect_ignored(Ignored::NeverAsked)
        .given_answer(u64::MAX, refusal())
        .expect_ignored(Ignored::NeverAsked);
}

#[test]
fn a_reply_to_an_event_that_asked_nothing_is_ignored() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_answer(1, success(7))
        .expect_ignored(Ignored::Settled);
}

#[test]
fn a_late_success_under_a_refused_key_does_not_count_under_the_new_one() {
    let definition = checked(vec![pivot("pay", &[]), retriable("mail", &["pay"])], vec![]);
    let scenario = Scenario::of(definition)
        .begins()
        .expect_asked("pay")
        .given_success("pay", json!(null))
        .expect_asked("mail")
        .given_refusal("mail")
        .expect_refused("mail")
        .expect_attention(Some("mail"), AttentionCause::Refused(Reason::of(REFUSED)))
        .retried_by("ops")
        .expect_asked_anew("mail", 2);
    let of_the_old_key = 5;
    scenario.given_answer(of_the_old_key, success(1)).expect_ignored(Ignored::Settled);
}

#[test]
fn the_newest_sendings_are_remembered_and_no_more_than_a_bounded_number() {
    let definition = checked(vec![pivot("pay", &[])], vec![]);
    let mut scenario = Scenario::of(definition).begins().expect_asked("pay");
    let remembered = u32::try_from(REMEMBERED_ASKS).expect("a small number");
    for attempt in 1..=remembered {
        scenario = scenario.given_setback("pay", Setback::Retryable);
        let pause = [1, 2, 4][usize::min(attempt as usize, 3) - 1] * SECOND;
        scenario = scenario.expect_pause("pay", Setback::Retryable, pause);
        if attempt == 3 {
            let cause = AttentionCause::NotAnswered { attempts: 3, last: Setback::Retryable };
            scenario = scenario.expect_attention(Some("pay"), cause);
        }
        scenario = scenario.given_the_pause_ends("pay").expect_asked_again("pay", attempt + 1);
    }
    scenario
        .given_late(doing("pay").attempt(1), success(1))
        .expect_ignored(Ignored::Settled)
        .given_late(doing("pay").attempt(2), success(2))
        .expect_completed();
}
