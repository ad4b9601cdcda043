//! Asking again.

use serde_json::json;
use skald::saga::definition::Step;
use skald::saga::event::{AttentionCause, Doubt, Setback, core_reason::STEP_OUTCOME_UNKNOWN};
use skald::saga::id::SagaId;
use skald::saga::input::Ignored;
use skald::saga::retry::RetryPolicy;
use skald::saga::state::SagaStatus;
use uuid::Uuid;

use crate::definitions::{
    RETRY, SECOND, TIMEOUT_MS, checked, compensatable, order_like, pivot, retriable, trip,
};
use crate::scenario::{SAGA, Scenario};

/// An order whose reservation is asked for.
fn reserving() -> Scenario {
    Scenario::of(order_like()).begins().expect_asked("reserve")
}

#[test]
fn a_worker_that_cannot_do_it_now_is_asked_again_after_growing_pauses() {
    reserving()
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2)
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, 2 * SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 3)
        .given_success("reserve", json!(null))
        .expect_done("confirm")
        .expect_asked("mail");
}

#[test]
fn the_pause_has_to_end_before_it_is_asked_again() {
    reserving()
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, SECOND)
        .after_ms(SECOND - 1)
        .when_due()
        .expect_ignored(Ignored::NothingDue)
        .after_ms(1)
        .when_due()
        .expect_asked_again("reserve", 2);
}

#[test]
fn every_kind_of_unknown_outcome_is_asked_again_under_the_same_key() {
    for setback in [
        Setback::Retryable,
        Setback::TimedOut,
        Setback::DeadLettered,
        Setback::Unroutable,
        Setback::Unexplained,
    ] {
        reserving()
            .given_setback("reserve", setback)
            .expect_pause("reserve", setback, SECOND)
            .given_the_pause_ends("reserve")
            .expect_asked_again("reserve", 2);
    }
}

#[test]
fn a_silence_counts_only_once_the_queue_has_got_past_the_command() {
    reserving()
        .given_silence_of_an_absent_worker("reserve")
        .expect_ignored(Ignored::NothingDue)
        .after_ms(3_600)
        .when_due()
        .expect_ignored(Ignored::NothingDue)
        .when_the_queue_gets_here("reserve")
        .when_due()
        .expect_pause("reserve", Setback::TimedOut, SECOND);
}

#[test]
fn what_the_queue_answered_before_the_command_says_nothing_about_it() {
    reserving()
        .when_the_queue_gets_here("reserve")
        .given_setback("reserve", Setback::Retryable)
        .expect_pause("reserve", Setback::Retryable, SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2)
        .given_silence_of_an_absent_worker("reserve")
        .expect_ignored(Ignored::NothingDue);
}

#[test]
fn another_queue_says_nothing_about_a_silence() {
    Scenario::of(trip())
        .begins()
        .expect_asked("flight")
        .given_success("flight", json!(null))
        .expect_asked("hotel")
        .expect_asked("car")
        .after_ms(TIMEOUT_MS)
        .when_the_queue_gets_here("car")
        .when_due()
        .expect_pause("car", Setback::TimedOut, SECOND);
}

#[test]
fn an_answer_is_waited_for_until_its_time_is_up() {
    reserving()
        .when_the_queue_gets_here("reserve")
        .after_ms(TIMEOUT_MS - 1)
        .when_due()
        .expect_ignored(Ignored::NothingDue)
        .after_ms(1)
        .when_due()
        .expect_pause("reserve", Setback::TimedOut, SECOND);
}

#[test]
fn a_compensatable_step_is_given_up_after_its_last_attempt_and_undone_like_a_success() {
    reserving()
        .given_silence("reserve")
        .expect_pause("reserve", Setback::TimedOut, SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2)
        .given_setback("reserve", Setback::DeadLettered)
        .expect_pause("reserve", Setback::DeadLettered, 2 * SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 3)
        .given_setback("reserve", Setback::Unroutable)
        .expect_given_up("reserve", Doubt::NoAnswer(Setback::Unroutable))
        .expect_rollback(STEP_OUTCOME_UNKNOWN)
        .expect_undo_asked("reserve")
        .expect_status(SagaStatus::RollingBack)
        .given_success("reserve", json!(null))
        .expect_rolled_back(STEP_OUTCOME_UNKNOWN)
        .expect_asked("apologise");
}

#[test]
fn a_reason_outside_the_closed_set_explains_nothing_and_is_asked_again() {
    reserving()
        .given_failure("reserve", "ERR_NULL_POINTER")
        .expect_pause("reserve", Setback::Unexplained, SECOND)
        .given_the_pause_ends("reserve")
        .expect_asked_again("reserve", 2);
}

#[test]
fn a_step_given_up_does_not_wake_its_neighbour_that_is_due_at_the_same_moment() {
    let once = RetryPolicy { max_attempts: 1, ..RETRY };
    let definition = checked(
        vec![Step { retry: once, ..compensatable("left", &[]) }, compensatable("right", &[])],
        vec![],
    );
    Scenario::of(definition)
        .begins()
        .expect_asked("left")
        .expect_asked("right")
        .after_ms(TIMEOUT_MS - SECOND)
        .given_setback("right", Setback::Retryable)
        .expect_pause("right", Setback::Retryable, SECOND)
        .given_silence("left")
        .expect_given_up("left", Doubt::NoAnswer(Setback::TimedOut))
        .expect_rollback(STEP_OUTCOME_UNKNOWN)
        .expect_undo_asked("left")
        .expect_undo_asked("right");
}

#[test]
fn a_step_that_must_succeed_is_asked_on_at_the_longest_pause_after_calling_for_attention() {
    let definition = checked(vec![pivot("pay", &[]), retriable("mail", &["pay"])], vec![]);
    let mut scenario = Scenario::of(definition)
        .begins()
        .expect_asked("pay")
        .given_success("pay", json!(null))
        .expect_asked("mail");
    for (attempt, pause) in [(1, 1), (2, 2)] {
        scenario = scenario
            .given_silence("mail")
            .expect_pause("mail", Setback::TimedOut, pause * SECOND)
            .given_the_pause_ends("mail")
            .expect_asked_again("mail", attempt + 1);
    }
    scenario = scenario
        .given_silence("mail")
        .expect_pause("mail", Setback::TimedOut, 4 * SECOND)
        .expect_attention(
            Some("mail"),
            AttentionCause::NotAnswered { attempts: 3, last: Setback::TimedOut },
        );
    for attempt in 4..50 {
        scenario = scenario
            .given_the_pause_ends("mail")
            .expect_asked_again("mail", attempt)
            .given_setback("mail", Setback::Retryable)
            .expect_pause("mail", Setback::Retryable, 4 * SECOND)
            .expect_status(SagaStatus::NeedsAttention);
    }
    scenario
        .given_the_pause_ends("mail")
        .expect_asked_again("mail", 50)
        .given_success("mail", json!(null))
        .expect_completed();
}

#[test]
fn the_pauses_of_a_saga_are_the_same_on_every_node_and_in_every_version() {
    let policy = RetryPolicy { jitter_percent: 50, ..RetryPolicy::default() };
    let other = SagaId(Uuid::from_u128(SAGA.0.as_u128() ^ 0xf0f0_f0f0_0000_0000_f0f0_f0f0));
    let pauses = |saga| [1, 2, 3, 4, 9].map(|attempt| policy.pause_ms(saga, attempt));
    assert_eq!(pauses(SAGA), [667, 1285, 1765, 5291, 14424]);
    assert_eq!(pauses(other), [476, 999, 2006, 4215, 26127]);
}
