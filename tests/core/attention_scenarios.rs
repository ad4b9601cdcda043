//! Sagas that need an operator.

use serde_json::json;
use skald::saga::decide::{SILENCE_MS, decide};
use skald::saga::definition::Definition;
use skald::saga::event::{AttentionCause, Reason, Setback};
use skald::saga::input::{Ignored, Input, Reached, Rejection};
use skald::saga::state::{SagaStatus, StepState};

use crate::definitions::{REFUSED, SECOND, checked, compensatable, order_like, pivot, retriable};
use crate::scenario::Scenario;
use crate::sending::{refusal, success, undoing};

/// Two steps of which the second was refused, so that the first is being undone.
fn releasing() -> Scenario {
    let definition =
        checked(vec![compensatable("reserve", &[]), compensatable("pack", &["reserve"])], vec![]);
    Scenario::of(definition)
        .begins()
        .expect_asked("reserve")
        .given_success("reserve", json!("shelf 7"))
        .expect_asked("pack")
        .given_refusal("pack")
        .expect_failed("pack")
        .expect_rollback(REFUSED)
        .expect_undo_asked("reserve")
}

/// The same after three attempts at the undo that met no answer.
fn stuck_releasing() -> Scenario {
    releasing()
        .given_silence("reserve")
        .expect_pause("reserve", Setback::TimedOut, SECOND)
        .given_the_pause_ends("reserve")
        .expect_undo_asked_again("reserve", 2)
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, 2 * SECOND)
        .given_the_pause_ends("reserve")
        .expect_undo_asked_again("reserve", 3)
        .given_setback("reserve", Setback::DeadLettered)
        .expect_pause("reserve", Setback::DeadLettered, 4 * SECOND)
        .expect_attention(
            Some("reserve"),
            AttentionCause::NotAnswered { attempts: 3, last: Setback::DeadLettered },
        )
}

#[test]
fn an_undo_without_an_answer_calls_for_attention_once_and_goes_on_being_asked() {
    stuck_releasing()
        .given_the_pause_ends("reserve")
        .expect_undo_asked_again("reserve", 4)
        .given_silence("reserve")
        .expect_pause("reserve", Setback::TimedOut, 4 * SECOND)
        .expect_status(SagaStatus::NeedsAttention)
        .given_the_pause_ends("reserve")
        .expect_undo_asked_again("reserve", 5)
        .expect_status(SagaStatus::NeedsAttention);
}

#[test]
fn a_late_success_of_the_undo_clears_the_attention() {
    stuck_releasing()
        .given_late(undoing("reserve").attempt(1), success("released"))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED);
}

#[test]
fn only_the_attention_of_the_step_that_succeeded_is_cleared() {
    let definition = checked(vec![compensatable("left", &[]), compensatable("right", &[])], vec![]);
    Scenario::of(definition)
        .begins()
        .expect_asked("left")
        .expect_asked("right")
        .cancelled_by("the customer", "UNWANTED")
        .expect_rollback("UNWANTED")
        .expect_undo_asked("left")
        .expect_undo_asked("right")
        .given_refusal("left")
        .expect_refused("left")
        .expect_attention(Some("left"), AttentionCause::Refused(Reason::of(REFUSED)))
        .given_success("right", json!(null))
        .expect_status(SagaStatus::NeedsAttention);
}

#[test]
fn an_undo_that_is_refused_waits_for_an_operator_whose_retry_has_a_new_key() {
    releasing()
        .given_refusal("reserve")
        .expect_refused("reserve")
        .expect_attention(Some("reserve"), AttentionCause::Refused(Reason::of(REFUSED)))
        .after_ms(60 * SECOND)
        .when_due()
        .expect_ignored(Ignored::NothingDue)
        .expect_state("reserve", |state| {
            matches!(state, StepState::UndoRefused { generation: 1, result: Some(result), .. }
                if result.as_str() == r#""shelf 7""#)
        })
        .retried_by("ops")
        .expect_undo_asked_anew("reserve", 2)
        .expect_status(SagaStatus::RollingBack)
        .given_success("reserve", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED);
}

#[test]
fn a_retry_that_is_refused_again_calls_again() {
    releasing()
        .given_refusal("reserve")
        .expect_refused("reserve")
        .expect_attention(Some("reserve"), AttentionCause::Refused(Reason::of(REFUSED)))
        .retried_by("ops")
        .expect_undo_asked_anew("reserve", 2)
        .given_refusal("reserve")
        .expect_refused("reserve")
        .expect_attention(Some("reserve"), AttentionCause::Refused(Reason::of(REFUSED)))
        .retried_by("ops")
        .expect_undo_asked_anew("reserve", 3);
}

#[test]
fn a_retry_of_what_has_no_answer_keeps_the_key_and_does_not_wait_for_the_pause() {
    stuck_releasing()
        .retried_by("ops")
        .expect_undo_asked_again("reserve", 4)
        .expect_status(SagaStatus::RollingBack)
        .given_silence("reserve")
        .expect_pause("reserve", Setback::TimedOut, 4 * SECOND)
        .expect_attention(
            Some("reserve"),
            AttentionCause::NotAnswered { attempts: 4, last: Setback::TimedOut },
        );
}

#[test]
fn a_refusal_replaces_the_cause_that_there_was_no_answer() {
    let scenario = stuck_releasing()
        .given_late(undoing("reserve").attempt(2), refusal())
        .expect_refused("reserve")
        .expect_attention(Some("reserve"), AttentionCause::Refused(Reason::of(REFUSED)));
    assert_eq!(scenario.saga().state.attention.len(), 1, "one cause for one step");
}

#[test]
fn what_is_not_stuck_is_not_retried() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .retried_by("ops")
        .expect_rejected(Rejection::NotStuck(SagaStatus::Running))
        .given_success("reserve", json!(null))
        .expect_done("confirm")
        .expect_asked("mail")
        .given_success("mail", json!(null))
        .expect_completed()
        .retried_by("ops")
        .expect_rejected(Rejection::NotStuck(SagaStatus::Completed));
}

