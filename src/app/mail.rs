//! The mailer that is configured.

use std::sync::Arc;
use std::thread;

use anyhow::Context as _;

use crate::config::Config;
use crate::ports::mail::{MailError, Mailer};
use crate::workers::notification::eml::EmlMailer;
use crate::workers::notification::smtp::{Settings, SmtpMailer};

/// A mailer, and how many mails it should be given at a time.
pub struct Mail {
    /// The mailer.
    pub mailer: Arc<dyn Mailer>,
    /// How many mails at a time at most.
    pub at_a_time: usize,
}

/// Opens the mailer that is configured: files in a folder, or a mail server. Whether the server is
/// there is found out meanwhile and told in the log: a mail can wait, and orders don't wait for it.
///
/// # Errors
/// When a setting can't be used, or the folder not be written to.
pub fn open(config: &Config) -> anyhow::Result<Mail> {
    let Some(mailer) = mail_server(config)? else {
        let mailer = Arc::new(EmlMailer::open(&config.mail_folder(), &config.mail.from)?);
        return Ok(Mail { mailer, at_a_time: config.workers.batch_size });
    };
    let mailer = Arc::new(mailer);
    let at_a_time = mailer.mails_at_a_time();
    let checked = Arc::clone(&mailer);
    thread::Builder::new()
        .name("mail-check".to_owned())
        .spawn(move || tell(&checked))
        .context("no thread can be started")?;
    Ok(Mail { mailer, at_a_time })
}

/// The mail server that is configured, if one is. Connects to nobody yet.
///
/// # Errors
/// When a setting can't be used.
pub fn mail_server(config: &Config) -> anyhow::Result<Option<SmtpMailer>> {
    let Some(url) = &config.mail.url else { return Ok(None) };
    Ok(Some(SmtpMailer::open(url.reveal(), &config.mail.from, &settings(config)?)?))
}

fn settings(config: &Config) -> anyhow::Result<Settings> {
    let read =
        |path| std::fs::read(path).with_context(|| format!("mail.ca_file {path:?} can't be read"));
    Ok(Settings {
        connections: config.mail.connections,
        timeout: config.mail.timeout,
        authorities: config.mail.ca_file.as_ref().map(read).transpose()?,
    })
}

/// Says whether mails can be sent.
fn tell(mailer: &SmtpMailer) {
    match mailer.check() {
        Ok(()) => tracing::info!(server = mailer.server(), "the mail server is ready"),
        Err(error @ MailError::Misconfigured(_)) => {
            tracing::error!(%error, "mails can't be sent until the mail settings or the mail server are repaired");
        }
        Err(error) => tracing::warn!(%error, "the mail server is not ready; mails wait"),
    }
}
