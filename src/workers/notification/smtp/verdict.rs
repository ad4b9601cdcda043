//! What it comes to that a mail was not taken. Pure.
//!
//! | at | it is put off | somebody has to repair something | the address is refused |
//! |---|---|---|---|
//! | connecting, signing in | 4xx, lost, silent | 5xx, TLS that can't be trusted or is not offered | – |
//! | the sender | 4xx, lost, silent | 5xx | – |
//! | the recipient | 4xx, lost, silent | 5xx about us | 5xx about the recipient |
//! | the content | 4xx; lost, silent: **it may have been sent** | 5xx about us or the mail | 5xx that names the recipient as the reason |
//!
//! A customer is never told off for what is wrong with us: where a refusal could be either's, it is
//! ours.

use std::fmt;

use super::server::Server;
use crate::ports::mail::MailError;

/// The longest answer that is repeated, in characters: a few lines.
const MAX_ANSWER: usize = 300;

/// How far it had got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Until the server is ready for mails.
    Connecting,
    /// The sender's address.
    Sender,
    /// The recipient's address.
    Recipient,
    /// Whether the mail itself is wanted.
    Data,
    /// The mail itself. Whoever hears nothing from here on does not know whether it was taken.
    Content,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The server refused.
    Answer {
        /// The code of its answer, 400 to 599.
        code: u16,
        /// What else it said, on one line.
        text: String,
    },
    /// There was no answer in time.
    Silent,
    /// There is no connection, or none any more.
    Lost(String),
    /// The connection can't be protected, or the account not used, as the settings want it.
    Unfit(String),
}

impl Cause {
    /// An answer; of its text what fits a line of the log.
    pub fn answer(code: u16, text: &str) -> Self {
        Self::Answer { code, text: one_line(text) }
    }

    /// The same without what must not be shown.
    pub fn redacted(self, redact: impl Fn(&str) -> String) -> Self {
        match self {
            Self::Answer { code, text } => Self::Answer { code, text: redact(&text) },
            Self::Silent => Self::Silent,
            Self::Lost(text) => Self::Lost(redact(&text)),
            Self::Unfit(text) => Self::Unfit(redact(&text)),
        }
    }
}

fn one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MAX_ANSWER).collect()
}

/// What happened, and how far it had got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// How far.
    pub stage: Stage,
    /// What.
    pub cause: Cause,
}

impl Setback {
    /// Whether a connection that has carried mails before may just have been closed for its age, and
    /// nothing was sent: then a new one can be tried at once.
    pub fn is_worth_a_new_connection(&self) -> bool {
        let closed = matches!(self.cause, Cause::Lost(_) | Cause::Answer { code: 421, .. });
        closed && self.stage != Stage::Content
    }

    /// Whether the connection is as good as before.
    pub fn spares_the_connection(&self) -> bool {
        matches!(self.cause, Cause::Answer { code, .. } if code != 421)
            && self.stage != Stage::Connecting
    }

    /// What it comes to for a mail that was for this server.
    pub fn verdict(&self, server: &Server) -> MailError {
        let told = format!("{server}: {self}");
        match (&self.cause, self.stage) {
            (Cause::Answer { code: code @ 500.., text }, stage)
                if blames_the_recipient(stage, *code, text) =>
            {
                MailError::Undeliverable(told)
            }
            (Cause::Answer { code: 500.., .. }, _) | (Cause::Unfit(_), Stage::Connecting) => {
                MailError::Misconfigured(told)
            }
            _ => MailError::Transient(told),
        }
    }
}

/// Whether a refusal for good is about the recipient's address.
///
/// The code alone does not say it: 550 is also what a server answers that takes no mail from us. The
/// enhanced code (RFC 3463) does where there is one. Without it the recipient is blamed only for
/// what is answered to the address itself; and never where the answer is about relaying, which is
/// how servers say that they don't know us.
fn blames_the_recipient(stage: Stage, code: u16, text: &str) -> bool {
    if text.to_ascii_lowercase().contains("relay") {
        return false;
    }
    match (stage, enhanced_code(text)) {
        (Stage::Connecting | Stage::Sender, _) => false,
        // 5.1: bad address, of which .7 and .8 are the sender's. 5.2: its mailbox.
        (_, Some((1, detail))) => matches!(detail, 0..=4 | 6 | 10),
        (_, Some((2, detail))) => detail <= 4,
        // No way to it. Elsewhere in 5.4 are quotas of ours.
        (Stage::Recipient, Some((4, detail))) => matches!(detail, 1 | 4),
        (_, Some(_)) | (Stage::Data | Stage::Content, None) => false,
        (Stage::Recipient, None) => matches!(code, 501 | 550..=553 | 556),
    }
}

