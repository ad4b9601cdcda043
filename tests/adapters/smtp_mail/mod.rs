//! What mail over SMTP does beyond the conformance suite.

mod losing;
mod protecting;
mod refusing;
mod sharing;

use skald::ports::mail::{Mail, MailError, Mailer};
use skald::workers::notification::smtp::{Settings, SmtpMailer};

use crate::mail_conformance::{SENDER, connections, mail};
use crate::smtp_sink::{Certificate, Manner, Protection, Sink};

/// A server without TLS, and a mailer with so many connections to it.
fn pair(count: usize) -> (Sink, SmtpMailer) {
    let sink = Sink::start(Protection::None);
    let mailer = SmtpMailer::open(&sink.url(), SENDER, &connections(count)).unwrap();
    (sink, mailer)
}

/// So many mails to different people.
fn mails(count: usize) -> Vec<Mail> {
    (0..count).map(|n| mail(&format!("{n}@x"), &format!("user-{n}@example.org"))).collect()
}

/// The Message-IDs of what a server has, sorted.
fn ids(sink: &Sink) -> Vec<String> {
    let mut ids: Vec<String> = sink.taken().iter().map(|taken| taken.id().to_owned()).collect();
    ids.sort();
    ids
}

/// Sends one mail.
fn send(mailer: &dyn Mailer) -> Result<(), MailError> {
    mailer.send(&[mail("1@x", "ada@example.org")]).remove(0)
}

fn expect_transient(result: &Result<(), MailError>) -> &str {
    match result {
        Err(MailError::Transient(told)) => told,
        other => panic!("{other:?}"),
    }
}

fn expect_misconfigured(result: &Result<(), MailError>) -> &str {
    match result {
        Err(MailError::Misconfigured(told)) => told,
        other => panic!("{other:?}"),
    }
}
