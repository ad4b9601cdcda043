//! RabbitMQ 3.10 and later, over AMQP 0-9-1.
//!
//! Two connections, one to publish and one to consume, live on a thread of their own and are made
//! anew for as long as the bus exists. Whatever was under way on a lost connection is told as such:
//! receipts as [`Settlement::Unknown`](crate::ports::bus::Settlement::Unknown), consumers by their
//! end. Nothing is retried here but connecting; who publishes and consumes decides.
//!
//! | file | holds |
//! |---|---|
//! | `address` | where a broker is |
//! | `acks` | which acknowledgements to send; pure |
//! | `in_flight` | which messages are confirmed, and which came back; pure |
//! | `refusals` | which destinations get nothing but refusals; pure |
//! | `bundle` | many messages in one; pure |
//! | `wire` | messages as AMQP has them |
//! | `tame` | what comes in, made harmless for the client library |
//! | `topology` | exchanges and queues |
//! | `inspect` | looking at a broker without changing it |
//! | `connection` | one connection: made, watched, made anew |
//! | `publisher` | messages out |
//! | `consumer` | messages in |
//! | `desk` | what is asked of the broker: declarations, consumers, depths |

mod acks;
mod address;
pub mod bundle;
mod connection;
mod consumer;
mod desk;
mod in_flight;
pub mod inspect;
mod publisher;
mod refusals;
mod tame;
mod topology;
pub mod wire;

use std::sync::{Mutex, PoisonError, mpsc as sync};
use std::thread;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

pub use address::{Address, AddressError};
pub use bundle::Bundling;

use crate::panic::AbortOnPanic;
use crate::ports::bus::{Bus, BusError, Deliveries, Outgoing, QueueDepth, QueueSpec, Receipt};
use crate::saga::id::QueueName;
use connection::{Addresses, Dialler, Health, Line, Purpose};
use desk::{Desk, Request, Wanted};
use publisher::{Posting, Postings, Publisher};
use topology::Declared;

/// How long the end of a bus waits for the last acknowledgements to go out and for the broker to take
/// leave. That takes milliseconds; what they were for comes again otherwise.
const STOP: Duration = Duration::from_secs(2);

/// A RabbitMQ broker, or a cluster of them.
#[derive(Debug)]
pub struct RabbitBus {
    postings: Postings,
    requests: mpsc::UnboundedSender<Request>,
    health: Health,
    stopping: watch::Sender<bool>,
    stopped: Mutex<sync::Receiver<()>>,
}

impl RabbitBus {
    /// Connects to any of `addresses` that answers, and declares the exchanges. From then on lost
    /// connections are made anew, to the next that answers. The broker shows the connections under
    /// `name`. Replies travel together, and so do the commands that `bundling` names.
    ///
    /// # Errors
    /// When no broker answers or lets us in; for each the reason, without its password.
    pub async fn connect(
        addresses: Vec<Address>,
        name: &str,
        bundling: Bundling,
    ) -> Result<Self, BusError> {
        let (postings, to_publish) = mpsc::unbounded_channel();
        let (requests, asked) = mpsc::unbounded_channel();
        let (stopping, stop) = watch::channel(false);
        let (tell_stopped, stopped) = sync::channel();
        let (started, start) = oneshot::channel();
        let (health, declared) = (Health::default(), Declared::default());
        let dialler = |purpose| Dialler {
            addresses: Addresses::new(addresses.clone(), fastrand::usize(..)),
            name: name.to_owned(),
            purpose,
            declared: declared.clone(),
            health: health.clone(),
        };
        let connections = Connections {
            publishing: dialler(Purpose::Publishing),
            consuming: dialler(Purpose::Consuming),
            bundling,
            declared,
            to_publish,
            postings: postings.clone(),
            asked,
            stop,
        };
        let run = move || {
            let _guard = AbortOnPanic("bus");
            connections.run(started);
            // Nobody may wait for it.
            let _ = tell_stopped.send(());
        };
        thread::Builder::new()
            .name("skald-bus".to_owned())
            .spawn(run)
            .map_err(|error| BusError::Unavailable(format!("its thread can't start: {error}")))?;
        start.await.unwrap_or_else(|_| Err(ended()))?;
        Ok(Self { postings, requests, health, stopping, stopped: Mutex::new(stopped) })
    }

