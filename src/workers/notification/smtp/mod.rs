//! A mailer that hands mails to a server over SMTP.
//!
//! The mails of a batch are shared among a few connections, which are kept for the next batch. Each
//! of them takes the next mail once it is done with one, so a slow answer holds up one mail only.
//!
//! | file | holds |
//! |---|---|
//! | `server` | where the server is, and who asks (pure) |
//! | `connection` | connections, and one mail over one of them |
//! | `verdict` | what a refusal comes to (pure) |

mod connection;
mod server;
mod verdict;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use lettre::Message;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::message::{Composer, SenderError};
use crate::ports::mail::{Mail, MailError, Mailer, SEND_WITHIN_MS};
use connection::{Connection, Dialer, RESET_WITHIN};
pub use server::ServerError;
use server::{Protection, Server};
use verdict::Setback;

/// How long the mails of a batch are begun. A server that is well has taken them all long before; what
/// is left then is put off, so that the batch is answered while somebody waits for it.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);

/// The longest time-out for an answer, so that a batch ends in time.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(30);

const _: () = assert!(
    BEGIN_WITHIN.as_millis() + MAX_TIMEOUT.as_millis() + RESET_WITHIN.as_millis()
        <= SEND_WITHIN_MS as u128,
    "the mail that is begun last has its whole time-out"
);

/// How many mails a connection should get of a batch: few enough that a server that takes a second
/// for each is done with them in time, enough that each transaction is for many.
const MAILS_A_CONNECTION: usize = 8;

/// How long an unused connection is kept. Servers close them after some minutes, routers forget
/// them earlier; a mail that finds its connection gone loses time, but nothing else.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How the server is used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Connections at a time at most, at least one.
    pub connections: usize,
    /// How long the server may take for an answer, up to [`MAX_TIMEOUT`].
    pub timeout: Duration,
    /// Certificates of authorities to trust beside those of the system, in PEM.
    pub authorities: Option<Vec<u8>>,
}

