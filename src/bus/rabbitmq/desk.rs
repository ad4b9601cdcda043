//! What is asked of the broker: declarations, consumers, depths.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, Error};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, timeout};

use super::bundle::Bundling;
use super::connection::{Change, Dialler, Line, close};
use super::consumer::{self, Counter, Subscription};
use super::publisher::Postings;
use super::topology::{self, Declared};
use crate::ports::bus::{BusError, DeadLetters, Deliveries, QueueDepth, QueueSpec};
use crate::saga::id::QueueName;

/// How long the broker may take to answer. It takes milliseconds; a quorum queue that is looking for
/// a leader takes seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How often the end looks whether the last consumer is gone.
const GLANCE: Duration = Duration::from_millis(2);

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, BusError>>;

/// What is asked.
pub enum Request {
    /// Declare a queue.
    Declare(QueueSpec, Reply<()>),
    /// Start a consumer.
    Consume(Wanted, Reply<Deliveries>),
    /// Say how the declared queues are doing.
    Depths(Reply<Vec<QueueDepth>>),
}

/// A consumer that is asked for.
pub struct Wanted {
    /// What it consumes.
    pub queue: QueueName,
    /// How many unsettled deliveries it may have.
    pub prefetch: usize,
    /// Those of a lower one get what it has no room for.
    pub priority: i64,
}

/// Answers what is asked, over one connection after the other. Copies share everything.
#[derive(Clone)]
pub struct Desk {
    dialler: Arc<Dialler>,
    declared: Declared,
    bundling: Bundling,
    postings: Postings,
    stopping: watch::Receiver<bool>,
    /// The connection, while there is one.
    connection: Arc<Mutex<Option<Arc<Connection>>>>,
    consumers: Arc<Mutex<Vec<Counter>>>,
}

impl Desk {
    /// A desk without a connection. What its consumers reject goes to `postings`.
    pub fn new(
        dialler: Dialler,
        declared: Declared,
        bundling: Bundling,
        postings: Postings,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let dialler = Arc::new(dialler);
        let (connection, consumers) = Default::default();
        Self { dialler, declared, bundling, postings, stopping, connection, consumers }
    }

    /// Answers over `line`, and over others after it, until nobody can ask any more.
    pub async fn run(self, mut asked: mpsc::UnboundedReceiver<Request>, mut line: Line) {
        let keep_connected = async {
            loop {
                *self.lock_connection() = Some(Arc::clone(&line.connection));
                // What concerns messages out does not concern this connection.
                let cause = loop {
                    if let Change::Lost(cause) = line.change().await {
                        break cause;
                    }
                };
                *self.lock_connection() = None;
                line = self.dialler.dial_again(&cause).await;
            }
        };
        let answer = async {
            while let Some(request) = asked.recv().await {
                tokio::spawn(self.clone().answer(request));
            }
        };
        tokio::select! {
            () = keep_connected => {}
            () = answer => {}
        }
    }

    /// Waits until every consumer is over, and closes the connection.
    pub async fn close(&self) {
        while self.counters().iter().any(|counter| !counter.is_over()) {
            sleep(GLANCE).await;
        }
        let connection = self.lock_connection().take();
        if let Some(connection) = connection {
            close(&connection).await;
        }
    }

    async fn answer(self, request: Request) {
        // Whoever asked may be gone.
        match request {
            Request::Declare(spec, reply) => {
                let _ = reply.send(in_time(self.declare(&spec)).await);
            }
            Request::Consume(wanted, reply) => {
                let _ = reply.send(in_time(self.consume(wanted)).await);
            }
            Request::Depths(reply) => {
                let _ = reply.send(in_time(self.depths()).await);
            }
        }
    }

    async fn declare(&self, spec: &QueueSpec) -> Result<(), BusError> {
        let channel = self.channel().await?;
        topology::declare(&channel, spec).await?;
        topology::close(channel).await;
        self.declared.remember(spec);
        Ok(())
    }

