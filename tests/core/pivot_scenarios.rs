//! The point of no return.

use serde_json::json;
use skald::saga::definition::{Step, WorkerMemory};
use skald::saga::event::{AttentionCause, Reason, Setback};
use skald::saga::input::Rejection;
use skald::saga::retry::RetryPolicy;
use skald::saga::state::{SagaStatus, StepState};

use crate::definitions::{REFUSED, RETRY, checked, compensatable, payment, pivot};
use crate::scenario::Scenario;
use crate::sending::{doing, refusal, success};

/// A payment that a worker is asked for.
fn paying() -> Scenario {
    Scenario::of(payment())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!("shelf 7"))
        .expect_asked("pay")
}

#[test]
fn a_pivot_refused_on_its_first_attempt_rolls_back() {
    paying()
        .given_refusal("pay")
        .expect_failed("pay")
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED)
        .expect_not_started("mail");
}

#[test]
fn nothing_is_undone_while_the_outcome_of_the_pivot_is_unknown() {
    paying()
        .given_silence("pay")
        .expect_pause("pay", Setback::TimedOut, 1_000)
        .given_the_pause_ends("pay")
        .expect_asked_again("pay", 2)
        .given_silence("pay")
        .expect_pause("pay", Setback::TimedOut, 2_000)
        .given_the_pause_ends("pay")
        .expect_asked_again("pay", 3)
        .given_silence("pay")
        .expect_pause("pay", Setback::TimedOut, 4_000)
        .expect_attention(
            Some("pay"),
            AttentionCause::NotAnswered { attempts: 3, last: Setback::TimedOut },
        )
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::PastPivot)
        .expect_state("reserve", |state| matches!(state, StepState::Succeeded { .. }))
        .given_the_pause_ends("pay")
        .expect_asked_again("pay", 4)
        .given_success("pay", json!("receipt"))
        .expect_asked("mail")
        .expect_status(SagaStatus::Running)
        .given_success("mail", json!(null))
        .expect_completed();
}

#[test]
fn a_pivot_refused_after_an_unanswered_attempt_waits_for_an_operator() {
    paying()
        .given_setback("pay", Setback::DeadLettered)
        .expect_pause("pay", Setback::DeadLettered, 1_000)
        .given_the_pause_ends("pay")
        .expect_asked_again("pay", 2)
        .given_refusal("pay")
        .expect_refused("pay")
        .expect_attention(Some("pay"), AttentionCause::Refused(Reason::of(REFUSED)))
        .expect_state("reserve", |state| matches!(state, StepState::Succeeded { .. }))
        .retried_by("ops")
        .expect_asked_anew("pay", 2)
        .expect_status(SagaStatus::Running)
        .given_success("pay", json!("receipt"))
        .expect_asked("mail");
}

#[test]
fn a_pivot_refused_by_a_worker_that_keeps_no_record_waits_for_an_operator() {
    let pay = Step { worker: WorkerMemory::Forgetful, ..pivot("pay", &["reserve"]) };
    Scenario::of(checked(vec![compensatable("reserve", &[]), pay], vec![]))
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_asked("pay")
        .given_refusal("pay")
        .expect_refused("pay")
        .expect_attention(Some("pay"), AttentionCause::Refused(Reason::of(REFUSED)));
}

#[test]
fn a_late_refusal_of_the_only_attempt_at_the_pivot_rolls_back_and_needs_no_attention_any_more() {
    let once = RetryPolicy { max_attempts: 1, ..RETRY };
    let pay = Step { retry: once, ..pivot("pay", &["reserve"]) };
    Scenario::of(checked(vec![compensatable("reserve", &[]), pay], vec![]))
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_asked("pay")
        .given_silence("pay")
        .expect_pause("pay", Setback::TimedOut, 1_000)
        .expect_attention(
            Some("pay"),
            AttentionCause::NotAnswered { attempts: 1, last: Setback::TimedOut },
        )
        .given_late(doing("pay"), refusal())
        .expect_failed("pay")
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve")
        .expect_status(SagaStatus::RollingBack);
}

#[test]
fn after_the_pivot_nothing_rolls_back() {
    paying()
        .given_success("pay", json!("receipt"))
        .expect_asked("mail")
        .given_refusal("mail")
        .expect_refused("mail")
        .expect_attention(Some("mail"), AttentionCause::Refused(Reason::of(REFUSED)))
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::PastPivot)
        .retried_by("ops")
        .expect_asked_anew("mail", 2)
        .given_success("mail", json!(null))
        .expect_completed();
}

#[test]
fn a_late_success_of_the_pivot_counts_while_it_pauses() {
    paying()
        .given_silence("pay")
        .expect_pause("pay", Setback::TimedOut, 1_000)
        .given_late(doing("pay"), success("receipt"))
        .expect_asked("mail");
}
