//! A stretch of network between a client and its server, which can break in every way that a network can.

// No test program uses all of it.
#![allow(dead_code)]

mod amqp;
mod postgres;

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What is spoken, and so where the answer is that everything depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// The answer to a COMMIT.
    Postgres,
    /// The broker's confirmation of a message.
    Amqp,
    /// No answer is more than bytes.
    Opaque,
}

/// What happens to an answer on which everything depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// It is done, but nobody hears of it.
    AnswerLost,
    /// The COMMIT is never heard of.
    CommitLost,
    /// The client is cut off, and the COMMIT arrives once it is [let go](Proxy::let_go).
    CommitLate,
    /// In the transaction after the COMMIT the client falls silent after the first statement, without
    /// a word on whether more follows, until it is [let go](Proxy::let_go): as a suspended process does.
    Silence,
}

/// The way that bytes take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToServer,
    ToClient,
}

struct Plan {
    faults: VecDeque<Fault>,
    answers: u32,
    lost: u32,
    late: Option<Receiver<()>>,
}

#[derive(Default)]
struct Weather {
    refuses: bool,
    delay: Duration,
    silent: [bool; 2],
    drops_confirms: bool,
    /// Over connections with a lower number every confirmation becomes a refusal.
    refuses_below: u64,
}

struct Shared {
    server: Mutex<SocketAddr>,
    weather: Mutex<Weather>,
    changed: Condvar,
    plan: Mutex<Plan>,
    open: Mutex<BTreeMap<u64, [TcpStream; 2]>>,
    /// Whether the next transaction, over whichever connection, falls silent.
    silence_is_due: AtomicBool,
}

/// The proxy.
pub struct Proxy {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    late: Sender<()>,
}

impl Proxy {
    /// One in front of the PostgreSQL of this URL; tells the URL of the same database through it.
    pub fn before(url: &str) -> (Self, String) {
        let proxy = Self::to(address_of(url), Wire::Postgres);
        let through = proxy.url(url);
        let path = through.split('?').next().unwrap();
        let url = format!("{path}?sslmode=disable&gssencmode=disable");
        (proxy, url)
    }

