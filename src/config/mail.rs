//! Sending mail.

use std::path::PathBuf;

use super::settings::Settings;

/// Sending mail.
///
/// | setting | default | what |
/// |---|---|---|
/// | `mail.from` | `orders@localhost` | the sender's address |
/// | `mail.folder` | `mail` in `data_dir` | the folder that mails are written to |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The sender's address.
    pub from: String,
    /// The folder that mails are written to; none for the one in the data folder.
    pub folder: Option<PathBuf>,
}

impl Default for Mail {
    fn default() -> Self {
        Self { from: "orders@localhost".to_owned(), folder: None }
    }
}

impl Mail {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let wanted = "a mail address such as orders@example.com";
        let from =
            settings.text("mail.from", wanted, |text| is_address(text).then(|| text.to_owned()));
        let folder = settings.path("mail.folder");
        Self { from: from.unwrap_or(Self::default().from), folder }
    }
}

fn is_address(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_graphic() && !b"<>\"(),:;\\[]".contains(&b);
    text.bytes().all(plain)
        && text.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty() && !domain.is_empty() && !domain.contains('@')
        })
}
