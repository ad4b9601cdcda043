//! Notifications, and the notification worker's records.

use std::collections::{BTreeMap, BTreeSet};

use skald::ports::notification::{Notification, NotificationChange};
use skald::ports::work::{RecordKey, WorkRecord};
use skald::saga::definition::Direction;
use skald::saga::effect::IdempotencyKey;

use super::sample;
use super::stage::Stage;
use super::stocking::{done, key};

type Records = BTreeMap<RecordKey, WorkRecord>;

fn transact(stage: &Stage, keys: &[RecordKey], change: NotificationChange) -> Records {
    let mut seen = Records::new();
    stage
        .notification
        .transact(&keys.iter().cloned().collect::<BTreeSet<_>>(), &mut |records| {
            seen = records.clone();
            change.clone()
        })
        .unwrap();
    seen
}

fn look(stage: &Stage, keys: &[RecordKey]) -> Records {
    transact(stage, keys, NotificationChange::default())
}

fn remembering(records: impl Into<Records>) -> NotificationChange {
    NotificationChange { records: records.into(), ..NotificationChange::default() }
}

fn notification(n: u64, outcome: &str) -> Notification {
    Notification {
        key: format!("{}:send-confirmation:1:do", sample::saga_id(n)),
        order_id: sample::order_id(n).to_string(),
        template: "ORDER_CONFIRMED".into(),
        recipient: (outcome == "SENT").then(|| "ada@example.org".into()),
        outcome: outcome.into(),
        at: sample::second(n),
    }
}

fn notifying(notifications: impl Into<Vec<Notification>>) -> NotificationChange {
    NotificationChange { notifications: notifications.into(), ..NotificationChange::default() }
}

pub fn records_are_empty_at_first_and_then_as_written(stage: Stage) {
    let keys = [1, 2].map(key);
    let empty = keys.clone().map(|key| (key, WorkRecord::default()));
    assert_eq!(look(&stage, &keys), Records::from(empty));

    let claimed = WorkRecord { claimed_until: Some(sample::second(9)), ..WorkRecord::default() };
    transact(&stage, &keys, remembering([(key(1), claimed.clone())]));
    let expected = [(key(1), claimed), (key(2), WorkRecord::default())];
    assert_eq!(look(&stage, &keys), Records::from(expected));
}

pub fn do_and_undo_of_a_step_meet_on_one_record(stage: Stage) {
    let of = |direction, generation| {
        let RecordKey { saga, step } = key(1);
        RecordKey::from(&IdempotencyKey { saga, step, generation, direction })
    };
    transact(&stage, &[of(Direction::Do, 1)], remembering([(of(Direction::Do, 1), done(1))]));
    assert_eq!(look(&stage, &[of(Direction::Undo, 2)])[&of(Direction::Undo, 2)], done(1));
}

pub fn notifications_are_counted_by_outcome(stage: Stage) {
    assert_eq!(stage.notification.counts().unwrap(), []);
    transact(&stage, &[], notifying([notification(1, "SENT"), notification(2, "NO_ADDRESS")]));
    transact(&stage, &[], notifying([notification(3, "SENT")]));
    let mut counts = stage.notification.counts().unwrap();
    counts.sort();
    assert_eq!(counts, [("NO_ADDRESS".to_owned(), 1), ("SENT".to_owned(), 2)]);
}

pub fn a_key_is_notified_and_counted_once(stage: Stage) {
    transact(&stage, &[], notifying([notification(1, "SENT"), notification(1, "SENT")]));
    transact(&stage, &[], notifying([notification(1, "UNDELIVERABLE")]));
    assert_eq!(stage.notification.counts().unwrap(), [("SENT".to_owned(), 1)]);
}

pub fn records_outlive_a_restart(stage: Stage) {
    let mut change = notifying([notification(1, "SENT")]);
    change.records = Records::from([(key(1), done(1))]);
    transact(&stage, &[key(1)], change);
    let stage = stage.reopened();
    assert_eq!(look(&stage, &[key(1)])[&key(1)], done(1));
    assert_eq!(stage.notification.counts().unwrap(), [("SENT".to_owned(), 1)]);
}