    /// One in front of a server.
    pub fn to(server: SocketAddr, wire: Wire) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (late, receiver) = channel();
        let plan = Plan { faults: VecDeque::new(), answers: 0, lost: 0, late: Some(receiver) };
        let shared = Arc::new(Shared {
            server: Mutex::new(server),
            weather: Mutex::default(),
            changed: Condvar::new(),
            plan: Mutex::new(plan),
            open: Mutex::default(),
            silence_is_due: AtomicBool::default(),
        });
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for (id, client) in (0..).zip(listener.incoming()) {
                // Who can't be served finds the connection closed.
                let _ = client.and_then(|client| connect(&serving, id, client, wire));
            }
        });
        Self { address, shared, late }
    }

    /// The same URL through this proxy.
    pub fn url(&self, url: &str) -> String {
        url.replacen(&address_of(url).to_string(), &self.address.to_string(), 1)
    }

    /// The server is somewhere else from now on.
    pub fn leads_to(&self, server: SocketAddr) {
        *self.shared.server.lock().unwrap() = server;
    }

    /// Breaks every connection that there is.
    pub fn cut(&self) {
        for [client, server] in self.shared.open.lock().unwrap().values() {
            // It fails only where an end was faster.
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Whether connections are refused; those that there are go on.
    pub fn refuse(&self, refuses: bool) {
        self.change(|weather| weather.refuses = refuses);
    }

    /// How long everything takes to pass.
    pub fn delay(&self, delay: Duration) {
        self.change(|weather| weather.delay = delay);
    }

    /// Whether nothing passes that way, not even the news that an end is gone. What was sent arrives
    /// afterwards, unless the connection is cut.
    pub fn silence(&self, way: Way, is_silent: bool) {
        self.change(|weather| weather.silent[way as usize] = is_silent);
    }

    /// Whether the broker's confirmations vanish, and nothing else does.
    pub fn drop_confirms(&self, drops: bool) {
        self.change(|weather| weather.drops_confirms = drops);
    }

    /// From now on the broker seems to refuse all that it is sent over the connections that there are
    /// now. It takes it, in truth, and what it is sent over later ones is not touched.
    pub fn refuse_over_what_is_open(&self) {
        let last = self.shared.open.lock().unwrap().keys().next_back().copied();
        self.change(|weather| weather.refuses_below = last.map_or(0, |last| last + 1));
    }

    /// Plans what the next answers on which everything depends meet.
    pub fn plan(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.plan.lock().unwrap().faults.extend(faults);
    }

    /// Forgets what is planned.
    pub fn relent(&self) {
        self.shared.plan.lock().unwrap().faults.clear();
    }

    /// How many COMMITs or confirmations came this way.
    pub fn answers(&self) -> u32 {
        self.shared.plan.lock().unwrap().answers
    }

    /// How many of them were lost, or became refusals.
    pub fn lost(&self) -> u32 {
        self.shared.plan.lock().unwrap().lost
    }

    /// How many of the planned faults have not happened.
    pub fn left(&self) -> usize {
        self.shared.plan.lock().unwrap().faults.len()
    }

    /// Lets the COMMIT that is late arrive.
    pub fn let_go(&self) {
        self.late.send(()).unwrap();
    }

    fn change(&self, change: impl FnOnce(&mut Weather)) {
        change(&mut self.shared.weather.lock().unwrap());
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// Waits until something may pass this way.
    fn pass(&self, way: Way) {
        let weather = self.weather.lock().unwrap();
        let silent = |weather: &mut Weather| weather.silent[way as usize];
        let delay = self.changed.wait_while(weather, silent).unwrap().delay;
        thread::sleep(delay);
    }

    /// What happens to the answer that comes now.
    fn fate(&self) -> Fault {
        let mut plan = self.plan.lock().unwrap();
        plan.answers += 1;
        let fault = plan.faults.pop_front().unwrap_or(Fault::None);
        plan.lost += u32::from(fault != Fault::None);
        fault
    }

    /// Waits until what is late may arrive.
    fn wait_until_let_go(&self) {
        let late = self.plan.lock().unwrap().late.take().unwrap();
        late.recv().unwrap();
    }
}

/// Where a URL with a user leads.
pub fn address_of(url: &str) -> SocketAddr {
    let (_, rest) = url.split_once("://").unwrap();
    let (_, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    rest.split(['/', '?']).next().unwrap().parse().unwrap()
}

fn connect(shared: &Arc<Shared>, id: u64, client: TcpStream, wire: Wire) -> io::Result<()> {
    if shared.weather.lock().unwrap().refuses {
        return Ok(());
    }
    let server = TcpStream::connect(*shared.server.lock().unwrap())?;
    let ends = [client, server];
    for end in &ends {
        end.set_nodelay(true)?;
    }
    let copy = |ends: &[TcpStream; 2]| io::Result::Ok([ends[0].try_clone()?, ends[1].try_clone()?]);
    shared.open.lock().unwrap().insert(id, copy(&ends)?);
    let (there, back) = (copy(&ends)?, ends);
    let sharing = Arc::clone(shared);
    let deaf = Arc::new(postgres::Deaf::default());
    let hears_nothing = Arc::clone(&deaf);
    thread::spawn(move || {
        let [client, server] = &there;
        // An end that is gone is news, too.
        let _ = match wire {
            Wire::Postgres => postgres::forward(client, server, &sharing, &deaf),
            Wire::Amqp | Wire::Opaque => copy_all(client, server, &sharing, Way::ToServer),
        };
        sharing.pass(Way::ToServer);
        let _ = client.shutdown(Shutdown::Both);
        if !deaf.is_set() {
            let _ = server.shutdown(Shutdown::Both);
        }
    });
    let sharing = Arc::clone(shared);
    thread::spawn(move || {
        let [client, server] = &back;
        let _ = match wire {
            Wire::Amqp => amqp::backward(server, client, id, &sharing),
            Wire::Postgres => postgres::backward(server, client, &sharing, &hears_nothing),
            Wire::Opaque => copy_all(server, client, &sharing, Way::ToClient),
        };
        sharing.pass(Way::ToClient);
        let _ = client.shutdown(Shutdown::Both);
        let _ = server.shutdown(Shutdown::Both);
        sharing.open.lock().unwrap().remove(&id);
    });
    Ok(())
}

/// Passes everything on until an end is gone.
fn copy_all(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared, way: Way) -> io::Result<()> {
    let mut buffer = [0; 65_536];
    loop {
        let size = from.read(&mut buffer)?;
        if size == 0 {
            return Ok(());
        }
        shared.pass(way);
        to.write_all(&buffer[..size])?;
    }
}
