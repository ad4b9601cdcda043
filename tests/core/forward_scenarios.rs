//! The way forward, undisturbed.

use serde_json::json;
use skald::saga::definition::{Runs, Step};
use skald::saga::state::{SagaStatus, StepState};

use crate::definitions::{checked, compensatable, order_like, pivot, retriable, trip};
use crate::scenario::Scenario;

#[test]
fn an_undisturbed_order_runs_from_its_birth_to_its_end() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .expect_status(SagaStatus::Running)
        .given_success("reserve", json!({"shelf": 7}))
        .expect_done("confirm")
        .expect_asked("mail")
        .expect_status(SagaStatus::Running)
        .given_success("mail", json!(null))
        .expect_completed();
}

#[test]
fn what_a_worker_returned_is_kept_with_its_step() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!({"shelf": 7, "price": 9.90}))
        .expect_done("confirm")
        .expect_asked("mail")
        .expect_state("reserve", |state| {
            matches!(state, StepState::Succeeded { generation: 1, result }
                if result.as_str() == r#"{"price":9.9,"shelf":7}"#)
        });
}

#[test]
fn a_step_starts_only_when_all_that_it_needs_is_done() {
    Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .expect_not_started("hotel")
        .given_success("flight", json!("LH 1"))
        .expect_asked("hotel")
        .expect_asked("car")
        .given_success("car", json!("VW"))
        .expect_not_started("insurance")
        .given_success("hotel", json!("Ritz"))
        .expect_asked("insurance")
        .given_success("insurance", json!("all risks"))
        .expect_completed();
}

#[test]
fn steps_may_be_written_down_in_any_order() {
    let definition = checked(
        vec![
            retriable("mail", &["pay"]),
            pivot("pay", &["pack", "reserve"]),
            compensatable("pack", &["reserve"]),
            compensatable("reserve", &[]),
        ],
        vec![],
    );
    Scenario::of(definition)
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(1))
        .expect_asked("pack")
        .given_success("pack", json!(2))
        .expect_asked("pay")
        .given_success("pay", json!(3))
        .expect_asked("mail")
        .given_success("mail", json!(4))
        .expect_completed();
}

#[test]
fn a_saga_without_a_pivot_ends_when_its_last_branch_does() {
    let definition = checked(vec![compensatable("left", &[]), compensatable("right", &[])], vec![]);
    Scenario::of(definition)
        .begins()
        .expect_asked("left")
        .expect_asked("right")
        .given_success("right", json!(2))
        .expect_status(SagaStatus::Running)
        .given_success("left", json!(1))
        .expect_completed();
}

#[test]
fn several_local_steps_in_a_row_cost_one_decision() {
    let locally = |step: Step| Step { runs: Runs::Locally, ..step };
    let definition = checked(
        vec![
            locally(compensatable("note", &[])),
            compensatable("reserve", &["note"]),
            locally(pivot("confirm", &["reserve"])),
            locally(retriable("count", &["confirm"])),
        ],
        vec![],
    );
    Scenario::of(definition)
        .begins()
        .expect_done("note")
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_done("confirm")
        .expect_done("count")
        .expect_completed();
}

#[test]
fn a_saga_of_local_steps_only_is_over_at_its_birth() {
    let pivot = Step { runs: Runs::Locally, ..pivot("confirm", &[]) };
    Scenario::of(checked(vec![pivot], vec![])).begins().expect_done("confirm").expect_completed();
}

#[test]
fn the_steps_after_a_rollback_do_not_run_on_the_way_forward() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!(null))
        .expect_done("confirm")
        .expect_asked("mail")
        .given_success("mail", json!(null))
        .expect_completed()
        .expect_not_started("apologise");
}
