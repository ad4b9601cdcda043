//! What the log and the metrics are told of the mails of a batch.

use super::plan::Posted;
use crate::ports::mail::MailError;

/// Counts what became of the mails. What keeps mails back is a line for the whole batch, since it
/// rarely keeps back just one; an address that is refused is a line of its own.
pub fn report(posted: &[Posted<'_>]) {
    let [mut sent, mut put_off, mut misconfigured] = [0, 0, 0];
    let [mut away, mut broken] = [None, None];
    for Posted { command, result } in posted {
        match result {
            Ok(()) => sent += 1,
            Err(error @ MailError::Undeliverable(_)) => {
                tracing::warn!(key = %command.key, %error, "a mail can't be delivered");
                count("undeliverable", 1);
            }
            Err(error @ MailError::Transient(_)) => {
                put_off += 1;
                away.get_or_insert((&command.key, error));
            }
            Err(error @ MailError::Misconfigured(_)) => {
                misconfigured += 1;
                broken.get_or_insert((&command.key, error));
            }
        }
    }
    if let Some((key, error)) = away {
        tracing::warn!(mails = put_off, %key, %error, "mails were not sent and are tried again");
    }
    if let Some((key, error)) = broken {
        tracing::error!(mails = misconfigured, %key, %error, "mails can't be sent until the mail settings or the mail server are repaired");
    }
    for (outcome, mails) in [("sent", sent), ("put_off", put_off), ("misconfigured", misconfigured)]
    {
        count(outcome, mails);
    }
}

fn count(outcome: &'static str, mails: u64) {
    if mails > 0 {
        metrics::counter!("skald_mails_total", "outcome" => outcome).increment(mails);
    }
}
