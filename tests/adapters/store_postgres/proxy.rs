//! A stretch of network between a store and its server that can fail at a COMMIT.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// What happens at a COMMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is done, but nobody hears of it.
    AnswerLost,
    /// It is never heard of.
    CommitLost,
    /// The client is cut off, and the COMMIT arrives once it is [let go](Proxy::let_go).
    CommitLate,
    /// In the transaction after it the client falls silent after the first statement, without a word
    /// on whether more follows, until it is [let go](Proxy::let_go): as a suspended process does.
    Silence,
}

#[derive(Default)]
struct Plan {
    faults: VecDeque<Fault>,
    commits: u32,
    late: Option<Receiver<()>>,
}

/// The proxy; each COMMIT that goes through it meets the next fault that was planned.
pub struct Proxy {
    plan: Arc<Mutex<Plan>>,
    late: Sender<()>,
}

impl Proxy {
    /// One in front of the server of this URL; tells the URL of the same database through it.
    pub fn before(url: &str) -> (Self, String) {
        let (scheme_and_user, rest) = url.split_once('@').unwrap();
        let (place, path) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (late, receiver) = channel();
        let plan = Arc::new(Mutex::new(Plan { late: Some(receiver), ..Plan::default() }));
        let (server, shared) = (place.to_owned(), Arc::clone(&plan));
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, plan) = (client.unwrap(), Arc::clone(&shared));
                let server = TcpStream::connect(&server).unwrap();
                for stream in [&client, &server] {
                    stream.set_nodelay(true).unwrap();
                }
                relay(client, server, plan);
            }
        });
        let path = path.split('?').next().unwrap();
        let options = "sslmode=disable&gssencmode=disable";
        (Self { plan, late }, format!("{scheme_and_user}@127.0.0.1:{port}/{path}?{options}"))
    }

    /// Plans what the next COMMITs meet.
    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.plan.lock().unwrap().faults.extend(faults);
    }

    /// How many COMMITs came this way.
    pub fn commits(&self) -> u32 {
        self.plan.lock().unwrap().commits
    }

    /// How many of the planned faults have not happened.
    pub fn left(&self) -> usize {
        self.plan.lock().unwrap().faults.len()
    }

    /// Lets the COMMIT that is late arrive.
    pub fn let_go(&self) {
        self.late.send(()).unwrap();
    }
}

fn relay(client: TcpStream, server: TcpStream, plan: Arc<Mutex<Plan>>) {
    let deaf = Arc::new(AtomicBool::new(false));
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let hears_nothing = Arc::clone(&deaf);
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(size @ 1..) = from.read(&mut buffer) {
            if hears_nothing.load(Ordering::SeqCst) || to.write_all(&buffer[..size]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
        let _ = from.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let _ = forward(&client, &server, &plan, &deaf);
        let _ = client.shutdown(Shutdown::Both);
        if !deaf.load(Ordering::SeqCst) {
            let _ = server.shutdown(Shutdown::Both);
        }
    });
}

/// Passes messages on to the server until a fault or the end.
fn forward(
    mut client: &TcpStream,
    mut server: &TcpStream,
    plan: &Mutex<Plan>,
    deaf: &AtomicBool,
) -> std::io::Result<()> {
    let (mut has_kind, mut silence_is_due, mut executed) = (false, false, false);
    loop {
        // The first message has no kind, only a length.
        let head_size = 4 + usize::from(has_kind);
        let mut message = vec![0; head_size];
        client.read_exact(&mut message)?;
        let length = u32::from_be_bytes(message[head_size - 4..].try_into().unwrap()) as usize;
        message.resize(head_size - 4 + length, 0);
        client.read_exact(&mut message[head_size..])?;
        let is_commit = has_kind && message[0] == b'Q' && &message[5..] == b"COMMIT\0";
        executed |= has_kind && message[0] == b'E';
        if silence_is_due && executed && message[0] == b'S' {
            let late = plan.lock().unwrap().late.take().unwrap();
            late.recv().unwrap();
            return Ok(());
        }
        has_kind = true;
        let fault = match is_commit {
            true => {
                let mut plan = plan.lock().unwrap();
                plan.commits += 1;
                plan.faults.pop_front().unwrap_or(Fault::None)
            }
            false => Fault::None,
        };
        match fault {
            Fault::None => server.write_all(&message)?,
            Fault::Silence => {
                server.write_all(&message)?;
                (silence_is_due, executed) = (true, false);
            }
            Fault::CommitLost => return Ok(()),
            Fault::AnswerLost => {
                deaf.store(true, Ordering::SeqCst);
                // The other thread closes both ends once the answer is here.
                return server.write_all(&message);
            }
            Fault::CommitLate => {
                deaf.store(true, Ordering::SeqCst);
                client.shutdown(Shutdown::Both)?;
                let late = plan.lock().unwrap().late.take().unwrap();
                late.recv().unwrap();
                return server.write_all(&message);
            }
        }
    }
}
