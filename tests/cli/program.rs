//! Running the program.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The program, in `folder`, with nothing of this process's environment but where temporary files go.
pub fn skald(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_skald"));
    command.args(arguments).current_dir(folder).env_clear().env("TMPDIR", folder);
    command
}

/// Runs the program in an empty folder to its end.
pub fn run(arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), arguments)
}

/// Runs a command to its end, which must come.
pub fn finish(mut command: Command) -> Ended {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = child.id().to_string();
    let (ended, output) = channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    match output.recv_timeout(PATIENCE) {
        Ok(output) => Ended::of(output.unwrap()),
        Err(_) => {
            Command::new("kill").args(["-KILL", &id]).status().unwrap();
            panic!("{command:?} does not end");
        }
    }
}

/// Runs the program in `folder` to its end.
pub fn run_in(folder: &Path, arguments: &[&str]) -> Ended {
    finish(skald(folder, arguments))
}

/// A run of the program that is over.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("no signal"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The one JSON value on standard output.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A run of the program that goes on until it is told to stop, or dropped.
pub struct Going {
    child: Child,
    err: Receiver<String>,
    pub url: String,
    /// Goes when this does.
    folder: Option<TempDir>,
}

impl Going {
    /// Serves in an empty folder of its own.
    pub fn serve() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = skald(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        let mut going = Self::start(command);
        going.folder = Some(folder);
        going
    }

    /// Starts a command that prints where its dashboard is.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, err) = channel();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| lines.send(line))
        });
        let mut going = Self { child, err, url: String::new(), folder: None };
        let line = going.line_with("http://");
        let (_, rest) = line.split_once("http://").unwrap();
        let authority: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || ".:".contains(*c)).collect();
        going.url = format!("http://{authority}");
        going
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The next line on standard error that contains `text`.
    pub fn line_with(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            match self.err.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) if line.contains(text) => return line,
                Ok(line) => seen.push(line),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("no line with {text:?} in {seen:#?}")
                }
            }
        }
    }

    /// Asks it to stop and waits until it did; returns the exit code and standard output.
    pub fn stop(mut self) -> (Option<i32>, String) {
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(asked.unwrap().success());
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (self.child.wait().unwrap().code(), out)
    }

    /// Sends a request over a connection of its own; returns status and body.
    pub fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let authority = self.url.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(authority).unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        write!(
            connection,
            "{method} {path} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }

    /// Reads JSON.
    pub fn get(&self, path: &str) -> Value {
        let (status, body) = self.request("GET", path, "", "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Submits an order for one piece of `product` and waits for the end of its saga.
    pub fn order(&self, product: &str) -> Value {
        let body = format!(
            r#"{{"userId":"u","email":"u@example.com","items":[{{"productId":"{product}","quantity":1,"price":5}}]}}"#
        );
        let (status, body) = self.request("POST", "/v1/orders", "prefer: wait=30\r\n", &body);
        assert_eq!(status, 200, "{body}");
        let order: Value = serde_json::from_str(&body).unwrap();
        let saga = format!("/v1/sagas/{}", order["sagaId"].as_str().unwrap());
        eventually("the saga ends", || {
            ["COMPLETED", "CANCELLED"].contains(&self.get(&saga)["status"].as_str().unwrap())
        });
        order
    }
}

/// Answers one request; returns where, and what the request will have been.
pub fn answer_once(status: &'static str, answer: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        connection.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = String::new();
        while !is_whole(&request) {
            let mut part = [0; 4096];
            let length = connection.read(&mut part).unwrap();
            assert_ne!(length, 0, "the request is cut off: {request}");
            request.push_str(std::str::from_utf8(&part[..length]).unwrap());
        }
        let length = answer.len();
        write!(connection, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}")
            .unwrap();
        request
    });
    (url, asked)
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.map_or(0, |length| length.parse().unwrap()) == body.len()
}

/// Waits until something is so.
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not so after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        // Either may fail only because it is over.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