/// Subject and detail of the enhanced code `5.subject.detail` at the beginning of an answer.
fn enhanced_code(text: &str) -> Option<(u16, u16)> {
    let first = text.split(' ').next()?.trim_start_matches('#');
    let mut numbers = first.strip_prefix("5.")?.splitn(2, '.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

impl fmt::Display for Setback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = match self.stage {
            Stage::Connecting => "the server can't be used",
            Stage::Sender => "the sender is not taken",
            Stage::Recipient => "the recipient is not taken",
            Stage::Data | Stage::Content => "the mail is not taken",
        };
        match &self.cause {
            Cause::Answer { code, text } => write!(f, "{at}: it answered {code} {text}"),
            Cause::Silent if self.stage == Stage::Content => {
                f.write_str("no answer to the mail came in time; it may have been taken")
            }
            Cause::Silent => write!(f, "{at}: no answer came in time"),
            Cause::Lost(text) if self.stage == Stage::Content => {
                write!(
                    f,
                    "the connection was lost before the mail was answered, so it may have been taken: {text}"
                )
            }
            Cause::Lost(text) | Cause::Unfit(text) => write!(f, "{at}: {text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Stage::{Connecting, Content, Data, Recipient, Sender};

    fn verdict(stage: Stage, code: u16, text: &str) -> MailError {
        come_to(Setback { stage, cause: Cause::answer(code, text) })
    }

    fn come_to(setback: Setback) -> MailError {
        let verdict = setback.verdict(&Server::parse("smtp://mail.example.org").unwrap());
        assert!(verdict.to_string().contains("mail.example.org:587"), "{verdict}");
        verdict
    }

    #[test]
    fn a_refusal_of_the_recipient_is_for_good() {
        for (stage, code, text) in [
            (Recipient, 550, "5.1.1 <ada@example.org>: Recipient address rejected"),
            (Recipient, 550, "#5.1.0 Address rejected."),
            (Recipient, 550, "5.1.10 The domain has a null MX"),
            (Recipient, 552, "5.2.2 Mailbox full"),
            (Recipient, 550, "5.4.1 Recipient address rejected: Access denied."),
            (Recipient, 550, "no such user"),
            (Recipient, 553, "mailbox name not allowed"),
            (Recipient, 501, "malformed address"),
            (Data, 550, "5.1.1 no such user"),
            (Content, 550, "5.1.1 no such user"),
            (Content, 552, "5.2.2 over quota"),
        ] {
            let verdict = verdict(stage, code, text);
            assert!(matches!(verdict, MailError::Undeliverable(_)), "{code} {text}: {verdict}");
        }
    }

    #[test]
    fn a_refusal_of_us_is_never_the_customers() {
        for (stage, code, text) in [
            (Connecting, 554, "no SMTP service here"),
            (Connecting, 535, "5.7.8 authentication failed"),
            (Connecting, 550, "5.1.1 no such user"),
            (Sender, 550, "5.1.8 sender's domain not found"),
            (Sender, 530, "5.7.0 authentication required"),
            (Recipient, 554, "5.7.1 <ada@example.org>: Relay access denied"),
            (Recipient, 550, "relay not permitted"),
            (Recipient, 553, "5.7.1 Sender address rejected: not owned by user"),
            (Recipient, 550, "5.1.8 Sender address rejected: Domain not found"),
            (Recipient, 550, "5.4.5 Daily sending quota exceeded"),
            (Recipient, 530, "must issue a STARTTLS command first"),
            (Recipient, 554, "transaction failed"),
            (Data, 554, "no valid recipients"),
            (Content, 554, "5.7.1 spam"),
            (Content, 552, "5.3.4 message too big"),
            (Content, 554, "5.2.252 SendAsDenied"),
            (Content, 550, "rejected for policy reasons"),
        ] {
            let verdict = verdict(stage, code, text);
            assert!(matches!(verdict, MailError::Misconfigured(_)), "{code} {text}: {verdict}");
        }
    }

    #[test]
    fn what_may_pass_is_put_off() {
        for stage in [Connecting, Sender, Recipient, Data, Content] {
            let lost = Cause::Lost("reset by peer".to_owned());
            for cause in
                [Cause::answer(421, "busy"), Cause::answer(450, "5.1.1"), Cause::Silent, lost]
            {
                let verdict = come_to(Setback { stage, cause });
                assert!(matches!(verdict, MailError::Transient(_)), "{verdict}");
            }
        }
    }

    #[test]
    fn tls_that_can_not_be_trusted_has_to_be_repaired() {
        let cause = Cause::Unfit("invalid peer certificate: UnknownIssuer".to_owned());
        let verdict = come_to(Setback { stage: Connecting, cause });
        assert!(matches!(verdict, MailError::Misconfigured(_)), "{verdict}");
    }

    #[test]
    fn who_hears_nothing_of_a_mail_does_not_say_that_it_was_not_sent() {
        for cause in [Cause::Silent, Cause::Lost("reset by peer".to_owned())] {
            let setback = Setback { stage: Content, cause };
            assert!(setback.to_string().contains("may have been taken"), "{setback}");
            assert!(!setback.is_worth_a_new_connection());
        }
    }

    #[test]
    fn a_connection_that_was_closed_before_the_mail_is_worth_a_new_one() {
        let lost = |stage| Setback { stage, cause: Cause::Lost(String::new()) };
        for stage in [Sender, Recipient, Data] {
            assert!(lost(stage).is_worth_a_new_connection());
            assert!(!lost(stage).to_string().contains("may have been taken"));
        }
        let too_many = Setback { stage: Sender, cause: Cause::answer(421, "too many mails") };
        assert!(too_many.is_worth_a_new_connection() && !too_many.spares_the_connection());
        let refused = Setback { stage: Recipient, cause: Cause::answer(550, "5.1.1") };
        assert!(!refused.is_worth_a_new_connection() && refused.spares_the_connection());
    }

    #[test]
    fn an_answer_is_one_short_line() {
        let cause = Cause::answer(550, &format!("5.1.1 no\r\n\u{1b}[31m {}", "x".repeat(1_000)));
        let Cause::Answer { text, .. } = cause else { panic!("{cause:?}") };
        assert!(text.starts_with("5.1.1 no [31m x") && text.len() == MAX_ANSWER, "{text}");
    }
}