/// Why there is no mailer.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The server's URL can't be used.
    #[error("mail.url can't be used: {0}")]
    Server(#[from] ServerError),
    /// The sender is no address.
    #[error(transparent)]
    Sender(#[from] SenderError),
    /// The sender has no domain that anybody knows.
    #[error("{0} can't be the sender of mails to the world; set mail.from to an address of yours")]
    LocalSender(String),
    /// The certificates can't be used.
    #[error("the certificates in mail.ca_file can't be used: {0}; they must be in PEM")]
    Authorities(String),
}

/// Hands mails to a server.
///
/// A mail that the server took is its own from then on. One whose answer did not come may have been
/// taken, and is sent again under the same Message-ID.
pub struct SmtpMailer {
    composer: Composer,
    dialer: Dialer,
    connections: usize,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

/// What one connection did of a batch.
struct Lane {
    /// Which mails, and what became of them.
    carried: Vec<(usize, Result<(), MailError>)>,
    /// Why it carries no more, although there are.
    ended: Option<MailError>,
}

impl SmtpMailer {
    /// A mailer for the server at `url`, in the name of `from`. Connects to nobody yet.
    ///
    /// # Errors
    /// When `url` or the certificates can't be used, or `from` can't be a sender.
    pub fn open(url: &str, from: &str, settings: &Settings) -> Result<Self, SmtpError> {
        let server = Server::parse(url)?;
        let composer = Composer::new(from)?;
        if server.protection != Protection::None && composer.domain() == "localhost" {
            return Err(SmtpError::LocalSender(from.to_owned()));
        }
        let dialer = Dialer {
            tls: tls(&server, settings.authorities.as_deref())?,
            server,
            name: ClientId::Domain(composer.domain().to_owned()),
            timeout: settings.timeout.min(MAX_TIMEOUT),
        };
        let connections = settings.connections.max(1);
        Ok(Self { composer, dialer, connections, idle: Mutex::default() })
    }

    /// How many mails it should be given at a time, so that they are sent in seconds.
    pub fn mails_at_a_time(&self) -> usize {
        self.connections * MAILS_A_CONNECTION
    }

    /// Where the mails go, without the account.
    pub fn server(&self) -> String {
        self.dialer.server.to_string()
    }

    /// Connects and signs in; the first mail finds that done.
    ///
    /// # Errors
    /// When that is not possible as things stand.
    pub fn check(&self) -> Result<(), MailError> {
        let connection = self.dialer.connect(Instant::now() + BEGIN_WITHIN);
        self.keep(connection.map_err(|setback| self.verdict(&setback))?);
        Ok(())
    }

    fn verdict(&self, setback: &Setback) -> MailError {
        setback.verdict(&self.dialer.server)
    }

    fn compose(&self, mail: &Mail) -> Result<Message, MailError> {
        if !mail.to.is_ascii() {
            let what = "it has characters beyond ASCII, which mail servers need not take";
            return Err(MailError::Undeliverable(what.to_owned()));
        }
        self.composer.compose(mail)
    }

    /// Sends messages one after another, as long as `next` gives any.
    fn carry(&self, messages: &[(usize, Message)], next: &AtomicUsize, until: Instant) -> Lane {
        let mut lane = Lane { carried: Vec::new(), ended: None };
        let mut held = self.kept();
        while next.load(Ordering::Relaxed) < messages.len() && Instant::now() < until {
            // First a connection, then a mail: whoever gets none leaves the mails to the others.
            let mut connection = match held.take().map_or_else(|| self.dialer.connect(until), Ok) {
                Ok(connection) => connection,
                Err(setback) => {
                    lane.ended = Some(self.verdict(&setback));
                    break;
                }
            };
            if let Some((n, message)) = messages.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = self.deliver(&mut connection, message, until);
                lane.carried.push((*n, outcome.map_err(|setback| self.verdict(&setback))));
            }
            held = Some(connection).filter(|connection| connection.is_sound);
        }
        if let Some(connection) = held {
            self.keep(connection);
        }
        lane
    }

    /// Sends a message; over a new connection if the one at hand turns out to be closed.
    fn deliver(
        &self,
        connection: &mut Connection,
        message: &Message,
        until: Instant,
    ) -> Result<(), Setback> {
        let was_used = connection.is_used;
        match connection.deliver(message, until) {
            Err(setback) if was_used && setback.is_worth_a_new_connection() => {
                *connection = self.dialer.connect(until)?;
                connection.deliver(message, until)
            }
            outcome => outcome,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection from before, if there is a young one.
    fn kept(&self) -> Option<Connection> {
        let mut idle = self.lock();
        idle.retain(|idle| idle.since.elapsed() < KEPT_FOR);
        idle.pop().map(|idle| idle.connection)
    }

    fn keep(&self, mut connection: Connection) {
        connection.is_used = true;
        let mut idle = self.lock();
        if idle.len() < self.connections {
            idle.push(Idle { connection, since: Instant::now() });
        }
    }
}

fn tls(server: &Server, authorities: Option<&[u8]>) -> Result<TlsParameters, SmtpError> {
    let unusable =
        |error: lettre::transport::smtp::Error| SmtpError::Authorities(error.to_string());
    let mut parameters = TlsParameters::builder(server.host.clone());
    if let Some(pem) = authorities {
        if !String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err(SmtpError::Authorities("there are none in it".to_owned()));
        }
        parameters = parameters.add_root_certificate(Certificate::from_pem(pem).map_err(unusable)?);
    }
    parameters.build_rustls().map_err(unusable)
}

impl Mailer for SmtpMailer {
    fn longest(&self) -> Duration {
        BEGIN_WITHIN + self.dialer.timeout + RESET_WITHIN
    }

    fn send(&self, mails: &[Mail]) -> Vec<Result<(), MailError>> {
        let until = Instant::now() + BEGIN_WITHIN;
        let mut results: Vec<Option<Result<(), MailError>>> = vec![None; mails.len()];
        let mut messages = Vec::with_capacity(mails.len());
        for (n, mail) in mails.iter().enumerate() {
            match self.compose(mail) {
                Ok(message) => messages.push((n, message)),
                Err(error) => results[n] = Some(Err(error)),
            }
        }
        let next = AtomicUsize::new(0);
        let carry = || self.carry(&messages, &next, until);
        let lanes = thread::scope(|scope| {
            let beside = (1..self.connections.min(messages.len())).map(|_| {
                // Without a thread there are fewer lanes, and nothing else.
                thread::Builder::new().name("mail".to_owned()).spawn_scoped(scope, carry).ok()
            });
            let beside: Vec<_> = beside.flatten().collect();
            let first = carry();
            let others = beside.into_iter().filter_map(|lane| lane.join().ok());
            [first].into_iter().chain(others).collect::<Vec<Lane>>()
        });
        let mut ended = None;
        for lane in lanes {
            ended = ended.or(lane.ended);
            lane.carried.into_iter().for_each(|(n, outcome)| results[n] = Some(outcome));
        }
        let no_time = || MailError::Transient("the server was too slow to get to it".to_owned());
        let left_over = ended.unwrap_or_else(no_time);
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(left_over.clone()))).collect()
    }
}
