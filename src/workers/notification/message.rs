//! From a mail to the text that is sent, the same for every mailer.

use lettre::address::AddressError;
use lettre::error::Error as LettreError;
use lettre::message::{Mailbox, Message, MultiPart};

use crate::ports::mail::{Mail, MailError};

/// Composes mails in the name of one sender.
#[derive(Clone, Debug)]
pub struct Composer {
    from: Mailbox,
}

/// The sender is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{from:?} can't be the sender of mails: {cause}; set mail.from to a mail address")]
pub struct SenderError {
    from: String,
    cause: AddressError,
}

impl Composer {
    /// One that writes in the name of `from`.
    ///
    /// # Errors
    /// When that is no mail address.
    pub fn new(from: &str) -> Result<Self, SenderError> {
        let address = from.parse().map_err(|cause| SenderError { from: from.to_owned(), cause })?;
        Ok(Self { from: Mailbox::new(None, address) })
    }

    /// What stands behind the `@` of the sender's address.
    pub fn domain(&self) -> &str {
        self.from.email.domain()
    }

    /// The mail as RFC 5322 wants it, with the addresses for its envelope. Headers are encoded, so no
    /// text can add one.
    ///
    /// # Errors
    /// When the recipient is no mail address.
    pub fn compose(&self, mail: &Mail) -> Result<Message, MailError> {
        let to = mail
            .to
            .parse()
            .map_err(|error: AddressError| MailError::Undeliverable(error.to_string()))?;
        let built: Result<Message, LettreError> = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject.as_str())
            .message_id(Some(format!("<{}>", mail.message_id)))
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()));
        built.map_err(|error| MailError::Transient(error.to_string()))
    }
}
