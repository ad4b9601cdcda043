//! What the server says to one client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use rustls::{ServerConnection, StreamOwned};

use super::{Certificate, Manner, PATIENCE, Protection, Shared, State, Taken};

trait Stream: Read + Write + Send {}
impl<T: Read + Write + Send> Stream for T {}

/// A conversation.
pub struct Session<'a> {
    shared: &'a Shared,
    stream: BufReader<Box<dyn Stream>>,
    is_protected: bool,
}

impl<'a> Session<'a> {
    /// Talks to a client until either has enough.
    pub fn run(shared: &'a Shared, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut plain = Some(stream);
        let stream: Box<dyn Stream> = match &shared.protection {
            Protection::Tls(certificate) => protected(certificate, plain.take()),
            Protection::None | Protection::StartTls(_) => {
                Box::new(plain.as_ref().map(TcpStream::try_clone).unwrap()?)
            }
        };
        let is_protected = plain.is_none();
        let mut session = Self { shared, stream: BufReader::new(stream), is_protected };
        session.answer("CONNECT", "220 sink")?;
        session.converse(plain)
    }

    fn converse(&mut self, mut plain: Option<TcpStream>) -> io::Result<()> {
        // The sender and the recipients of the mail that is being handed over, if one is.
        let (mut from, mut to) = (None, Vec::new());
        loop {
            let line = self.line()?;
            let mark = if self.is_protected { '+' } else { '-' };
            self.shared.state.lock().unwrap().heard.push(format!("{mark}{line}"));
            self.shared.moved.notify_all();
            match line.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => self.answer(&line, &self.greeting())?,
                "STARTTLS" => {
                    self.answer(&line, "220 go on")?;
                    let Protection::StartTls(certificate) = &self.shared.protection else {
                        continue;
                    };
                    self.stream = BufReader::new(protected(certificate, plain.take()));
                    self.is_protected = true;
                }
                "AUTH" => self.answer(&line, "235 welcome")?,
                "MAIL" if from.is_some() => self.say("503 5.5.1 nested MAIL command")?,
                "MAIL" if self.answers(&line, "250 sender")? => from = Some(address(&line)),
                "RSET" => {
                    (from, to) = (None, Vec::new());
                    self.answer(&line, "250 forgotten")?;
                }
                "RCPT" if self.answers(&line, "250 recipient")? => to.push(address(&line)),
                "DATA" if self.answers(&line, "354 go on")? => {
                    let text = self.content()?;
                    let from = from.take().unwrap_or_default();
                    let taken = Taken { from, to: std::mem::take(&mut to), text };
                    self.take(taken)?;
                }
                "MAIL" | "RCPT" | "DATA" => {}
                "QUIT" => return self.answer(&line, "221 bye"),
                _ => self.answer(&line, "250 very well")?,
            }
        }
    }

    fn greeting(&self) -> String {
        let tls = match (&self.shared.protection, self.is_protected) {
            (Protection::StartTls(_), false) => "250-STARTTLS\r\n",
            _ => "",
        };
        format!("250-sink\r\n{tls}250 AUTH PLAIN LOGIN")
    }

    fn take(&mut self, taken: Taken) -> io::Result<()> {
        match self.manner(".")? {
            Some(refusal) => self.say(refusal),
            None => {
                self.shared.state.lock().unwrap().take(taken);
                self.answer("TAKEN", "250 taken")
            }
        }
    }

    /// Answers as usual, or as it was told; returns whether as usual.
    fn answers(&mut self, command: &str, usual: &str) -> io::Result<bool> {
        let told = self.manner(command)?;
        self.say(told.unwrap_or(usual))?;
        Ok(told.is_none())
    }

    fn answer(&mut self, command: &str, usual: &str) -> io::Result<()> {
        self.answers(command, usual).map(drop)
    }

    /// What to say other than the usual. Fails where the conversation is over.
    fn manner(&mut self, command: &str) -> io::Result<Option<&'static str>> {
        let manner = self.shared.state.lock().unwrap().manner(command);
        match manner {
            None => Ok(None),
            Some(Manner::Says(text)) => Ok(Some(text)),
            Some(Manner::Drops) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Manner::Hangs) => {
                io::copy(&mut self.stream, &mut io::sink())?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Some(Manner::Gathers(count)) => Ok(self.gather(count, None)),
            Some(Manner::SaysTogether(text, count)) => Ok(self.gather(count, Some(text))),
        }
    }

    /// Waits for the others, and then says something.
    fn gather(&self, count: usize, then: Option<&'static str>) -> Option<&'static str> {
        let mut state = self.shared.state.lock().unwrap();
        state.gathered += 1;
        self.shared.moved.notify_all();
        let alone = |state: &mut State| state.gathered < count;
        let waited = self.shared.moved.wait_timeout_while(state, PATIENCE, alone).unwrap();
        if waited.1.timed_out() { Some("451 nobody else came") } else { then }
    }

    fn say(&mut self, text: &str) -> io::Result<()> {
        self.stream.get_mut().write_all(format!("{text}\r\n").as_bytes())?;
        self.stream.get_mut().flush()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    }

    fn content(&mut self) -> io::Result<String> {
        let mut text = String::new();
        loop {
            let line = self.line()?;
            if line == "." {
                return Ok(text);
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
            text.push_str("\r\n");
        }
    }
}

fn protected(certificate: &Certificate, plain: Option<TcpStream>) -> Box<dyn Stream> {
    let connection = ServerConnection::new(Arc::clone(&certificate.config)).unwrap();
    Box::new(StreamOwned::new(connection, plain.expect("TLS once")))
}

fn address(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.to_owned()
}
