//! The way back.

use serde_json::json;
use skald::saga::definition::{Runs, Step};
use skald::saga::event::{Doubt, Reason, Setback};
use skald::saga::input::{Answer, Ignored};
use skald::saga::state::{SagaStatus, StepState};

use crate::definitions::{REFUSED, checked, compensatable, forgetful, order_like, retriable, trip};
use crate::scenario::Scenario;
use crate::sending::{doing, success};

/// A trip on which the hotel and the car are booked, and the insurance is asked for.
fn trip_up_to_the_insurance() -> Scenario {
    Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_success("flight", json!("LH 1"))
        .expect_asked("hotel")
        .expect_asked("car")
        .given_success("hotel", json!("Ritz"))
        .given_success("car", json!("VW"))
        .expect_asked("insurance")
}

#[test]
fn a_refusal_of_the_first_step_leaves_nothing_to_undo_and_the_customer_is_told() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_refusal("reserve")
        .expect_failed("reserve")
        .expect_rollback(REFUSED)
        .expect_rolled_back(REFUSED)
        .expect_asked("apologise")
        .expect_status(SagaStatus::RollingBack)
        .expect_not_started("confirm")
        .given_success("apologise", json!(null))
        .expect_cancelled(REFUSED);
}

#[test]
fn what_was_done_is_undone_after_all_that_depends_on_it() {
    trip_up_to_the_insurance()
        .given_refusal("insurance")
        .expect_failed("insurance")
        .expect_rollback(REFUSED)
        .expect_undo_asked("hotel")
        .expect_undo_asked("car")
        .given_success("car", json!(null))
        .expect_state("flight", |state| matches!(state, StepState::Succeeded { .. }))
        .given_success("hotel", json!(null))
        .expect_undo_asked("flight")
        .given_success("flight", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED);
}

#[test]
fn a_step_that_still_runs_is_undone_at_once_when_another_branch_fails() {
    Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_success("flight", json!("LH 1"))
        .expect_asked("hotel")
        .expect_asked("car")
        .given_refusal("hotel")
        .expect_failed("hotel")
        .expect_rollback(REFUSED)
        .expect_undo_asked("car")
        .given_late(doing("car"), success("VW"))
        .expect_ignored(Ignored::Settled)
        .given_success("car", json!(null))
        .expect_undo_asked("flight")
        .given_success("flight", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED)
        .expect_not_started("insurance");
}

#[test]
fn a_step_that_pauses_is_undone_at_once_too() {
    Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_success("flight", json!("LH 1"))
        .expect_asked("hotel")
        .expect_asked("car")
        .given_silence("car")
        .expect_pause("car", Setback::TimedOut, 1_000)
        .given_refusal("hotel")
        .expect_failed("hotel")
        .expect_rollback(REFUSED)
        .expect_undo_asked("car");
}

#[test]
fn a_local_step_is_undone_in_the_commit_that_gets_to_it() {
    let definition = checked(
        vec![
            Step { runs: Runs::Locally, ..compensatable("note", &[]) },
            compensatable("reserve", &["note"]),
            compensatable("pack", &["reserve"]),
        ],
        vec![],
    );
    Scenario::of(definition)
        .begins()
        .expect_done("note")
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_asked("pack")
        .given_refusal("pack")
        .expect_failed("pack")
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_undone("note")
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED);
}

#[test]
fn the_first_reason_stands_when_a_second_branch_fails_too() {
    let definition = checked(vec![compensatable("left", &[]), compensatable("right", &[])], vec![]);
    Scenario::of(definition)
        .begins()
        .expect_asked("left")
        .expect_asked("right")
        .given_refusal("left")
        .expect_failed("left")
        .expect_rollback(REFUSED)
        .expect_undo_asked("right")
        .given_late(doing("right"), Answer::Failure(Reason::of("LATER")))
        .expect_ignored(Ignored::Settled)
        .given_success("right", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED);
}

#[test]
fn a_refusal_by_a_worker_that_keeps_no_record_is_undone() {
    Scenario::of(forgetful())
        .begins()
        .expect_asked("reserve")
        .given_refusal("reserve")
        .expect_given_up("reserve", Doubt::RefusedLate(Reason::of(REFUSED)))
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED);
}

#[test]
fn the_undo_knows_what_the_step_had_returned() {
    trip_up_to_the_insurance()
        .given_refusal("insurance")
        .expect_failed("insurance")
        .expect_rollback(REFUSED)
        .expect_undo_asked("hotel")
        .expect_undo_asked("car")
        .expect_state("hotel", |state| {
            matches!(state, StepState::Undoing { result: Some(result), .. }
                if result.as_str() == r#""Ritz""#)
        });
}

#[test]
fn the_steps_after_a_rollback_wait_for_each_other_and_for_the_last_undo() {
    let definition = checked(
        vec![compensatable("reserve", &[]), compensatable("pack", &["reserve"])],
        vec![retriable("apologise", &["log"]), retriable("log", &[])],
    );
    Scenario::of(definition)
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_asked("pack")
        .given_refusal("pack")
        .expect_failed("pack")
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve")
        .expect_not_started("log")
        .given_success("reserve", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_asked("log")
        .expect_not_started("apologise")
        .given_success("log", json!(null))
        .expect_asked("apologise")
        .given_success("apologise", json!(null))
        .expect_cancelled(REFUSED);
}
