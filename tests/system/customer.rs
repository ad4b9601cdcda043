//! Customers that order one thing after another and note what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use uuid::Uuid;

use crate::until::until;

/// What is known of an order's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was accepted, and whoever ordered was told.
    Accepted,
    /// An answer never came: it may have been accepted or not.
    InDoubt,
    /// Whenever it was asked for, the answer was that nothing was done.
    Refused,
}

/// An order as it was submitted, however often.
#[derive(Clone, Debug)]
pub struct Submission {
    pub key: String,
    /// Orders nothing else.
    pub user: String,
    pub items: BTreeMap<String, i64>,
    pub fate: Fate,
    /// The ids that were told.
    pub told: BTreeSet<Uuid>,
    body: String,
}

/// What was promised or shown of an order: its id, its status, and on which occasion. No such status
/// ever changes.
pub type Promise = (Uuid, &'static str, &'static str);

/// What all customers share.
#[derive(Default)]
pub struct Log {
    /// By their numbers.
    submissions: Mutex<Vec<Submission>>,
    /// Orders that were accepted, in this order.
    accepted: Mutex<Vec<Uuid>>,
    promises: Mutex<Vec<Promise>>,
    /// Those to be sent again.
    again: Mutex<Vec<usize>>,
    pub count: AtomicUsize,
    /// How long each customer thinks between two orders.
    thinks: Duration,
    stop: AtomicBool,
}

/// One in so many customers who got no answer never asks again.
const ONE_GIVES_UP_IN: usize = 7;
/// One in so many sends an order again that was accepted.
const ONE_REPEATS_IN: usize = 11;

impl Log {
    /// Of customers that think for so long between two orders.
    pub fn of_slow_customers(thinks: Duration) -> Arc<Self> {
        Arc::new(Self { thinks, ..Self::default() })
    }

