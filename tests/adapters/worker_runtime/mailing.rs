//! The notification worker from its command to the file, or to the mail server.

use std::sync::{Arc, Mutex};

use serde_json::json;
use skald::ports::Clock;
use skald::ports::bus::Message;
use skald::ports::mail::{Mail, MailError, Mailer};
use skald::workers::notification::NotificationWorker;
use skald::workers::notification::eml::EmlMailer;
use skald::workers::notification::smtp::SmtpMailer;
use tempfile::TempDir;

use super::rig::{Rig, command};
use super::stores::{Postroom, Trouble};
use crate::mail_conformance::connections;
use crate::smtp_sink::{Manner, Protection, Sink};

/// Passes mails on, and counts them.
struct Counting {
    mailer: Box<dyn Mailer>,
    sent: Mutex<Vec<String>>,
    /// How many mails came at a time.
    batches: Mutex<Vec<usize>>,
    /// What is answered instead.
    broken: Mutex<Option<MailError>>,
}

impl Mailer for Counting {
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>> {
        if let Some(error) = &*self.broken.lock().unwrap() {
            return mails.iter().map(|_| Err(error.clone())).collect();
        }
        self.batches.lock().unwrap().push(mails.len());
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

/// How long a claim holds where the mailer may take as long as any.
const A_CLAIM_MS: i64 = 60_000;

const SENDER: &str = "orders@example.org";

fn office() -> Office {
    let folder = tempfile::tempdir().unwrap();
    let mailer = Box::new(EmlMailer::open(folder.path(), SENDER).unwrap());
    office_with(folder, mailer)
}

/// One that hands its mails to a server.
fn office_at(sink: &Sink) -> Office {
    let mailer = SmtpMailer::open(&sink.url(), SENDER, &connections(4)).unwrap();
    office_with(tempfile::tempdir().unwrap(), Box::new(mailer))
}

fn office_with(folder: TempDir, mailer: Box<dyn Mailer>) -> Office {
    let mailer = Arc::new(Counting {
        mailer,
        sent: Mutex::default(),
        batches: Mutex::default(),
        broken: Mutex::default(),
    });
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
    let _running = rig.start(&office.worker);
    for (saga, error) in [(1, MailError::Transient as fn(_) -> _), (2, MailError::Misconfigured)] {
        *office.mailer.broken.lock().unwrap() = Some(error("later".to_owned()));
        rig.publish(send(saga, 5, ADA));
        assert_eq!(rig.reply().await.data, json!({"retryable": true}));
        assert_eq!(office.outcomes().len(), saga as usize - 1, "nothing of it is recorded");
        *office.mailer.broken.lock().unwrap() = None;
        rig.publish(send(saga, 6, ADA));
        assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
    }
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_is_recorded_once_and_repeated_under_its_message_id() {
    let mut rig = Rig::new().await;
    let sink = Sink::start(Protection::None);
    let office = office_at(&sink);
    let _running = rig.start(&office.worker);
    sink.at("TAKEN", 1, Manner::Drops);
    rig.publish(send(1, 5, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}));
    rig.publish(send(1, 6, ADA));
    assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
    rig.publish(send(1, 7, ADA));
    assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
    let id = "00000000-0000-0000-0000-000000000001.send-confirmation.1.do@skald.local";
    let ids: Vec<String> = sink.taken().iter().map(|taken| taken.id().to_owned()).collect();
    assert_eq!(ids, [id, id]);
    assert_eq!(office.outcomes(), ["SENT"]);
}

#[tokio::test]
async fn an_address_that_the_mail_server_refuses_for_good_is_told_and_is_no_failure() {
    let mut rig = Rig::new().await;
    let sink = Sink::start(Protection::None);
    let office = office_at(&sink);
    sink.at("RCPT TO:<ada@", usize::MAX, Manner::Says("550 5.1.1 nobody here"));
    let _running = rig.start(&office.worker);
    for sequence in [5, 6] {
        rig.publish(send(1, sequence, ADA));
        assert_eq!(rig.reply().await.data, json!({"outcome": "UNDELIVERABLE"}));
    }
    assert_eq!(office.outcomes(), ["UNDELIVERABLE"]);
    let asked = sink.heard().iter().filter(|line| line.starts_with("-RCPT")).count();
    assert_eq!(asked, 1, "the repeat is answered from the record");
}

#[tokio::test]
async fn a_mailer_gets_no_more_mails_at_a_time_than_it_can_send() {
    let mut rig = Rig::new().await;
    let office = office();
    for saga in 1..=7 {
        rig.publish(send(saga, 5, ADA));
    }
    let _running = rig.start_with_batches_of(3, &office.worker);
    for _ in 1..=7 {
        assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
    }
    let batches = office.mailer.batches.lock().unwrap().clone();
    assert!(
        batches.iter().sum::<usize>() == 7 && batches.iter().all(|mails| *mails <= 3),
        "{batches:?}"
    );
}

/// Has a mail sent whose record can't be written, and waits until another worker sends it again.
async fn send_twice(office: &Office) {
    let mut rig = Rig::new().await;
    // The claim is committed, the record is not.
    *office.postroom.faults.always.lock().unwrap() = Some((1, Trouble::Unavailable));
    let running = rig.start(&office.worker);
    rig.publish(send(1, 5, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}));
    running.stop().await;
    office.postroom.faults.set(None);
    let other =
        NotificationWorker::new(office.postroom.clone(), office.mailer.clone(), "skald.local");
    let _running = rig.start(&Arc::new(other));
    rig.publish(send(1, 6, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}), "the claim is alive");
    rig.clock.advance(A_CLAIM_MS);
    rig.publish(send(1, 7, ADA));
    assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
    let sent = office.mailer.sent.lock().unwrap();
    assert!(sent.len() == 2 && sent[0] == sent[1], "a repeat has the same Message-ID: {sent:?}");
    assert_eq!(office.outcomes(), ["SENT"]);
}

#[tokio::test]
async fn a_mail_that_was_written_but_not_recorded_is_written_again_once_its_claim_expires() {
    let office = office();
    send_twice(&office).await;
    assert_eq!(office.files().len(), 1);
}

#[tokio::test]
async fn a_mail_that_a_server_took_but_nobody_recorded_is_sent_again_once_its_claim_expires() {
    let sink = Sink::start(Protection::None);
    send_twice(&office_at(&sink)).await;
    let taken = sink.taken();
    assert!(taken.len() == 2 && taken[0].id() == taken[1].id(), "{taken:?}");
}

#[tokio::test]
async fn a_mail_that_could_not_be_recorded_is_sent_again_once_its_claim_has_run_out() {
    let (mut rig, office) = (Rig::new().await, office());
    *office.postroom.faults.always.lock().unwrap() = Some((1, Trouble::Unavailable));
    let _running = rig.start(&office.worker);
    rig.publish(send(1, 5, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}));
    office.postroom.faults.set(None);
    rig.publish(send(1, 6, ADA));
    assert_eq!(rig.reply().await.data, json!({"retryable": true}), "somebody may be at it");
    rig.clock.advance(A_CLAIM_MS);
    rig.publish(send(1, 7, ADA));
    assert_eq!(rig.reply().await.data, json!({"outcome": "SENT"}));
    let sent = office.mailer.sent.lock().unwrap();
    assert!(sent.len() == 2 && sent[0] == sent[1], "a repeat has the same Message-ID: {sent:?}");
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
