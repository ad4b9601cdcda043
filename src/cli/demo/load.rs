//! The load: a closed loop of customers, each of whom orders again once the last order has ended, or
//! orders at a fixed rate.
//!
//! It shares its machine with what it measures, so it has to be cheap: one thread, connections that
//! are kept, bodies written by hand, and answers of which only two ids are read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix_web::rt;
use awc::error::PayloadError;
use awc::http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use awc::http::{StatusCode, Uri};
use bytes::{Bytes, BytesMut};
use futures_util::future::try_join_all;
use tokio::time::{sleep, sleep_until};

use super::ends::{self, Ends};
use super::failed;
use super::orders::Profile;
use crate::cli::failure::Failure;
use crate::orders::OrderId;
use crate::ports::bus::Deliveries;
use crate::saga::id::SagaId;

/// Connections to the server. Each takes two file descriptors of this process, which often may have
/// 1,024; more orders than these wait for one while they are sent, which takes one commit.
const CONNECTIONS: usize = 256;

/// How long to wait before an order is sent again whose answer did not come, or that was turned
/// away without a word on when to come back.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// A server that does not answer within this time has lost the request.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// What is to be sent.
#[derive(Debug)]
pub struct Plan {
    /// Where orders are taken.
    pub url: String,
    /// Draws the orders.
    pub profile: Profile,
    /// How many.
    pub orders: u64,
    /// How many may be unfinished at a time.
    pub concurrency: usize,
    /// How long after one order the next is due; none where it is sent once another has ended.
    pub interval: Option<Duration>,
}

/// What was measured.
#[derive(Debug)]
pub struct Measured {
    /// Every order that was accepted.
    pub accepted: Vec<OrderId>,
    /// From just before an order was first sent, or from when it was due, to its end, in
    /// microseconds.
    pub latencies: Vec<u64>,
    /// From just before the first order was sent to the last end.
    pub elapsed: Duration,
}

/// How far it has come, for whoever watches.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

