//! What every adapter of the `Mailer` port must do.
//!
//! A backend joins by one line: `mail_conformance!(name, its_backend())`.

pub mod cases;

use std::path::PathBuf;
use std::time::Duration;

use skald::ports::mail::{Mail, Mailer};
use skald::workers::notification::eml::EmlMailer;
use skald::workers::notification::smtp::{Settings, SmtpMailer};
use tempfile::TempDir;

use crate::smtp_sink::{Protection, Sink};

/// The sender of all mails under test.
pub const SENDER: &str = "orders@example.org";

/// Where a mailer's mails arrive.
pub trait Backend {
    /// The mailer under test.
    fn mailer(&self) -> Box<dyn Mailer>;

    /// The mails that arrived, as texts.
    fn arrived(&self) -> Vec<String>;

    /// Takes no mails any more.
    fn close(&self);

    /// Takes mails again.
    fn open(&self);
}

/// Runs the suite against a backend.
macro_rules! mail_conformance {
    ($name:ident, $backend:expr) => {
        mail_conformance! { $name, $backend,
            a_mail_arrives_with_both_texts_and_its_headers
            a_repeat_arrives_under_the_same_message_id
            an_address_that_is_none_is_refused_and_takes_no_other_mail_with_it
            results_are_in_the_order_of_the_mails
            no_text_adds_a_header
            no_text_ends_the_mail
            what_can_not_be_taken_now_is_put_off_and_taken_later
            nothing_to_send_is_no_fault
            no_call_takes_longer_than_claims_last
        }
    };
    ($name:ident, $backend:expr, $($case:ident)*) => {
        mod $name {
            use super::*;
            $(#[test]
            fn $case() {
                cases::$case(&$backend);
            })*
        }
    };
}

/// A mail to somebody.
pub fn mail(id: &str, to: &str) -> Mail {
    Mail {
        message_id: id.to_owned(),
        to: to.to_owned(),
        subject: "Your order is confirmed".to_owned(),
        text: "Thank you.".to_owned(),
        html: "<p>Thank you.</p>".to_owned(),
    }
}

/// Settings with so many connections.
pub fn connections(connections: usize) -> Settings {
    Settings { connections, timeout: Duration::from_secs(20), authorities: None }
}

/// Files in a folder.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn place(&self) -> PathBuf {
        self.0.path().join("mail")
    }
}

impl Backend for Folder {
    fn mailer(&self) -> Box<dyn Mailer> {
        Box::new(EmlMailer::open(&self.place(), SENDER).unwrap())
    }

    fn arrived(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.place()).unwrap();
        entries.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap()).collect()
    }

    fn close(&self) {
        std::fs::rename(self.place(), self.0.path().join("gone")).unwrap();
    }

    fn open(&self) {
        std::fs::rename(self.0.path().join("gone"), self.place()).unwrap();
    }
}

mail_conformance!(eml_files, Folder::new());

impl Backend for Sink {
    fn mailer(&self) -> Box<dyn Mailer> {
        Box::new(SmtpMailer::open(&self.url(), SENDER, &connections(4)).unwrap())
    }

    fn arrived(&self) -> Vec<String> {
        self.taken().into_iter().map(|taken| taken.text).collect()
    }

    fn close(&self) {
        Sink::close(self);
    }

    fn open(&self) {
        Sink::open(self);
    }
}

mail_conformance!(smtp_server, Sink::start(Protection::None));