    fn ask<T: Send + 'static>(
        &self,
        request: impl FnOnce(desk::Reply<T>) -> Request,
    ) -> BoxFuture<'_, Result<T, BusError>> {
        let (reply, answer) = oneshot::channel();
        // A desk that is gone drops the request, and with it the reply.
        let _ = self.requests.send(request(reply));
        Box::pin(async move { answer.await.unwrap_or_else(|_| Err(ended())) })
    }
}

fn ended() -> BusError {
    BusError::Unavailable("its thread has ended; the log says why".to_owned())
}

impl Bus for RabbitBus {
    fn declare(&self, spec: &QueueSpec) -> BoxFuture<'_, Result<(), BusError>> {
        let spec = spec.clone();
        self.ask(|reply| Request::Declare(spec, reply))
    }

    fn publish(&self, outgoing: Outgoing, receipt: Receipt) {
        // If nobody takes it, the receipt says that nobody knows.
        let since = Instant::now();
        let _ = self.postings.send(vec![Posting { outgoing, receipt, since, together: false }]);
    }

    fn publish_all(&self, outgoing: Vec<(Outgoing, Receipt)>) {
        let since = Instant::now();
        let posting = |(outgoing, receipt)| Posting { outgoing, receipt, since, together: true };
        let _ = self.postings.send(outgoing.into_iter().map(posting).collect());
    }

    fn consume_before_others(
        &self,
        queue: &QueueName,
        prefetch: usize,
        priority: i64,
    ) -> BoxFuture<'_, Result<Deliveries, BusError>> {
        let wanted = Wanted { queue: queue.clone(), prefetch, priority };
        self.ask(move |reply| Request::Consume(wanted, reply))
    }

    fn depths(&self) -> BoxFuture<'_, Result<Vec<QueueDepth>, BusError>> {
        self.ask(Request::Depths)
    }

    fn health(&self) -> Result<(), BusError> {
        match self.requests.is_closed() {
            true => Err(ended()),
            false => self.health.check(),
        }
    }
}

impl Drop for RabbitBus {
    /// Sends the acknowledgements that were given, and ends. Takes milliseconds, two seconds at most.
    fn drop(&mut self) {
        self.stopping.send_replace(true);
        let stopped = self.stopped.get_mut().unwrap_or_else(PoisonError::into_inner);
        // An error means that it has ended, or hangs.
        let _ = stopped.recv_timeout(STOP);
    }
}

/// What runs on the bus's thread.
struct Connections {
    publishing: Dialler,
    consuming: Dialler,
    bundling: Bundling,
    declared: Declared,
    to_publish: mpsc::UnboundedReceiver<Vec<Posting>>,
    postings: Postings,
    asked: mpsc::UnboundedReceiver<Request>,
    stop: watch::Receiver<bool>,
}

impl Connections {
    /// Connects, says how that went, and runs until told to stop.
    fn run(self, started: oneshot::Sender<Result<(), BusError>>) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.connect_and_run(started)),
            Err(error) => {
                let error = format!("its runtime can't start: {error}");
                let _ = started.send(Err(BusError::Unavailable(error)));
            }
        }
    }

    async fn connect_and_run(self, started: oneshot::Sender<Result<(), BusError>>) {
        let Self {
            publishing,
            consuming,
            bundling,
            declared,
            to_publish,
            postings,
            asked,
            mut stop,
        } = self;
        let lines = async { Ok((publishing.dial().await?, consuming.dial().await?)) };
        let (to_publish_over, to_consume_over): (Line, Line) = match lines.await {
            Ok(lines) => lines,
            Err(error) => return drop(started.send(Err(error))),
        };
        if started.send(Ok(())).is_err() {
            return;
        }
        let publisher = Publisher::new(publishing, to_publish, bundling.clone(), stop.clone());
        let publishing = tokio::spawn(async {
            let _guard = AbortOnPanic("publisher of the bus");
            publisher.run(to_publish_over).await;
        });
        let desk = Desk::new(consuming, declared, bundling, postings, stop.clone());
        tokio::select! {
            () = desk.clone().run(asked, to_consume_over) => {}
            () = stopped(&mut stop) => {}
        }
        // The publisher and the consumers hear it, too.
        let closed = async { tokio::join!(desk.close(), publishing) };
        let _ = timeout(STOP, closed).await;
    }
}

/// Waits until told to stop. That nobody is left who could tell means the same.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}
