//! Runs a worker on its queue.
//!
//! One batch is at work at a time; while it commits, the next gathers. Replies do not hold it up:
//! they are confirmed in the background, and only then their commands acknowledged. So a command is
//! lost in no case. If the process dies before its commit, the command comes again and is done; if
//! it dies after it, the command comes again and is answered from the record.
//!
//! | file | holds |
//! |---|---|
//! | `batch` | what is done with a batch, on a blocking thread |
//! | `replies` | replies on their way |

pub mod batch;
pub mod replies;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::OptionFuture;
use metrics::{Histogram, histogram};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use batch::{Done, next_batch, work};
use replies::Replies;

use super::worker::Worker;
use crate::failpoint;
use crate::ports::Clock;
use crate::ports::bus::{Bus, BusError, Deliveries, Delivery};
use crate::ports::spans::Spans;
use crate::saga::id::QueueName;

/// How long a stop waits for the batch at work and for its replies. A batch takes milliseconds, and a
/// statement five seconds at most; what is not done by then comes again at the next start.
const STOP: Duration = Duration::from_secs(8);

/// How long to wait before a lost consumer is renewed.
const RENEWAL: Duration = Duration::from_secs(1);

/// A worker on its queue.
pub struct Runtime<W> {
    /// Who does the commands.
    pub worker: Arc<W>,
    /// Where they come from.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where spans go.
    pub spans: Spans,
    /// How many commands are done in one transaction at most.
    pub batch_size: usize,
    /// How many commands are held unsettled at most: at work, gathering, or waiting for their
    /// replies to be confirmed.
    pub prefetch: usize,
}

impl<W: Worker> Runtime<W> {
    /// The same with smaller batches, where `most` commands are all that the worker can do in a
    /// short time. It holds no more than the next batch beside the one at work: the others are
    /// better off with another worker.
    #[must_use]
    pub fn with_batches_of(self, most: usize) -> Self {
        let batch_size = self.batch_size.min(most);
        let prefetch = if batch_size < self.batch_size {
            self.prefetch.min(2 * batch_size)
        } else {
            self.prefetch
        };
        Self { batch_size, prefetch, ..self }
    }

    /// Runs until `stop` holds true or its sender is gone, then finishes what is at work: what was
    /// committed is answered and acknowledged, what was not goes back to its queue. Takes at most
    /// eight seconds for that. A queue that can't be consumed is tried for ever: whatever is wrong with
    /// it, once it is repaired nobody has to think of the worker.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let queue = self.worker.queue();
        while !*stop.borrow() {
            match self.bus.consume(&queue, self.prefetch).await {
                Ok(deliveries) => self.consume(deliveries, &mut stop).await,
                Err(error @ BusError::Unavailable(_)) => {
                    tracing::warn!(%queue, %error, "commands can't be consumed");
                }
                Err(error) => tracing::error!(%queue, %error, "commands can't be consumed"),
            }
            tokio::select! {
                () = stopped(&mut stop) => break,
                () = sleep(RENEWAL) => {}
            }
        }
    }

    /// Works until told to stop or until the consumer is over.
    async fn consume(&self, mut deliveries: Deliveries, stop: &mut watch::Receiver<bool>) {
        let mut replies =
            Replies::new(Arc::clone(&self.bus), self.spans.clone(), Arc::clone(&self.clock));
        let meters = BatchMeters::of(&self.worker.queue());
        let mut arrived = Vec::new();
        let mut waiting = VecDeque::new();
        let mut at_work = None;
        // Looked at each time: whatever else is ready, no batch is begun after the word to stop.
        while !*stop.borrow() {
            if at_work.is_none() && !waiting.is_empty() {
                at_work = Some(self.start(next_batch(&mut waiting), meters.clone()));
            }
            tokio::select! {
                () = stopped(stop) => break,
                count = deliveries.recv_many(&mut arrived, self.batch_size), if at_work.is_none() => {
                    if count == 0 {
                        break;
                    }
                    waiting.extend(arrived.drain(..));
                }
                Some(done) = OptionFuture::from(at_work.as_mut()) => {
                    at_work = None;
                    answer(&mut replies, done);
                }
                () = replies.proceed(), if !replies.is_empty() => {}
            }
        }
        drop(waiting);
        let finish = async {
            if let Some(at_work) = at_work {
                answer(&mut replies, at_work.await);
            }
            while !replies.is_empty() {
                replies.proceed().await;
            }
        };
        if timeout(STOP, finish).await.is_err() {
            tracing::warn!(queue = %self.worker.queue(), "stopped before every reply was confirmed");
        }
    }

    fn start(&self, batch: Vec<Delivery>, meters: BatchMeters) -> JoinHandle<Vec<Done>> {
        let worker = Arc::clone(&self.worker);
        let (clock, spans) = (Arc::clone(&self.clock), self.spans.clone());
        spawn_blocking(move || {
            meters.commands.record(batch.len() as f64);
            let began = Instant::now();
            let done = work(&*worker, batch, clock.as_ref(), &spans);
            meters.duration.record(began.elapsed());
            done
        })
    }
}

/// What batches are measured with.
#[derive(Clone)]
struct BatchMeters {
    commands: Histogram,
    duration: Histogram,
}

impl BatchMeters {
    fn of(queue: &QueueName) -> Self {
        let queue = queue.to_string();
        Self {
            commands: histogram!("skald_worker_batch_commands", "queue" => queue.clone()),
            duration: histogram!("skald_worker_batch_duration_seconds", "queue" => queue),
        }
    }
}

/// Publishes the replies to a batch.
fn answer(replies: &mut Replies, done: Result<Vec<Done>, JoinError>) {
    match done {
        Ok(done) => {
            replies.send(done.into_iter().filter_map(|Done { command, reply }| match reply {
                Some((reply, span)) => Some((command, reply, span)),
                None => {
                    failpoint::reach("unanswered", "before_ack");
                    command.ack();
                    failpoint::reach("unanswered", "after_ack");
                    None
                }
            }))
        }
        // Its deliveries were dropped, so its commands come again, up to the delivery limit.
        Err(error) => tracing::error!(%error, "a worker broke off in the middle of a batch"),
    }
}

/// Waits until told to stop.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could tell.
    let _ = stop.wait_for(|stop| *stop).await;
}
