//! Connections to a mail server, and one mail over one of them.

use std::error::Error as _;
use std::io;
use std::net::ToSocketAddrs;
use std::time::{Duration, Instant};

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;

use super::server::{Protection, Server};
use super::verdict::{Cause, Setback, Stage};

/// How long it may take a server to forget half a mail; one that takes longer gets a new connection.
pub const RESET_WITHIN: Duration = Duration::from_secs(1);

/// Makes connections to one server.
pub struct Dialer {
    /// The server.
    pub server: Server,
    /// Whom we say we are.
    pub name: ClientId,
    /// What its certificate is checked against.
    pub tls: TlsParameters,
    /// How long it may take for an answer.
    pub timeout: Duration,
}

/// A connection over which mails can be sent.
pub struct Connection {
    client: SmtpConnection,
    timeout: Duration,
    /// Whether it is not new: the server may have closed it meanwhile.
    pub is_used: bool,
    /// Whether it can carry another.
    pub is_sound: bool,
}

impl Dialer {
    /// Connects and signs in, until a moment.
    ///
    /// # Errors
    /// When the server is not there, does not want us, or can't be trusted.
    pub fn connect(&self, until: Instant) -> Result<Connection, Setback> {
        let redacted = |cause: Cause| cause.redacted(|text| self.server.redact(text));
        let failed = |cause| Setback { stage: Stage::Connecting, cause: redacted(cause) };
        let mut client = self.reach(until).map_err(failed)?;
        self.sign_in(&mut client, until).map_err(failed)?;
        Ok(Connection { client, timeout: self.timeout, is_used: false, is_sound: true })
    }

    /// Connects to the first of the server's addresses that answers. How long it takes to look them up
    /// is the system's affair; nothing was sent by then.
    fn reach(&self, until: Instant) -> Result<SmtpConnection, Cause> {
        let Server { host, port, protection, .. } = &self.server;
        let tls = (*protection == Protection::Tls).then_some(&self.tls);
        let addresses = (host.as_str(), *port).to_socket_addrs();
        let mut trouble = Cause::Lost(format!("{host} has no address"));
        for address in addresses.map_err(|error| Cause::Lost(error.to_string()))? {
            let timeout = Some(allowed(self.timeout, until)?);
            match SmtpConnection::connect(address, timeout, &self.name, tls, None) {
                Ok(client) => return Ok(client),
                Err(error) => trouble = cause(&error),
            }
            if !matches!(trouble, Cause::Lost(_) | Cause::Silent) {
                break;
            }
        }
        Err(trouble)
    }

    fn sign_in(&self, client: &mut SmtpConnection, until: Instant) -> Result<(), Cause> {
        if self.server.protection == Protection::StartTls {
            wait_for(client, allowed(self.timeout, until)?)?;
            client.starttls(&self.tls, &self.name).map_err(|error| cause(&error))?;
        }
        if let Some(account) = &self.server.account {
            wait_for(client, allowed(self.timeout, until)?)?;
            let signed_in = client.auth(DEFAULT_MECHANISMS, &account.credentials());
            signed_in.map_err(|error| cause(&error))?;
        }
        Ok(())
    }
}

impl Connection {
    /// Sends a mail, whose content leaves before `until` or not at all. Its answer has the whole
    /// time-out: giving up earlier would only double mails.
    ///
    /// # Errors
    /// When it was not taken, or that is not known.
    pub fn deliver(&mut self, message: &Message, until: Instant) -> Result<(), Setback> {
        self.is_used = true;
        self.converse(message, until).map_err(|Setback { stage, cause }| {
            // Servers like to repeat the address, which is nobody's business in a log.
            let cause = cause.redacted(|text| {
                let recipients = message.envelope().to().iter();
                recipients.fold(text.to_owned(), |text, to| text.replace(to.as_ref() as &str, "…"))
            });
            let setback = Setback { stage, cause };
            self.is_sound = setback.spares_the_connection() && self.reset();
            setback
        })
    }

    /// Has the server forget what it has of a mail, so that the next one does not find it.
    fn reset(&mut self) -> bool {
        wait_for(&mut self.client, RESET_WITHIN.min(self.timeout)).is_ok()
            && self.client.command(Rset).is_ok()
    }

    fn converse(&mut self, message: &Message, until: Instant) -> Result<(), Setback> {
        let at = |stage| move |cause| Setback { stage, cause };
        let envelope = message.envelope();
        let sender = Mail::new(envelope.from().cloned(), Vec::new());
        self.say(sender, until).map_err(at(Stage::Sender))?;
        for recipient in envelope.to() {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            self.say(recipient, until).map_err(at(Stage::Recipient))?;
        }
        self.say(Data, until).map_err(at(Stage::Data))?;
        self.hand_over(&message.formatted()).map_err(at(Stage::Content))
    }

    fn say(&mut self, command: impl std::fmt::Display, until: Instant) -> Result<(), Cause> {
        wait_for(&mut self.client, allowed(self.timeout, until)?)?;
        self.client.command(command).map(drop).map_err(|error| cause(&error))
    }

    fn hand_over(&mut self, content: &[u8]) -> Result<(), Cause> {
        wait_for(&mut self.client, self.timeout)?;
        self.client.command(on_the_wire(content)).map(drop).map_err(|error| cause(&error))
    }
}

/// A mail's content with its end, to be written in one piece. The library would write the end apart,
/// and the system hold it back until the other side acknowledges what went before, which that delays
/// by 40 ms.
fn on_the_wire(content: &[u8]) -> String {
    // The end brings a line break of its own.
    let text = String::from_utf8_lossy(content.strip_suffix(b"\r\n").unwrap_or(content));
    // A line that begins with a dot gets another (RFC 5321, 4.5.2).
    let first = if text.starts_with('.') { "." } else { "" };
    format!("{first}{}\r\n.\r\n", text.replace("\r\n.", "\r\n.."))
}

/// How long may be waited for the next answer where all has to be over at a moment.
fn allowed(timeout: Duration, until: Instant) -> Result<Duration, Cause> {
    let left = until.saturating_duration_since(Instant::now()).min(timeout);
    if left.is_zero() { Err(Cause::Silent) } else { Ok(left) }
}

fn wait_for(client: &mut SmtpConnection, timeout: Duration) -> Result<(), Cause> {
    client.set_timeout(Some(timeout)).map_err(|error| Cause::Lost(error.to_string()))
}

/// What the client library's error says.
fn cause(error: &Error) -> Cause {
    let text = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    if let Some(code) = error.status() {
        return Cause::answer(code.into(), &text);
    }
    if error.is_client() || error.is_tls() {
        return Cause::Unfit(text);
    }
    match error.source().and_then(|source| source.downcast_ref()).map(io::Error::kind) {
        Some(io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => Cause::Silent,
        // TLS reports so what it does not trust; it is noticed with the first answer.
        Some(io::ErrorKind::InvalidData) => Cause::Unfit(text),
        _ => Cause::Lost(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_a_mail_is_taken_for_its_end() {
        for (content, written) in [
            ("a\r\n", "a\r\n.\r\n"),
            ("a", "a\r\n.\r\n"),
            ("", "\r\n.\r\n"),
            (".\r\n.\r\n..a\r\n", "..\r\n..\r\n...a\r\n.\r\n"),
            ("a\r\n.\r\n", "a\r\n..\r\n.\r\n"),
        ] {
            assert_eq!(on_the_wire(content.as_bytes()), written);
        }
    }
}
