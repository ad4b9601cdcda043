//! A second answer to one command harms nothing, whatever it says: NestJS ends a stream with a
//! message of its own, and any worker may be delivered a command twice.

use skald::saga::input::Ignored;
use skald::saga::state::SagaStatus;

use crate::replies::reply;
use crate::story::{Story, order};

fn asked() -> Story {
    Story::of(&order(9, "EUR", None), None)
}

fn answer(story: &Story, body: &'static str) -> skald::contract::message::Message {
    reply(story.command().message.correlation_id.as_deref(), body)
}

#[test]
fn the_end_of_a_stream_after_its_value_is_ignored() {
    for second in [
        r#"{"isDisposed":true}"#,
        r#"{"response":{"shelf":8}}"#,
        r#"{"err":"INSUFFICIENT_STOCK","isDisposed":true}"#,
        r#"{"err":{"status":"error","message":"Internal server error"},"isDisposed":true}"#,
        "no json",
    ] {
        let story = asked();
        let (value, end) = (answer(&story, r#"{"response":{"shelf":7}}"#), answer(&story, second));
        let story = story.given(&value).unwrap();
        let sent = story.sent.len();
        assert_eq!(sent, 5, "created, reserve, reserved, confirmed, mail");
        assert_eq!(story.given(&end).err(), Some(Ignored::Settled), "{second}");
    }
}

#[test]
fn the_end_of_a_stream_before_its_value_is_the_answer() {
    let story = asked();
    let end = answer(&story, r#"{"isDisposed":true}"#);
    let value = answer(&story, r#"{"response":{"shelf":7}}"#);
    let story = story.given(&end).unwrap();
    assert_eq!(story.given(&value).err(), Some(Ignored::Settled));
}

#[test]
fn a_success_after_a_refusal_is_ignored() {
    let story = asked();
    let refusal = answer(&story, r#"{"err":"INSUFFICIENT_STOCK"}"#);
    let end = answer(&story, r#"{"isDisposed":true}"#);
    let story = story.given(&refusal).unwrap();
    assert_eq!(story.newest("order.cancelled").message.kind, "order.cancelled");
    assert_eq!(story.given(&end).err(), Some(Ignored::Settled));
}

#[test]
fn a_success_after_an_error_without_a_code_counts_for_the_step_may_have_been_done() {
    let story = asked();
    let error = answer(&story, r#"{"err":"boom","isDisposed":true}"#);
    let late = answer(&story, r#"{"response":{"shelf":7},"isDisposed":true}"#);
    let story = story.given(&error).unwrap().given(&late).unwrap();
    assert_eq!(story.newest("order.confirmed").message.kind, "order.confirmed");
}

#[test]
fn a_code_that_the_step_does_not_list_refuses_nothing() {
    let story = asked();
    let foreign = answer(&story, r#"{"err":{"status":"error","message":"ECONNREFUSED"}}"#);
    let story = story.given(&foreign).unwrap();
    assert_eq!(story.saga.state.status(), SagaStatus::Running);
    assert!(story.sent.iter().all(|sent| sent.routing_key != "inventory.reservation_failed"));
}
