//! Sending mail.

use std::time::Duration;

/// A mail, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Its Message-ID without angle brackets; the same for every repeat, so that a mail that was
    /// sent twice can be recognised.
    pub message_id: String,
    /// Whom it goes to.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// Its text for readers of plain text.
    pub text: String,
    /// Its text for readers of HTML.
    pub html: String,
}

/// Why a mail was not sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum MailError {
    /// Not now; it may have been sent.
    #[error("the mail could not be sent now: {0}")]
    Transient(String),
    /// Not until somebody repairs the settings, the account or the server. It was not sent, and that
    /// says nothing of its recipient.
    #[error("no mail can be sent like this: {0}")]
    Misconfigured(String),
    /// Never: the address is refused for good.
    #[error("the address is refused: {0}")]
    Undeliverable(String),
}

/// How long a mailer may take for a call, in milliseconds. Whoever claims what is to be sent claims
/// it for longer.
pub const SEND_WITHIN_MS: u64 = 55_000;

/// Sends mail, at least once. Blocks.
pub trait Mailer: Send + Sync {
    /// Sends mails; the results are in their order. A mail that succeeded survives a crash of this
    /// process. Takes no longer than [`SEND_WITHIN_MS`].
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>>;

    /// The longest that a call takes, up to [`SEND_WITHIN_MS`].
    fn longest(&self) -> Duration {
        Duration::from_millis(SEND_WITHIN_MS)
    }
}
