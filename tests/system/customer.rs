//! Customers that order one thing after another and note what they were told.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::until::until;

/// What all customers share.
#[derive(Default)]
pub struct Log {
    /// Orders that were answered with 202: the key and the order's id.
    pub accepted: Mutex<Vec<(String, String)>>,
    /// Orders that the customer was told are not going to be.
    pub cancelled: Mutex<Vec<String>>,
    /// Keys whose answer never came, to be sent again.
    unknown: Mutex<Vec<(String, String)>>,
    pub count: AtomicUsize,
    /// How long each customer thinks between two orders.
    thinks: Duration,
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Log {
    /// Of customers that think for so long between two orders.
    pub fn of_slow_customers(thinks: Duration) -> Arc<Self> {
        Arc::new(Self { thinks, ..Self::default() })
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub fn go_on(&self) {
        self.stop.store(false, Ordering::SeqCst);
    }

    /// Waits for the `n`th order that was accepted; none once all is over.
    pub fn nth_accepted(&self, n: usize) -> Option<String> {
        while !self.stop.load(Ordering::SeqCst) {
            if let Some((_, order)) = self.accepted.lock().unwrap().get(n) {
                return Some(order.clone());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
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
                std::thread::sleep(log.thinks);
            }
            Ok((503 | 409, _)) => {
                log.unknown.lock().unwrap().push((key, body));
                // It says to come back in a second or two; a test has more haste.
                std::thread::sleep(Duration::from_millis(20));
            }
            Ok((status, answer)) => panic!("{status}: {answer}"),
            Err(_) => {
                log.unknown.lock().unwrap().push((key, body));
                return;
            }
        }
    }
}

/// Orders from one node or another until told to stop.
pub fn order_anywhere(
    nodes: &Mutex<Vec<SocketAddr>>,
    first: usize,
    log: &Arc<Log>,
    products: usize,
) {
    let mut turn = first;
    while !log.stop.load(Ordering::SeqCst) {
        let node = {
            let nodes = nodes.lock().unwrap();
            nodes[turn % nodes.len()]
        };
        order_on(node, log, products);
        turn += 1;
        // A node that is not there is not asked in a busy loop.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Puts goods on the shelves: enough of most, too little of some.
pub fn stock_up(address: SocketAddr, products: usize) {
    let mut connection = Connection::open(address).unwrap();
    for product in 0..products {
        let on_hand = if product % 8 == 0 { 20 } else { 1_000_000 };
        let path = format!("/v1/inventory/products/p{product}");
        let (status, body) =
            connection.send("PUT", &path, "", &format!(r#"{{"onHand":{on_hand}}}"#)).unwrap();
        assert!(status < 300, "{status}: {body}");
    }
}

/// Asks again for every order whose answer never came, and waits until all sagas have ended and every
/// event is confirmed.
pub fn finish(address: SocketAddr, log: &Arc<Log>, products: usize) {
    log.go_on();
    std::thread::scope(|scope| {
        scope.spawn(|| order_on(address, log, products));
        until("no order's fate is unknown", || log.unknown() == 0);
        log.stop();
    });
    let mut connection = Connection::open(address).unwrap();
    let mut stats = |is: &dyn Fn(serde_json::Value) -> bool| {
        // Where much is to be caught up with, there is a 503 now and then.
        let (status, body) = connection.send("GET", "/v1/stats", "", "").unwrap();
        assert!([200, 503].contains(&status), "{status}: {body}");
        status == 200 && is(serde_json::from_str(&body).unwrap())
    };
    until("all sagas have ended", || stats(&|stats| unfinished(&stats) == 0));
    until("every event is confirmed", || stats(&|stats| stats["lag"]["events"] == 0));
}

/// How many sagas have not ended.
pub fn unfinished(stats: &serde_json::Value) -> u64 {
    let unfinished = ["RUNNING", "ROLLING_BACK", "NEEDS_ATTENTION"];
    unfinished.iter().map(|status| stats["sagas"][status].as_u64().unwrap_or(0)).sum()
}

/// The answer to a request.
pub struct Answer {
    pub status: u16,
    /// By name, in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
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
        self.ask(method, path, headers, body).map(|answer| (answer.status, answer.body))
    }

    /// Sends a request and returns the answer.
    pub fn ask(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<Answer> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{headers}\r\n{body}",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut headers = BTreeMap::new();
        loop {
            let header = self.line()?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(Ok(0), |length| length.parse());
        let mut body = vec![0; length.map_err(io::Error::other)?];
        self.stream.read_exact(&mut body)?;
        let body = String::from_utf8(body).map_err(io::Error::other)?;
        Ok(Answer { status, headers, body })
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
