//! PostgreSQL's messages: where a COMMIT is.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Fault, Shared, Way};

/// Whether the client hears nothing any more.
#[derive(Default)]
pub struct Deaf(AtomicBool);

impl Deaf {
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Passes answers on until there is one that must not be heard.
pub fn backward(
    mut server: &TcpStream,
    mut client: &TcpStream,
    shared: &Shared,
    deaf: &Deaf,
) -> io::Result<()> {
    let mut buffer = [0; 65_536];
    loop {
        let size = server.read(&mut buffer)?;
        if size == 0 || deaf.is_set() {
            return Ok(());
        }
        shared.pass(Way::ToClient);
        client.write_all(&buffer[..size])?;
    }
}

/// Passes messages on to the server until a fault or the end.
pub fn forward(
    mut client: &TcpStream,
    mut server: &TcpStream,
    shared: &Shared,
    deaf: &Deaf,
) -> io::Result<()> {
    // Whether a transaction was begun, and a statement executed in it.
    let (mut has_kind, mut begun, mut executed) = (false, false, false);
    loop {
        // The first message has no kind, only a length.
        let head_size = 4 + usize::from(has_kind);
        let mut message = vec![0; head_size];
        client.read_exact(&mut message)?;
        let length = u32::from_be_bytes(message[head_size - 4..].try_into().unwrap()) as usize;
        message.resize(head_size - 4 + length, 0);
        client.read_exact(&mut message[head_size..])?;
        let is_commit = has_kind && message[0] == b'Q' && &message[5..] == b"COMMIT\0";
        match message[0] {
            b'Q' if has_kind => (begun, executed) = (message[5..].starts_with(b"BEGIN"), false),
            b'E' if has_kind => executed = begun,
            _ => {}
        }
        let is_synced = executed && message[0] == b'S';
        if is_synced && shared.silence_is_due.swap(false, Ordering::SeqCst) {
            shared.wait_until_let_go();
            return Ok(());
        }
        has_kind = true;
        shared.pass(Way::ToServer);
        let fault = if is_commit { shared.fate() } else { Fault::None };
        match fault {
            Fault::None => server.write_all(&message)?,
            Fault::Silence => {
                server.write_all(&message)?;
                shared.silence_is_due.store(true, Ordering::SeqCst);
            }
            Fault::CommitLost => return Ok(()),
            Fault::AnswerLost => {
                deaf.set();
                // The other thread closes both ends once the answer is here.
                return server.write_all(&message);
            }
            Fault::CommitLate => {
                deaf.set();
                client.shutdown(Shutdown::Both)?;
                shared.wait_until_let_go();
                return server.write_all(&message);
            }
        }
    }
}
