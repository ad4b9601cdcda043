//! A mailer that writes each mail into a file of its own, `<Message-ID>.eml`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::message::{Composer, SenderError};
use crate::ports::mail::{Mail, MailError, Mailer};

/// The longest file name made of a Message-ID, in bytes; file systems take 255.
const MAX_NAME: usize = 200;

/// Writes mails into a folder.
///
/// A batch is made durable with one `syncfs` after its last file is written. For a single mail that
/// takes about as long as `fsync`; for 50 and more a twentieth of what an `fsync` for each file
/// takes. It also writes out whatever else waits to be written to the same file system.
///
/// A process or machine that dies before it may leave files that are empty, cut off or missing.
/// None of these mails is recorded as sent, so each is written again under the same name.
#[derive(Debug)]
pub struct EmlMailer {
    folder: PathBuf,
    /// Kept open: from Linux 5.8 on, `syncfs` reports each failed write since the last call once to
    /// every open file.
    handle: File,
    composer: Composer,
}

/// Why a folder can't be used for mails.
#[derive(Debug, thiserror::Error)]
pub enum EmlError {
    /// It can't be made or opened.
    #[error("mails can't be written to {}: {cause}; choose another folder", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The sender is no address.
    #[error(transparent)]
    Sender(#[from] SenderError),
}

impl EmlMailer {
    /// A mailer that writes to `folder`, which is made if need be, in the name of `from`.
    ///
    /// # Errors
    /// When the folder can't be made or opened, or `from` is no mail address.
    pub fn open(folder: &Path, from: &str) -> Result<Self, EmlError> {
        let failed = |cause| EmlError::Folder { folder: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(failed)?;
        let handle = File::open(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), handle, composer: Composer::new(from)? })
    }

    fn write(&self, mail: &Mail) -> Result<PathBuf, MailError> {
        let path = self.folder.join(file_name(&mail.message_id));
        let message = self.composer.compose(mail)?;
        fs::write(&path, message.formatted()).map_err(transient)?;
        Ok(path)
    }
}

impl Mailer for EmlMailer {
    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>> {
        let written: Vec<_> = mails.iter().map(|mail| self.write(mail)).collect();
        let paths: Vec<&Path> = written.iter().flatten().map(PathBuf::as_path).collect();
        let durable = if paths.is_empty() { Ok(()) } else { sync(&self.handle, &paths) };
        let durable = durable.map_err(transient);
        written.into_iter().map(|written| written.and_then(|_| durable.clone())).collect()
    }

    /// Should a disk be slower, another worker writes the same mail into the same file.
    fn longest(&self) -> Duration {
        Duration::from_secs(5)
    }
}

fn transient(error: io::Error) -> MailError {
    MailError::Transient(error.to_string())
}

/// Makes files and their names durable.
#[cfg(target_os = "linux")]
fn sync(folder: &File, _paths: &[&Path]) -> io::Result<()> {
    Ok(rustix::fs::syncfs(folder)?)
}

/// Makes files and their names durable.
#[cfg(not(target_os = "linux"))]
fn sync(folder: &File, paths: &[&Path]) -> io::Result<()> {
    for path in paths {
        File::open(path)?.sync_all()?;
    }
    folder.sync_all()
}

/// The file for a Message-ID: the same for the same one, another for another, and never outside
/// its folder.
fn file_name(message_id: &str) -> String {
    let plain = (1..=MAX_NAME).contains(&message_id.len())
        && !message_id.starts_with('.')
        && message_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.@".contains(&b));
    if plain {
        format!("{message_id}.eml")
    } else {
        let digest = Sha256::digest(message_id);
        format!("{digest:x}.eml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(id: &str, to: &str) -> Mail {
        Mail {
            message_id: id.to_owned(),
            to: to.to_owned(),
            subject: "Your order is confirmed".to_owned(),
            text: "Thank you.".to_owned(),
            html: "<p>Thank you.</p>".to_owned(),
        }
    }

    fn mailer() -> (tempfile::TempDir, EmlMailer) {
        let folder = tempfile::tempdir().unwrap();
        let mailer = EmlMailer::open(&folder.path().join("mail"), "orders@example.org").unwrap();
        (folder, mailer)
    }

    fn files(mailer: &EmlMailer) -> Vec<(String, String)> {
        let mut files: Vec<_> = fs::read_dir(&mailer.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    #[test]
    fn a_repeat_overwrites_its_file() {
        let (_folder, mailer) = mailer();
        let first = Mail { text: "long ".repeat(100), ..mail("1@x", "ada@example.org") };
        mailer.send(&[first]);
        mailer.send(&[mail("1@x", "ada@example.org"), mail("2@x", "ada@example.org")]);
        let files = files(&mailer);
        assert_eq!(files.len(), 2);
        assert!(!files[0].1.contains("long"));
    }

    #[test]
    fn every_message_id_has_a_file_of_its_own_inside_the_folder() {
        let long = "x".repeat(1000);
        let ids = ["a@x", "a:x", "a/x", "../x", ".", "..", "", "A@x\0", long.as_str()];
        let names: std::collections::BTreeSet<_> = ids.iter().map(|id| file_name(id)).collect();
        assert_eq!(names.len(), ids.len());
        for name in names {
            assert!(!name.contains('/') && !name.starts_with('.') && name.len() < 255, "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_can_not_be_made_durable_was_not_sent() {
        use std::os::unix::fs::OpenOptionsExt;
        let (_folder, mailer) = mailer();
        // A handle that names the folder but does not open it can't be synced.
        let path_only = i32::try_from(rustix::fs::OFlags::PATH.bits()).unwrap();
        let handle =
            fs::OpenOptions::new().read(true).custom_flags(path_only).open(&mailer.folder).unwrap();
        let mailer = EmlMailer { handle, ..mailer };
        let results = mailer.send(&[mail("1@x", "ada@example.org"), mail("2@x", "nobody")]);
        assert!(matches!(results[0], Err(MailError::Transient(_))), "{results:?}");
        assert!(matches!(results[1], Err(MailError::Undeliverable(_))), "{results:?}");
    }
}
