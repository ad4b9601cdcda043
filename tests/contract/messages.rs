//! Every message that there is, under the name of its golden file.

use std::collections::BTreeMap;

use skald::contract::message::Outgoing;
use skald::contract::reply::{self, ReplyBody, WorkOutcome};
use skald::ports::mail::MailError;
use skald::saga::event::Reason;

use crate::desk::Desk;
use crate::story::{Story, TRACE, order};

const ADA: Option<&str> = Some("ada@example.org");

/// Messages by the names of their files.
pub type Messages = BTreeMap<&'static str, Outgoing>;

/// One of each kind.
pub fn messages() -> Messages {
    let mut all = Messages::new();
    confirmed(&mut all);
    out_of_stock(&mut all);
    changed_mind(&mut all);
    troubled(&mut all);
    all
}

/// An order with a trace and an address that goes well.
fn confirmed(all: &mut Messages) {
    let desk = Desk::with_harps(2);
    let story = Story::of(&order(1, "EUR", ADA), Some(TRACE));
    all.insert("events/order.created", story.newest("order.created"));
    all.insert("commands/inventory.reserve", story.command());
    let reserved = desk.answer(&story.command(), story.now);
    all.insert("replies/inventory.reserved", reserved.clone());
    let story = story.answered(&reserved);
    all.insert("events/inventory.reserved", story.newest("inventory.reserved"));
    all.insert("events/order.confirmed", story.newest("order.confirmed"));
    all.insert("commands/notification.send.order_confirmed", story.command());
    let sent = desk.answer(&story.command(), story.now);
    all.insert("replies/notification.sent", sent.clone());
    all.insert("events/notification.sent", story.answered(&sent).newest("notification.sent"));
}

/// An order in a currency without decimals, with neither trace nor address, for more than there is.
fn out_of_stock(all: &mut Messages) {
    let desk = Desk::with_harps(1);
    let story = Story::of(&order(2, "JPY", None), None);
    let refused = desk.answer(&story.command(), story.now);
    all.insert("replies/inventory.reservation_failed", refused.clone());
    let story = story.answered(&refused);
    let failed = story.newest("inventory.reservation_failed");
    all.insert("events/inventory.reservation_failed", failed);
    all.insert("events/order.cancelled", story.newest("order.cancelled"));
    all.insert("commands/notification.send.order_cancelled", story.command());
    let told = desk.answer(&story.command(), story.now);
    all.insert("replies/notification.sent.no_address", told.clone());
    let told = story.answered(&told).newest("notification.sent");
    all.insert("events/notification.sent.no_address", told);
}

/// An order that is cancelled while the answer to its second attempt to reserve is on its way.
fn changed_mind(all: &mut Messages) {
    let desk = Desk::with_harps(2).without_database();
    let story = Story::of(&order(3, "KWD", ADA), None);
    let later = desk.answer(&story.command(), story.now);
    all.insert("replies/inventory.retryable", later.clone());
    let story = story.answered(&later).due();
    let again = story.command();
    all.insert("commands/inventory.reserve.second_attempt", again.clone());
    let desk = Desk::with_harps(2);
    desk.answer(&again, story.now);
    let story = story.cancelled();
    let release = story.command();
    all.insert("commands/inventory.release", release.clone());
    let released = desk.answer(&release, story.now);
    all.insert("replies/inventory.released", released.clone());
    all.insert("events/inventory.released", story.answered(&released).newest("inventory.released"));
}

/// What an operator is told of.
fn troubled(all: &mut Messages) {
    let attention = |story: &Story| story.newest("saga.needs_attention");

    let story = Story::of(&order(4, "USD", ADA), None).cancelled();
    let reason = Reason { code: "UNKNOWN_PRODUCT".into(), text: "no product harp".to_owned() };
    let refusal = ReplyBody::Settled(WorkOutcome::Failure(reason));
    let refused =
        reply::write(&story.command().message, "inventory.release_failed", &refusal, story.now);
    let story = story.answered(&refused.unwrap().unwrap());
    all.insert("events/saga.needs_attention.refused", attention(&story));
    let story = story.due();
    all.insert("events/saga.needs_attention.deadline_exceeded", attention(&story));

    let busy = MailError::Transient("greylisted".to_owned());
    let desk = Desk::with_harps(2).failing(busy);
    let story = Story::of(&order(5, "USD", ADA), None);
    let reserved = desk.answer(&story.command(), story.now);
    let mut story = story.answered(&reserved);
    let later = desk.answer(&story.command(), story.now);
    all.insert("replies/notification.retryable", later);
    while !story.sent.iter().any(|sent| sent.routing_key == "saga.needs_attention") {
        let later = desk.answer(&story.command(), story.now);
        story = story.answered(&later);
        if story.saga.state.attention.is_empty() {
            story = story.due();
        }
    }
    all.insert("events/saga.needs_attention.not_answered", attention(&story));

    let desk = desk.failing(MailError::Undeliverable("no such mailbox".to_owned()));
    let story = story.due();
    let later = story.now.plus_millis(24 * 60 * 60 * 1000);
    let undeliverable = desk.answer(&story.command(), later);
    all.insert("replies/notification.sent.undeliverable", undeliverable);
}
