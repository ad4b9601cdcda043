//! Sending mail.

use std::path::PathBuf;
use std::time::Duration;

use super::catalogue::Setting;
use super::secret::Secret;
use super::settings::Settings;

/// More connections than a mail server grants to one client.
const MAX_CONNECTIONS: u64 = 64;

/// Shorter, and a busy server looks dead; longer, and others may take a mail for forgotten.
const TIMEOUT_MS: std::ops::RangeInclusive<u64> = 1_000..=30_000;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 6] = [
    Setting::open(
        "mail.url",
        "none",
        r#""smtp://user:password@host:587""#,
        "the mail server: `smtp://user:password@host:587` (STARTTLS), `smtps://…:465` (TLS from the start), or `smtp+insecure://host:25` (plain text, no password); without it mails are files in `mail.folder`, and with `none` too",
    ),
    Setting::new(
        "mail.from",
        r#""orders@localhost""#,
        "the sender's address; Message-IDs end in its domain",
    ),
    Setting::open(
        "mail.ca_file",
        "none",
        r#""/etc/ssl/certs/ours.pem""#,
        "a PEM file with certificates of authorities to trust beside the system's",
    ),
    Setting::new("mail.connections", "8", "connections to the mail server at a time, 1 to 64"),
    Setting::new(
        "mail.timeout_ms",
        "10000",
        "how long the mail server may take for an answer, 1000 to 30000",
    ),
    Setting::open(
        "mail.folder",
        "`mail` in `data_dir`",
        r#""/var/mail/skald""#,
        "the folder that mails are written to",
    ),
];

/// Sending mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The mail server; none for files in a folder.
    pub url: Option<Secret>,
    /// The sender's address.
    pub from: String,
    /// Certificates of authorities to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Connections to the mail server at a time.
    pub connections: usize,
    /// How long the mail server may take for an answer.
    pub timeout: Duration,
    /// The folder that mails are written to; none for the one in the data folder.
    pub folder: Option<PathBuf>,
}

impl Default for Mail {
    fn default() -> Self {
        Self {
            url: None,
            from: "orders@localhost".to_owned(),
            ca_file: None,
            connections: 8,
            timeout: Duration::from_secs(10),
            folder: None,
        }
    }
}

impl Mail {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let default = Self::default();
        let wanted =
            "a URL such as smtp://user:password@host:587, smtps://… or smtp+insecure://…, or none";
        let url = settings.secret("mail.url", wanted, |text| match text {
            "none" => Some(None),
            text => server(text).map(Some),
        });
        let wanted = "a mail address such as orders@example.com";
        let from =
            settings.text("mail.from", wanted, |text| is_address(text).then(|| text.to_owned()));
        let wanted = "the path of a PEM file";
        let ca_file = settings.text("mail.ca_file", wanted, |text| {
            (!text.is_empty() && !text.contains('\0')).then(|| PathBuf::from(text))
        });
        let connections = settings.whole_number("mail.connections", 1..=MAX_CONNECTIONS);
        let timeout = settings.whole_number("mail.timeout_ms", TIMEOUT_MS);
        let folder = settings.path("mail.folder");
        Self {
            url: url.flatten(),
            from: from.unwrap_or(default.from),
            ca_file,
            connections: connections.unwrap_or(default.connections),
            timeout: timeout.map_or(default.timeout, Duration::from_millis),
            folder,
        }
    }
}

fn server(text: &str) -> Option<Secret> {
    let known = ["smtp://", "smtps://", "smtp+insecure://"];
    known.iter().any(|scheme| text.starts_with(scheme)).then(|| Secret::new(text))
}

fn is_address(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !b"<>\"(),:;\\[]".contains(&b);
    text.bytes().all(plain)
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        })
}
