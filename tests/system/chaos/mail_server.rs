//! A mail server in a process of its own, which is this test program once more.

use std::collections::BTreeMap;
use std::env;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::accounts::Mails;
use crate::ports::free_port;
use crate::smtp_sink::Sink;
use crate::until::until;

const ADDRESS: &str = "SKALD_CHAOS_MAIL_ADDRESS";
const BOOK: &str = "SKALD_CHAOS_MAIL_BOOK";

/// The server, as the test sees it.
pub struct MailServer {
    pub address: SocketAddr,
    book: PathBuf,
    child: Option<Child>,
}

impl MailServer {
    /// Starts one that notes in a file which mails it took.
    pub fn start(book: &Path) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut server = Self { address, book: book.to_owned(), child: None };
        server.go_on();
        server
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Starts it again at the same address.
    pub fn go_on(&mut self) {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "chaos::mail_server::is_a_process", "--ignored", "--nocapture"])
            .env(ADDRESS, self.address.to_string())
            .env(BOOK, &self.book)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.child = Some(child);
        until("the mail server listens", || TcpStream::connect(self.address).is_ok());
    }

    /// How often it took each mail.
    pub fn mails(&self) -> Mails {
        let text = std::fs::read_to_string(&self.book).unwrap_or_default();
        let mut mails = BTreeMap::new();
        // A line that is cut short was not answered either.
        for id in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            *mails.entry(id.to_owned()).or_default() += 1;
        }
        mails
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The other side of it.
#[test]
#[ignore = "the mail server of other tests"]
fn is_a_process() {
    let (Ok(address), Some(book)) = (env::var(ADDRESS), env::var_os(BOOK)) else { return };
    let _sink = Sink::with_book(address.parse().unwrap(), Path::new(&book));
    // Until whoever started it is gone.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