#[test]
fn what_is_being_undone_without_trouble_is_not_retried() {
    releasing()
        .retried_by("ops")
        .expect_rejected(Rejection::NotStuck(SagaStatus::RollingBack))
        .given_success("reserve", json!(null))
        .expect_rolled_back(REFUSED)
        .expect_cancelled(REFUSED)
        .retried_by("ops")
        .expect_rejected(Rejection::NotStuck(SagaStatus::Cancelled));
}

#[test]
fn the_rollback_stands_whatever_the_steps_after_it_do() {
    Scenario::of(order_like())
        .begins()
        .expect_asked("reserve")
        .given_refusal("reserve")
        .expect_failed("reserve")
        .expect_rollback(REFUSED)
        .expect_rolled_back(REFUSED)
        .expect_asked("apologise")
        .given_refusal("apologise")
        .expect_refused("apologise")
        .expect_attention(Some("apologise"), AttentionCause::Refused(Reason::of(REFUSED)))
        .cancelled_by("the customer", "UNWANTED")
        .expect_rejected(Rejection::AlreadyRollingBack(Reason::of(REFUSED)))
        .retried_by("ops")
        .expect_asked_anew("apologise", 2)
        .given_success("apologise", json!(null))
        .expect_cancelled(REFUSED);
}

#[test]
fn an_absent_worker_is_waited_for_but_not_in_silence_for_ever() {
    let patient = Definition { deadline_ms: 10 * SILENCE_MS, ..(*order_like()).clone() };
    Scenario::of(patient.check().expect("a good one"))
        .begins()
        .expect_asked("reserve")
        .given_silence_of_an_absent_worker("reserve")
        .expect_ignored(Ignored::NothingDue)
        .after_ms(SILENCE_MS)
        .when_due()
        .expect_attention(
            Some("reserve"),
            AttentionCause::NotAnswered { attempts: 1, last: Setback::TimedOut },
        )
        .when_due()
        .expect_ignored(Ignored::NothingDue)
        .given_success("reserve", json!("shelf 7"))
        .expect_done("confirm")
        .expect_asked("mail")
        .expect_status(SagaStatus::Running);
}

#[test]
fn a_retry_leaves_alone_what_is_not_stuck() {
    let definition = checked(
        vec![pivot("pay", &[]), retriable("pack", &["pay"]), retriable("tell", &["pay"])],
        vec![],
    );
    Scenario::of(definition)
        .begins()
        .expect_asked("pay")
        .given_success("pay", json!(1))
        .expect_asked("pack")
        .expect_asked("tell")
        .given_refusal("pack")
        .expect_refused("pack")
        .expect_attention(Some("pack"), AttentionCause::Refused(Reason::of(REFUSED)))
        .retried_by("ada")
        .expect_asked_anew("pack", 2)
        .expect_state("tell", |state| state.call().is_some_and(|(_, call)| call.attempt == 1));
}

#[test]
fn a_saga_is_never_decided_by_another_definition() {
    let scenario = Scenario::of(order_like()).begins().expect_asked("reserve");
    let other =
        Definition { version: 2, ..(*scenario.definition).clone() }.check().expect("a good one");
    let input = Input::Due { reached: Reached::default() };
    let now = scenario.saga().birth.deadline;
    let rejected = decide(&other, scenario.saga(), &input, now).expect_err("another version");
    assert!(matches!(rejected, Rejection::WrongDefinition { .. }));
}