    async fn consume(&self, wanted: Wanted) -> Result<Deliveries, BusError> {
        let started = self.start_consumer(&wanted).await;
        if matches!(started, Err(BusError::NoSuchQueue(_)))
            && let Some(spec) = self.declared.get(&wanted.queue)
        {
            tracing::warn!(queue = %wanted.queue, "a queue is gone; declaring it again");
            self.declare(&spec).await?;
            return self.start_consumer(&wanted).await;
        }
        started
    }

    async fn start_consumer(&self, wanted: &Wanted) -> Result<Deliveries, BusError> {
        let Wanted { queue, prefetch, priority } = wanted;
        let name = topology::queue_name(queue)?;
        let refusal = |error: Error| topology::refusal(queue, &error);
        let channel = self.channel().await?;
        let asking = Asking(Some(channel.clone()));
        // A prefetch of 0 would be none at all.
        let prefetch = (*prefetch).max(1);
        let window = self.bundling.window(queue.as_str(), prefetch);
        let window = u16::try_from(window).unwrap_or(u16::MAX);
        channel.basic_qos(window, BasicQosOptions::default()).await.map_err(refusal)?;
        let (options, mut arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        arguments.insert("x-priority".into(), AMQPValue::LongLongInt(*priority));
        let arrivals = channel.basic_consume(name, "".into(), options, arguments);
        let arrivals = arrivals.await.map_err(refusal)?;
        asking.answered();
        let (deliveries, counter) = consumer::start(Subscription {
            queue: queue.clone(),
            dead_letters: self.dead_letters_of(queue),
            channel,
            arrivals,
            prefetch,
            window,
            postings: self.postings.clone(),
            stopping: self.stopping.clone(),
        });
        self.counters().push(counter);
        Ok(deliveries)
    }

    /// Of a queue that others declared nothing is known; then dead letters are kept.
    fn dead_letters_of(&self, queue: &QueueName) -> DeadLetters {
        self.declared.get(queue).map_or(DeadLetters::Kept, |spec| spec.dead_letters)
    }

    /// How the declared queues are doing. Queues that are gone are left out.
    async fn depths(&self) -> Result<Vec<QueueDepth>, BusError> {
        let mut channel = self.channel().await?;
        let counters = self.counters().clone();
        let mut depths = Vec::new();
        for QueueSpec { name: queue, .. } in self.declared.all() {
            let Some(ready) = topology::ready(&channel, &queue).await? else {
                channel = self.channel().await?;
                continue;
            };
            let mut unsettled = 0;
            // Asked after the queue, so that no message is in neither number.
            for counter in counters.iter().filter(|counter| counter.queue == queue) {
                unsettled += counter.unsettled().await;
            }
            depths.push(QueueDepth { queue, ready, unsettled });
        }
        topology::close(channel).await;
        Ok(depths)
    }

    async fn channel(&self) -> Result<Channel, BusError> {
        let connection = self.lock_connection().clone();
        let Some(connection) = connection else {
            let down = || BusError::Unavailable("the connection is lost".to_owned());
            return Err(self.dialler.health.check().err().unwrap_or_else(down));
        };
        let failed = |error: Error| BusError::Unavailable(error.to_string());
        connection.create_channel().await.map_err(failed)
    }

    fn lock_connection(&self) -> MutexGuard<'_, Option<Arc<Connection>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The consumers that are not over.
    fn counters(&self) -> MutexGuard<'_, Vec<Counter>> {
        let mut counters = self.consumers.lock().unwrap_or_else(PoisonError::into_inner);
        counters.retain(|counter| !counter.is_over());
        counters
    }
}

/// A channel on which a consumer is asked for. If the wait is given up the broker may start it yet, and
/// nobody would settle what it is sent; so the channel is closed then.
struct Asking(Option<Channel>);

impl Asking {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let (Some(channel), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(topology::close(channel));
        }
    }
}

async fn in_time<T>(asking: impl Future<Output = Result<T, BusError>>) -> Result<T, BusError> {
    timeout(ANSWER_WITHIN, asking).await.unwrap_or_else(|_| {
        let seconds = ANSWER_WITHIN.as_secs();
        Err(BusError::Unavailable(format!("the broker did not answer within {seconds} s")))
    })
}