impl Progress {
    /// How many orders have ended.
    pub fn ended(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sends every order and waits for the end of each: the event that its customer was written to,
/// which is the last of every saga.
///
/// The events go on being taken after this returns, for as long as its thread lives: a queue that
/// nobody empties would hold up the marks of the publisher.
///
/// # Errors
/// When an order is refused.
pub async fn run(
    plan: Plan,
    events: Deliveries,
    progress: Arc<Progress>,
) -> Result<Measured, Failure> {
    let url: Uri = plan.url.parse().map_err(|_| failed("the API has no URL"))?;
    let ends = Rc::new(Ends::default());
    let taken = Rc::clone(&ends);
    rt::spawn(async move {
        ends::take(events, Rc::clone(&taken)).await;
        taken.close();
    });
    let connector = awc::Connector::new().limit(CONNECTIONS);
    let http = awc::Client::builder().connector(connector).timeout(ANSWER_WITHIN).finish();
    let customers = plan.concurrency;
    let run = Run {
        plan,
        url,
        http,
        body: RefCell::default(),
        next: Cell::new(0),
        ends,
        progress,
        measured: RefCell::default(),
        started: Instant::now(),
    };
    try_join_all((0..customers).map(|_| run.be_customer())).await?;
    run.ends.close();
    let started = run.started;
    let Log { accepted, latencies, last_end } = run.measured.into_inner();
    if accepted.len() as u64 != run.plan.orders {
        return Err(failed("the events that tell of ends stopped coming"));
    }
    let elapsed = last_end.map_or(Duration::ZERO, |end| end.duration_since(started));
    Ok(Measured { accepted, latencies, elapsed })
}

struct Run {
    plan: Plan,
    url: Uri,
    http: awc::Client,
    /// Bodies are written into here one after another; the memory of those sent is used again.
    body: RefCell<BytesMut>,
    next: Cell<u64>,
    ends: Rc<Ends>,
    progress: Arc<Progress>,
    measured: RefCell<Log>,
    started: Instant,
}

#[derive(Default)]
struct Log {
    accepted: Vec<OrderId>,
    latencies: Vec<u64>,
    last_end: Option<Instant>,
}

/// What came of sending an order.
enum Sent {
    Accepted(OrderId, SagaId),
    /// Not now, or nobody knows; to be sent again under the same key.
    Again(Duration),
}

impl Run {
    async fn be_customer(&self) -> Result<(), Failure> {
        while let Some(n) = self.next_order() {
            let sent = self.due(n).await;
            let (order, saga) = self.submit(n).await?;
            let Some(end) = self.ends.of(saga).await else { return Ok(()) };
            let mut log = self.measured.borrow_mut();
            log.accepted.push(order);
            let latency = end.saturating_duration_since(sent).as_micros();
            log.latencies.push(u64::try_from(latency).unwrap_or(u64::MAX));
            log.last_end = log.last_end.max(Some(end));
            self.progress.0.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until an order is due, and says since when: however late it is sent, its time counts
    /// from then, or a server that stops would be asked less and look better.
    async fn due(&self, n: u64) -> Instant {
        let Some(interval) = self.plan.interval else { return Instant::now() };
        let due = self.started + interval.mul_f64(n as f64);
        sleep_until(due.into()).await;
        due
    }

    fn next_order(&self) -> Option<u64> {
        let n = self.next.get();
        self.next.set(n + 1);
        (n < self.plan.orders).then_some(n)
    }

    async fn submit(&self, n: u64) -> Result<(OrderId, SagaId), Failure> {
        let body = self.body(n)?;
        let key = format!("\"demo-{}-{n}\"", self.plan.profile.seed());
        loop {
            match self.post(&key, body.clone()).await? {
                Sent::Accepted(order, saga) => return Ok((order, saga)),
                Sent::Again(pause) => sleep(pause).await,
            }
        }
    }

    fn body(&self, n: u64) -> Result<Bytes, Failure> {
        let mut body = self.body.borrow_mut();
        let written = self.plan.profile.order(n).write_to(&mut body);
        written.map_err(|_| failed("an order could not be written"))?;
        Ok(body.split().freeze())
    }

    async fn post(&self, key: &str, body: Bytes) -> Result<Sent, Failure> {
        let request = self
            .http
            .post(self.url.clone())
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header(("idempotency-key", key));
        // Without an answer the order may have been accepted or not; its key makes asking safe.
        let Ok(mut response) = request.send_body(body).await else {
            return Ok(Sent::Again(AGAIN_AFTER));
        };
        let status = response.status();
        let pause = retry_after(response.headers());
        let answer: Result<Bytes, PayloadError> = response.body().await;
        let Ok(answer) = answer else { return Ok(Sent::Again(AGAIN_AFTER)) };
        match status {
            StatusCode::ACCEPTED => match ids(&answer) {
                Some((order, saga)) => Ok(Sent::Accepted(order, saga)),
                None => Err(failed("an accepted order has no ids")),
            },
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::CONFLICT => Ok(Sent::Again(pause)),
            status => {
                let answer = String::from_utf8_lossy(&answer);
                Err(failed(format!("an order was answered with {status}: {answer}")))
            }
        }
    }
}

/// 409 is given, too, while the same order is on its way for the first time.
fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    seconds.map_or(AGAIN_AFTER, Duration::from_secs)
}

/// The two ids in the answer to an accepted order.
fn ids(answer: &[u8]) -> Option<(OrderId, SagaId)> {
    Some((OrderId(id(answer, b"\"orderId\":\"")?), SagaId(id(answer, b"\"sagaId\":\"")?)))
}

fn id(answer: &[u8], name: &[u8]) -> Option<uuid::Uuid> {
    let start = answer.windows(name.len()).position(|window| window == name)? + name.len();
    let text = answer.get(start..start + uuid::fmt::Hyphenated::LENGTH)?;
    uuid::Uuid::try_parse_ascii(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_are_read_from_an_answer() {
        let answer = br#"{"orderId":"01890a5d-ac96-774b-bcce-b302099a8057","sagaId":"01890a5d-ac96-774b-bcce-b302099a8058","status":"PENDING"}"#;
        let (order, saga) = ids(answer).unwrap();
        assert_eq!(order.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!(saga.to_string(), "01890a5d-ac96-774b-bcce-b302099a8058");
        for cut in 0..answer.len() - 22 {
            assert_eq!(ids(&answer[..cut]), None, "{cut}");
        }
    }
}
