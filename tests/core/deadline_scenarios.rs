//! The deadline of the whole saga.

use serde_json::json;
use skald::saga::event::{AttentionCause, Doubt, Reason, Setback, core_reason::DEADLINE_EXCEEDED};
use skald::saga::input::{Ignored, Rejection};
use skald::saga::state::SagaStatus;

use crate::definitions::{DEADLINE_MS, SECOND, order_like, payment, trip};
use crate::scenario::{START, Scenario};

#[test]
fn before_the_pivot_the_deadline_cancels_the_saga() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .after_ms(DEADLINE_MS - 1)
        .when_due()
        .expect_ignored(Ignored::NothingDue)
        .after_ms(1)
        .when_due()
        .expect_deadline_passed()
        .expect_rollback(DEADLINE_EXCEEDED)
        .expect_undo_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_rolled_back(DEADLINE_EXCEEDED)
        .expect_asked("apologise")
        .given_success("apologise", json!(null))
        .expect_cancelled(DEADLINE_EXCEEDED);
}

#[test]
fn the_deadline_does_not_first_ask_again_for_what_it_undoes() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .after_ms(DEADLINE_MS - SECOND)
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, SECOND)
        .after_ms(SECOND)
        .when_due()
        .expect_deadline_passed()
        .expect_rollback(DEADLINE_EXCEEDED)
        .expect_undo_asked("reserve");
}

#[test]
fn the_deadline_does_not_first_count_a_silence_of_what_it_undoes() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .when_the_queue_gets_here("reserve")
        .after_ms(DEADLINE_MS)
        .when_due()
        .expect_deadline_passed()
        .expect_rollback(DEADLINE_EXCEEDED)
        .expect_undo_asked("reserve");
}

#[test]
fn after_the_pivot_the_deadline_calls_for_attention_and_the_saga_goes_on() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_done("confirm")
        .expect_asked("mail")
        .after_ms(DEADLINE_MS)
        .when_due()
        .expect_deadline_passed()
        .expect_attention(None, AttentionCause::DeadlineExceeded)
        .given_success("mail", json!(null))
        .expect_completed();
}

#[test]
fn while_the_pivot_is_asked_for_the_deadline_calls_for_attention() {
    Scenario::of(payment())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_asked("pay")
        .after_ms(DEADLINE_MS)
        .when_due()
        .expect_deadline_passed()
        .expect_attention(None, AttentionCause::DeadlineExceeded)
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::PastPivot);
}

#[test]
fn a_rollback_that_is_not_over_by_the_deadline_calls_for_attention() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rollback("UNWANTED")
        .expect_undo_asked("reserve")
        .after_ms(DEADLINE_MS)
        .when_due()
        .expect_deadline_passed()
        .expect_attention(None, AttentionCause::DeadlineExceeded)
        .given_success("reserve", json!(null))
        .expect_rolled_back("UNWANTED")
        .expect_asked("apologise")
        .given_success("apologise", json!(null))
        .expect_cancelled("UNWANTED");
}

#[test]
fn the_deadline_passes_only_once() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_done("confirm")
        .expect_asked("mail")
        .after_ms(DEADLINE_MS)
        .when_due()
        .expect_deadline_passed()
        .expect_attention(None, AttentionCause::DeadlineExceeded)
        .after_ms(SECOND)
        .when_due()
        .expect_ignored(Ignored::NothingDue);
}

#[test]
fn an_operator_may_ask_again_for_a_saga_that_is_only_late() {
    Scenario::of(payment())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_asked("pay")
        .after_ms(DEADLINE_MS)
        .when_due()
        .expect_deadline_passed()
        .expect_attention(None, AttentionCause::DeadlineExceeded)
        .retried_by("ops")
        .expect_asked_again("pay", 2)
        .expect_status(SagaStatus::Running);
}

#[test]
fn after_the_end_no_deadline_passes() {
    Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_refusal("flight")
        .expect_failed("flight")
        .expect_rollback("REFUSED")
        .expect_rolled_back("REFUSED")
        .expect_cancelled("REFUSED")
        .after_ms(2 * DEADLINE_MS)
        .when_due()
        .expect_ignored(Ignored::NothingDue);
}

#[test]
fn the_next_thing_due_is_the_earliest_of_the_calls_and_the_deadline() {
    let scenario = Scenario::of(payment()).begins().expect_asked("reserve");
    let due = |scenario: &Scenario| scenario.saga().state.next_due();
    assert_eq!(due(&scenario), Some(START.plus_millis(5 * SECOND)), "the time-out");
    let scenario = scenario.given_setback("reserve", Setback::Retryable).expect_pause(
        "reserve",
        Setback::Retryable,
        SECOND,
    );
    assert_eq!(due(&scenario), Some(START.plus_millis(SECOND)), "the end of the pause");
    let scenario = scenario
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2)
        .given_refusal("reserve")
        .expect_given_up("reserve", Doubt::RefusedLate(Reason::of("REFUSED")))
        .expect_rollback("REFUSED")
        .expect_undo_asked("reserve")
        .given_refusal("reserve")
        .expect_refused("reserve")
        .expect_attention(Some("reserve"), AttentionCause::Refused(Reason::of("REFUSED")));
    assert_eq!(due(&scenario), Some(START.plus_millis(DEADLINE_MS)), "the deadline alone");
}
