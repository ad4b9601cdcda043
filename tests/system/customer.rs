//! Customers that order one thing after another and note what they were told.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What all customers share.
#[derive(Default)]
pub struct Log {
    /// Orders that were answered with 202: the key and the order's id.
    pub accepted: Mutex<Vec<(String, String)>>,
    /// Keys whose answer never came, to be sent again.
    unknown: Mutex<Vec<(String, String)>>,
    pub count: AtomicUsize,
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Log {
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub fn go_on(&self) {
        self.stop.store(false, Ordering::SeqCst);
    }

    /// Orders whose answer never came.
    pub fn unknown(&self) -> usize {
        self.unknown.lock().unwrap().len()
    }

    /// The next order: one whose outcome is unknown, or a new one.
    fn next_order(&self, products: usize) -> (String, String) {
        if let Some(order) = self.unknown.lock().unwrap().pop() {
            return order;
        }
        let n = self.next.fetch_add(1, Ordering::SeqCst);
        let (first, second) = (n % products, (n * 7 + 3) % products);
        let body = format!(
            r#"{{"userId":"user-{n}","email":"user-{n}@example.org","items":[{{"productId":"p{first}","quantity":{},"price":9.99}},{{"productId":"p{second}","quantity":1,"price":0.5}}]}}"#,
            n % 4 + 1
        );
        (format!("key-{n}"), body)
    }
}

/// Orders until told to stop or until the connection breaks.
pub fn order_on(address: SocketAddr, log: &Arc<Log>, products: usize) {
    let Ok(mut connection) = Connection::open(address) else { return };
    while !log.stop.load(Ordering::SeqCst) {
        let (key, body) = log.next_order(products);
        let headers = format!("Idempotency-Key: \"{key}\"\r\n");
        match connection.send("POST", "/v1/orders", &headers, &body) {
            Ok((202, answer)) => {
                let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
                let id = answer["orderId"].as_str().unwrap().to_owned();
                log.accepted.lock().unwrap().push((key, id));
                log.count.fetch_add(1, Ordering::SeqCst);
            }
            Ok((503 | 409, _)) => log.unknown.lock().unwrap().push((key, body)),
            Ok((status, answer)) => panic!("{status}: {answer}"),
            Err(_) => {
                log.unknown.lock().unwrap().push((key, body));
                return;
            }
        }
    }
}

/// One HTTP/1.1 connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Connection {
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host: address })
    }

    /// Sends a request and returns the status and the body of the answer.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<(u16, String)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut length = 0;
        loop {
            let header = self.line()?.to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8(body).map_err(io::Error::other)?))
    }

    /// Gets a JSON document that must be there.
    pub fn get(&mut self, path: &str) -> serde_json::Value {
        let (status, body) = self.send("GET", path, "", "").unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
