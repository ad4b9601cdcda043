//! The notification worker from its command to the file.

use std::sync::{Arc, Mutex};

use serde_json::json;
use skald::ports::Clock;
use skald::ports::bus::Message;
use skald::ports::mail::{Mail, MailError, Mailer};
use skald::workers::notification::NotificationWorker;
use skald::workers::notification::eml::EmlMailer;
use skald::workers::notification::plan::CLAIM_MS;
use tempfile::TempDir;

use super::rig::{Rig, command};
use super::stores::{Postroom, Trouble};

/// Passes mails on, and counts them.
struct Counting {
    mailer: EmlMailer,
    sent: Mutex<Vec<String>>,
    /// What is answered instead.
    broken: Mutex<Option<MailError>>,
}

impl Mailer for Counting {
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>> {
        if let Some(error) = &*self.broken.lock().unwrap() {
            return mails.iter().map(|_| Err(error.clone())).collect();
        }
        let ids = mails.iter().map(|mail| mail.message_id.clone());
        self.sent.lock().unwrap().extend(ids);
        self.mailer.send(mails)
    }
}

struct Office {
    folder: TempDir,
    postroom: Arc<Postroom>,
    mailer: Arc<Counting>,
    worker: Arc<NotificationWorker>,
}

fn office() -> Office {
    let folder = tempfile::tempdir().unwrap();
    let mailer = EmlMailer::open(folder.path(), "orders@example.org").unwrap();
    let mailer = Arc::new(Counting { mailer, sent: Mutex::default(), broken: Mutex::default() });
    let postroom = Arc::new(Postroom::default());
    let worker = NotificationWorker::new(postroom.clone(), mailer.clone(), "skald.local");
    Office { folder, postroom, mailer, worker: Arc::new(worker) }
}

impl Office {
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn outcomes(&self) -> Vec<String> {
        let notifications = self.postroom.notifications.lock().unwrap();
        notifications.iter().map(|notification| notification.outcome.clone()).collect()
    }
}

fn send(saga: u128, sequence: u64, email: Option<&str>) -> Message {
    let data = json!({
        "template": "ORDER_CONFIRMED",
        "orderId": "018bcfe5-6800-7000-8000-000000000002",
        "userId": "ada",
        "email": email,
        "currency": "USD",
        "items": [{"productId": "tea", "quantity": 2, "price": 9.99}],
        "totalAmount": 19.98,
    });
    command(saga, sequence, "notification.send", "send-confirmation:1:do", &data)
}

const ADA: Option<&str> = Some("ada@example.org");

#[tokio::test]
async fn a_mail_is_written_recorded_and_answered_and_its_repeat_only_answered() {
    let mut rig = Rig::new().await;
    let office = office();
    let _running = rig.start(&office.worker);
    for sequence in [5, 6] {
        rig.publish(send(1, sequence, ADA));
        let reply = rig.reply().await;
        assert_eq!(reply.kind, "notification.sent");
        assert_eq!(reply.data, json!({"outcome": "SENT"}));
    }
    let file = "00000000-0000-0000-0000-000000000001.send-confirmation.1.do@skald.local.eml";
    assert_eq!(office.files(), [file]);
    assert_eq!(office.mailer.sent.lock().unwrap().len(), 1);
    assert_eq!(office.outcomes(), ["SENT"]);
}

#[tokio::test]
async fn no_address_and_a_bad_address_are_told_and_are_no_failures() {
    let mut rig = Rig::new().await;
    let office = office();
    for (saga, email) in [(1, None), (2, Some("nobody")), (3, ADA)] {
        rig.publish(send(saga, 5, email));
    }
    let _running = rig.start(&office.worker);
    for outcome in ["NO_ADDRESS", "UNDELIVERABLE", "SENT"] {
        assert_eq!(rig.reply().await.data, json!({ "outcome": outcome }));
    }
    assert_eq!(office.files().len(), 1);
    assert_eq!(office.outcomes(), ["NO_ADDRESS", "UNDELIVERABLE", "SENT"]);
}

#[tokio::test]
async fn a_mail_that_can_not_be_sent_now_is_retryable_and_sent_later() {
    let mut rig = Rig::new().await;
    let office = office();
    *office.mailer.broken.lock().unwrap() = Some(MailError::Transient("later".to_owned()));
    let _running = rig.start(&office.worker);
    rig.publish(send(1, 5, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}));
    *office.mailer.broken.lock().unwrap() = None;
    rig.publish(send(1, 6, ADA));
    assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
}

#[tokio::test]
async fn a_mail_that_was_sent_but_not_recorded_is_sent_again_once_its_claim_expires() {
    let mut rig = Rig::new().await;
    let office = office();
    // The claim is committed, the record is not.
    *office.postroom.faults.always.lock().unwrap() = Some((1, Trouble::Unavailable));
    let _running = rig.start(&office.worker);
    rig.publish(send(1, 5, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}));
    office.postroom.faults.set(None);
    rig.publish(send(1, 6, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}), "the claim is alive");
    rig.clock.advance(CLAIM_MS as i64);
    rig.publish(send(1, 7, ADA));
    assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
    let sent = office.mailer.sent.lock().unwrap();
    assert!(sent.len() == 2 && sent[0] == sent[1], "a repeat has the same Message-ID: {sent:?}");
    assert_eq!(office.files().len(), 1);
    assert_eq!(office.outcomes(), ["SENT"]);
}

#[tokio::test]
async fn a_successor_that_is_alone_does_not_wait_for_the_claims_of_the_dead() {
    let mut rig = Rig::new().await;
    let office = office();
    *office.postroom.faults.always.lock().unwrap() = Some((1, Trouble::Unavailable));
    let running = rig.start(&office.worker);
    rig.publish(send(1, 5, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}));
    running.stop().await;
    office.postroom.faults.set(None);
    rig.clock.advance(1);
    let successor =
        NotificationWorker::new(office.postroom.clone(), office.mailer.clone(), "skald.local")
            .alone_since(rig.clock.now());
    let _running = rig.start(&Arc::new(successor));
    rig.publish(send(1, 6, ADA));
    assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
}

#[tokio::test]
async fn a_mail_of_which_the_mailer_says_nothing_was_not_sent() {
    struct Silent;

    impl Mailer for Silent {
        fn send(&self, _mails: &[Mail]) -> Vec<Result<(), MailError>> {
            Vec::new()
        }
    }

    let mut rig = Rig::new().await;
    let postroom = Arc::new(Postroom::default());
    let worker = NotificationWorker::new(postroom.clone(), Arc::new(Silent), "skald.local");
    let _running = rig.start(&Arc::new(worker));
    rig.publish(send(1, 5, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}));
    assert!(postroom.notifications.lock().unwrap().is_empty());
}
