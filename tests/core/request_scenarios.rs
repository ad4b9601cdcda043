//! What people may ask for, and when they come too late.

use serde_json::json;
use skald::saga::event::{Event, Reason};
use skald::saga::input::Rejection;
use skald::saga::state::SagaStatus;

use crate::definitions::{REFUSED, order_like, payment, trip};
use crate::scenario::Scenario;

#[test]
fn a_cancellation_before_the_pivot_undoes_what_was_begun() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rollback("UNWANTED")
        .expect_undo_asked("reserve")
        .expect_status(SagaStatus::RollingBack)
        .given_success("reserve", json!(null))
        .expect_rolled_back("UNWANTED")
        .expect_asked("apologise")
        .given_success("apologise", json!(null))
        .expect_cancelled("UNWANTED");
}

#[test]
fn it_is_recorded_who_cancelled() {
    let scenario = Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .cancelled_by("ops/anna", "UNWANTED")
        .expect_rollback("UNWANTED")
        .expect_undo_asked("flight");
    let recorded = scenario.history.iter().any(|recorded| {
        matches!(&recorded.event, Event::RollbackStarted { by: Some(by), .. } if by == "ops/anna")
    });
    assert!(recorded, "nobody is named{scenario}");
}

#[test]
fn a_cancellation_while_the_pivot_is_asked_for_is_rejected() {
    Scenario::of(payment())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_asked("pay")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::PastPivot)
        .given_success("pay", json!(null))
        .expect_asked("mail");
}

#[test]
fn a_cancellation_after_the_pivot_is_rejected() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_done("confirm")
        .expect_asked("mail")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::PastPivot)
        .given_success("mail", json!(null))
        .expect_completed()
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::PastPivot);
}

#[test]
fn a_second_cancellation_is_rejected_with_the_reason_of_the_first() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rollback("UNWANTED")
        .expect_undo_asked("reserve")
        .cancelled_by("ops", "FRAUD")
        .expect_rejected(Rejection::AlreadyRollingBack(Reason::of("UNWANTED")))
        .given_success("reserve", json!(null))
        .expect_rolled_back("UNWANTED")
        .expect_asked("apologise")
        .cancelled_by("ops", "FRAUD")
        .expect_rejected(Rejection::AlreadyRollingBack(Reason::of("UNWANTED")))
        .given_success("apologise", json!(null))
        .expect_cancelled("UNWANTED")
        .cancelled_by("ops", "FRAUD")
        .expect_rejected(Rejection::AlreadyRollingBack(Reason::of("UNWANTED")));
}

#[test]
fn a_cancellation_of_what_fails_anyway_is_rejected_with_the_reason_of_the_failure() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_refusal("reserve")
        .expect_failed("reserve")
        .expect_rollback(REFUSED)
        .expect_rolled_back(REFUSED)
        .expect_asked("apologise")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::AlreadyRollingBack(Reason::of(REFUSED)));
}

#[test]
fn a_saga_without_a_pivot_can_be_cancelled_until_its_end() {
    Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_success("flight", json!(null))
        .expect_asked("hotel")
        .expect_asked("car")
        .given_success("hotel", json!(null))
        .cancelled_by("the traveller", "UNWANTED")
        .expect_rollback("UNWANTED")
        .expect_undo_asked("hotel")
        .expect_undo_asked("car")
        .given_success("hotel", json!(null))
        .given_success("car", json!(null))
        .expect_undo_asked("flight")
        .given_success("flight", json!(null))
        .expect_rolled_back("UNWANTED")
        .expect_cancelled("UNWANTED");
}
