//! A mail server that a test owns: it keeps what it takes, and does as it is told otherwise.

// No test program uses all of it.
#![allow(dead_code)]

mod session;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use session::Session;

/// Longer than anything here takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether and how connections are protected.
#[derive(Clone)]
pub enum Protection {
    None,
    /// Once the client asks for it.
    StartTls(Certificate),
    /// From the start.
    Tls(Certificate),
}

/// A certificate that nobody vouches for.
#[derive(Clone)]
pub struct Certificate {
    pub pem: String,
    config: Arc<ServerConfig>,
}

impl Certificate {
    pub fn of(host: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([host.to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        Self { pem: made.cert.pem(), config: Arc::new(config) }
    }
}

/// What happens at a command instead of the usual.
#[derive(Clone, Debug)]
pub enum Manner {
    /// This is answered.
    Says(&'static str),
    /// The connection is closed without an answer.
    Drops,
    /// There is no answer until somebody closes the connection.
    Hangs,
    /// The usual, once so many have got to where they wait for each other.
    Gathers(usize),
    /// This, once so many have got there.
    SaysTogether(&'static str, usize),
}

/// A mail that was taken.
#[derive(Clone, Debug)]
pub struct Taken {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
}

impl Taken {
    /// Its Message-ID without angle brackets.
    pub fn id(&self) -> &str {
        let header = self.text.lines().find_map(|line| line.strip_prefix("Message-ID: <"));
        header.and_then(|rest| rest.strip_suffix('>')).unwrap_or_else(|| panic!("{}", self.text))
    }
}

#[derive(Default)]
struct State {
    /// Where the Message-IDs of what was taken are noted, instead of keeping it.
    book: Option<File>,
    /// The beginning of a command, what happens at it, and how often.
    rules: Vec<(&'static str, Manner, usize)>,
    taken: Vec<Taken>,
    heard: Vec<String>,
    open: Vec<TcpStream>,
    made: usize,
    most: usize,
    gathered: usize,
}

struct Shared {
    state: Mutex<State>,
    moved: Condvar,
    closing: AtomicBool,
    protection: Protection,
}

/// The server.
pub struct Sink {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
}

impl Sink {
    /// One that listens.
    pub fn start(protection: Protection) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Self::listening(listener, protection, None)
    }

    /// One at this address that notes each Message-ID in a file before it says that the mail is taken.
    pub fn with_book(address: SocketAddr, book: &Path) -> Self {
        let book = File::options().create(true).append(true).open(book).unwrap();
        Self::listening(TcpListener::bind(address).unwrap(), Protection::None, Some(book))
    }

    fn listening(listener: TcpListener, protection: Protection, book: Option<File>) -> Self {
        let (state, moved) = (Mutex::new(State { book, ..State::default() }), Condvar::new());
        let shared = Shared { state, moved, closing: AtomicBool::new(false), protection };
        let address = listener.local_addr().unwrap();
        let sink = Self { address, shared: Arc::new(shared), listening: Mutex::new(None) };
        sink.listen(listener);
        sink
    }

    /// Where it is for whoever does without TLS.
    pub fn url(&self) -> String {
        format!("smtp+insecure://{}", self.address)
    }

    /// Has something happen at the next so many commands that begin like this. Beside commands there
    /// are `CONNECT`, `.` once a mail is there, and `TAKEN` once it is kept.
    pub fn at(&self, command: &'static str, times: usize, manner: Manner) {
        self.shared.state.lock().unwrap().rules.push((command, manner, times));
    }

    /// Does the usual from now on.
    pub fn relent(&self) {
        self.shared.state.lock().unwrap().rules.clear();
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.shared.state.lock().unwrap().taken.clone()
    }

    /// How often each Message-ID was taken.
    pub fn mails(&self) -> BTreeMap<String, usize> {
        let mut mails = BTreeMap::new();
        for mail in &self.shared.state.lock().unwrap().taken {
            *mails.entry(mail.id().to_owned()).or_default() += 1;
        }
        mails
    }

    /// Every command, after `+` if it came over TLS, else after `-`.
    pub fn heard(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().heard.clone()
    }

    /// How many connections were made in all, and how many there were at a time.
    pub fn connections(&self) -> (usize, usize) {
        let state = self.shared.state.lock().unwrap();
        (state.made, state.most)
    }

    /// Waits until somebody has got so far as to say this.
    pub fn await_command(&self, beginning: &str) {
        let state = self.shared.state.lock().unwrap();
        let unheard =
            |state: &mut State| !state.heard.iter().any(|line| line[1..].starts_with(beginning));
        let waited = self.shared.moved.wait_timeout_while(state, PATIENCE, unheard).unwrap();
        assert!(!waited.1.timed_out(), "nobody says {beginning}");
    }

    /// Closes every connection; who connects again is served.
    pub fn cut(&self) {
        for stream in self.shared.state.lock().unwrap().open.drain(..) {
            // It fails only where the client was faster.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Is gone, as if it had crashed.
    pub fn close(&self) {
        let Some(listening) = self.listening.lock().unwrap().take() else { return };
        self.shared.closing.store(true, Ordering::SeqCst);
        // So that it looks up.
        drop(TcpStream::connect(self.address));
        listening.join().unwrap();
        self.cut();
    }

    /// Is there again, at the same address.
    pub fn open(&self) {
        let since = Instant::now();
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(error) => assert!(since.elapsed() < PATIENCE, "{error}"),
            }
            sleep(Duration::from_millis(10));
        };
        self.shared.closing.store(false, Ordering::SeqCst);
        self.listen(listener);
    }

    fn listen(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        *self.listening.lock().unwrap() = Some(spawn(move || {
            for stream in listener.incoming() {
                if shared.closing.load(Ordering::SeqCst) {
                    return;
                }
                let stream = stream.unwrap();
                shared.state.lock().unwrap().greet(stream.try_clone().unwrap());
                let shared = Arc::clone(&shared);
                spawn(move || {
                    let peer = stream.peer_addr();
                    // Clients come and go as they like.
                    let _ = Session::run(&shared, stream);
                    if let Ok(peer) = peer {
                        shared.state.lock().unwrap().part(peer);
                    }
                });
            }
        }));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.close();
    }
}

impl State {
    fn take(&mut self, taken: Taken) {
        match &mut self.book {
            Some(book) => book.write_all(format!("{}\n", taken.id()).as_bytes()).unwrap(),
            None => self.taken.push(taken),
        }
    }

    fn greet(&mut self, stream: TcpStream) {
        self.open.push(stream);
        self.made += 1;
        self.most = self.most.max(self.open.len());
    }

    fn part(&mut self, peer: SocketAddr) {
        self.open.retain(|stream| stream.peer_addr().is_ok_and(|open| open != peer));
    }

    fn manner(&mut self, command: &str) -> Option<Manner> {
        let fits = |(beginning, _, left): &&mut (&str, Manner, usize)| {
            *left > 0 && command.starts_with(*beginning)
        };
        let (_, manner, left) = self.rules.iter_mut().find(fits)?;
        *left -= 1;
        Some(manner.clone())
    }
}
