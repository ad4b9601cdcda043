//! Sending mail.

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
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Not now; it may have been sent.
    #[error("the mail could not be sent now: {0}")]
    Transient(String),
    /// Never: the address is refused for good.
    #[error("the address is refused: {0}")]
    Undeliverable(String),
}

/// Sends mail, at least once. Blocks.
pub trait Mailer: Send + Sync {
    /// Sends mails; the results are in their order. A mail that succeeded survives a crash of this
    /// process.
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>>;
}