    /// Stops the customers once it is dropped, also where a test fails: they would order for ever.
    pub fn stopping(&self) -> Stopping<'_> {
        Stopping(self)
    }

    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    pub fn go_on(&self) {
        self.stop.store(false, Ordering::SeqCst);
    }

    pub fn is_over(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// Everything that was ever submitted.
    pub fn submissions(&self) -> MutexGuard<'_, Vec<Submission>> {
        self.submissions.lock().unwrap()
    }

    pub fn promises(&self) -> MutexGuard<'_, Vec<Promise>> {
        self.promises.lock().unwrap()
    }

    pub fn promise(&self, order: Uuid, status: &'static str, occasion: &'static str) {
        self.promises().push((order, status, occasion));
    }

    /// Waits for the `n`th order that was accepted; none once all is over.
    pub fn nth_accepted(&self, n: usize) -> Option<Uuid> {
        while !self.is_over() {
            if let Some(order) = self.accepted.lock().unwrap().get(n) {
                return Some(*order);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        None
    }

    /// Orders that somebody is going to ask for again.
    pub fn to_be_repeated(&self) -> usize {
        self.again.lock().unwrap().len()
    }

    /// The next order: one to be repeated, or a new one; its number, key and body.
    pub fn next_order(&self, products: usize) -> (usize, String, String) {
        let mut submissions = self.submissions();
        let n = self.again.lock().unwrap().pop().unwrap_or(submissions.len());
        if n == submissions.len() {
            submissions.push(submission(n, products));
        }
        let Submission { key, body, .. } = &submissions[n];
        (n, key.clone(), body.clone())
    }

    /// Notes that an order was accepted.
    pub fn note(&self, n: usize, answer: &str) {
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        let id = answer["orderId"].as_str().unwrap().parse().unwrap();
        let submission = &mut self.submissions()[n];
        submission.fate = Fate::Accepted;
        if submission.told.insert(id) {
            self.accepted.lock().unwrap().push(id);
            self.count.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Notes that nobody knows whether an order was accepted.
    fn doubt(&self, n: usize) {
        let submission = &mut self.submissions()[n];
        if submission.fate == Fate::Refused {
            submission.fate = Fate::InDoubt;
        }
    }

    /// Has somebody ask again, unless this is one who gives up.
    fn ask_again(&self, n: usize) {
        let gives_up =
            n.is_multiple_of(ONE_GIVES_UP_IN) && self.submissions()[n].fate == Fate::InDoubt;
        if !gives_up {
            self.again.lock().unwrap().push(n);
        }
    }
}

/// Stops customers when it goes.
pub struct Stopping<'a>(&'a Log);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// The `n`th order.
fn submission(n: usize, products: usize) -> Submission {
    let (first, second) = (n % products, (n * 7 + 3) % products);
    let (user, quantity) = (format!("user-{n}"), n % 4 + 1);
    let body = format!(
        r#"{{"userId":"{user}","email":"{user}@example.org","items":[{{"productId":"p{first}","quantity":{quantity},"price":9.99}},{{"productId":"p{second}","quantity":1,"price":0.5}}]}}"#
    );
    let mut items = BTreeMap::from([(format!("p{first}"), quantity as i64)]);
    *items.entry(format!("p{second}")).or_default() += 1;
    Submission {
        key: format!("key-{n}"),
        user,
        items,
        fate: Fate::Refused,
        told: BTreeSet::new(),
        body,
    }
}

/// Orders until told to stop or until the connection breaks.
pub fn order_on(address: SocketAddr, log: &Log, products: usize) {
    let Ok(mut connection) = Connection::open(address) else { return };
    while !log.is_over() {
        let (n, key, body) = log.next_order(products);
        let headers = format!("Idempotency-Key: \"{key}\"\r\n");
        let mut submit = || connection.send("POST", "/v1/orders", &headers, &body);
        match submit() {
            Ok((202, answer)) => {
                log.note(n, &answer);
                if n.is_multiple_of(ONE_REPEATS_IN) {
                    match submit() {
                        Ok((202, answer)) => log.note(n, &answer),
                        Ok((408, _)) => return,
                        Ok((status, answer)) => assert!([503, 409].contains(&status), "{answer}"),
                        // An answer that comes late must not be taken for the next one's.
                        Err(_) => return,
                    }
                }
                std::thread::sleep(log.thinks);
            }
            Ok((503 | 409, answer)) => {
                if answer.contains("OUTCOME_UNKNOWN") {
                    log.doubt(n);
                }
                log.ask_again(n);
                // It says to come back in a second or two; a test has more haste.
                std::thread::sleep(Duration::from_millis(20));
            }
            // A node that was suspended found the request too late, did nothing, and hangs up.
            Ok((408, _)) => {
                log.ask_again(n);
                return;
            }
            Ok((status, answer)) => panic!("{status}: {answer}"),
            Err(_) => {
                log.doubt(n);
                log.ask_again(n);
                return;
            }
        }
    }
}

/// Orders from one node or another until told to stop.
pub fn order_anywhere(nodes: &Mutex<Vec<SocketAddr>>, first: usize, log: &Log, products: usize) {
    let mut turn = first;
    while !log.is_over() {
        if let Some(node) = one_of(nodes, turn) {
            order_on(node, log, products);
        }
        turn += 1;
        // A node that is not there is not asked in a busy loop.
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One of the nodes that there are, another one each turn.
pub fn one_of(nodes: &Mutex<Vec<SocketAddr>>, turn: usize) -> Option<SocketAddr> {
    let nodes = nodes.lock().unwrap();
    nodes.get(turn % nodes.len().max(1)).copied()
}

/// How many of a product there are: enough of most, too little of some.
pub fn on_hand(product: usize) -> i64 {
    if product.is_multiple_of(8) { 20 } else { 1_000_000 }
}

/// Puts goods on the shelves.
pub fn stock_up(address: SocketAddr, products: usize) {
    let mut connection = Connection::open(address).unwrap();
    for product in 0..products {
        let on_hand = on_hand(product);
        let path = format!("/v1/inventory/products/p{product}");
        let (status, body) =
            connection.send("PUT", &path, "", &format!(r#"{{"onHand":{on_hand}}}"#)).unwrap();
        assert!(status < 300, "{status}: {body}");
    }
}

/// Asks again for every order whose answer never came, and waits until all sagas have ended and every
/// event is confirmed.
pub fn finish(address: SocketAddr, log: &Log, products: usize) {
    log.go_on();
    std::thread::scope(|scope| {
        scope.spawn(|| order_on(address, log, products));
        until("nobody has to ask again", || log.to_be_repeated() == 0);
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
