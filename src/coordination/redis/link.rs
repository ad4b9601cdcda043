//! The connection to Redis: made, watched, made anew; and how long anybody waits for it.
//!
//! It lives on a thread of its own. Callers wait for one time-out at most, and not at all while the
//! [breaker](super::breaker) is open: then a probe over a new connection finds out when Redis is back, and
//! no caller pays for that.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{io, thread};

use metrics::{counter, gauge, histogram};
use redis::aio::{MultiplexedConnection, SendError};
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, PushInfo, PushKind, RedisError};
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, sleep_until, timeout};

use super::address::Address;
use super::breaker::Breaker;

/// How long a probe may take, its connection included: nobody waits for it, so it bears a slow network.
const PROBE_WITHIN: Duration = Duration::from_secs(2);

/// How often Redis is asked for a sign of life, so that its absence shows where nobody else asks.
const LOOK: Duration = Duration::from_secs(5);

/// Commands that wait to be sent; callers beyond them wait until their time-out.
const UNSENT: usize = 1_000;

/// Hears what is published.
pub(super) type Ear = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// A link to Redis. Copies of it are one link; it ends with the last of them.
#[derive(Clone)]
pub(super) struct Link {
    caller: Caller,
    runtime: Handle,
    _end: Arc<oneshot::Sender<()>>,
}

/// Calls Redis, without keeping the link from ending.
#[derive(Clone)]
pub(super) struct Caller(Arc<Shared>);

struct Shared {
    address: Address,
    timeout: Duration,
    /// What is listened to, and who does.
    channel: String,
    ear: Ear,
    state: Mutex<State>,
    /// Whether calls pass, for whoever looks in passing.
    is_there: AtomicBool,
    opened: Notify,
}

struct State {
    breaker: Breaker,
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that what an earlier one says late is not held against this one.
    number: u64,
    trouble: Option<String>,
}

impl State {
    fn answered(&mut self) {
        self.breaker.answered();
        self.trouble = None;
    }
}

impl Link {
    /// Connects from now on. Whether that succeeds shows in [`trouble`](Self::trouble).
    ///
    /// # Errors
    /// When there can be no thread for it.
    pub fn open(
        address: Address,
        timeout: Duration,
        channel: String,
        ear: Ear,
    ) -> io::Result<Self> {
        let state = State {
            breaker: Breaker::new(Instant::now()),
            connection: None,
            number: 0,
            trouble: Some("it was not reached yet".to_owned()),
        };
        let (is_there, opened) = (AtomicBool::new(false), Notify::new());
        let shared =
            Shared { address, timeout, channel, ear, state: Mutex::new(state), is_there, opened };
        let shared = Arc::new(shared);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (end, ended) = oneshot::channel();
        let (handle, kept) = (runtime.handle().clone(), Arc::clone(&shared));
        thread::Builder::new().name("redis".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = kept.keep() => {}
                    _ = ended => {}
                }
            });
        })?;
        Ok(Self { caller: Caller(shared), runtime: handle, _end: Arc::new(end) })
    }

    /// Whether calls are made at all at the moment.
    pub fn is_there(&self) -> bool {
        self.caller.0.is_there.load(Ordering::Relaxed)
    }

    /// What is wrong, if anything.
    pub fn trouble(&self) -> Option<String> {
        self.caller.0.lock().trouble.clone()
    }

    /// See [`Caller::call`].
    pub async fn call<T: FromRedisValue>(&self, call: &'static str, command: &Cmd) -> Option<T> {
        self.caller.call(call, command).await
    }

    /// Calls for whoever lives no longer than the link.
    pub fn caller(&self) -> Caller {
        self.caller.clone()
    }

    /// Runs something on the link's thread, until that ends.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(task);
    }
}

impl Caller {
    /// Sends a command and waits for its answer, not longer than the time-out; none where there was
    /// no answer, or one that makes no sense. `call` is what it is counted as.
    pub async fn call<T: FromRedisValue>(&self, call: &'static str, command: &Cmd) -> Option<T> {
        self.0.call(call, command).await
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passing(&self) -> Option<(MultiplexedConnection, u64)> {
        let state = self.lock();
        let connection = state.connection.as_ref().filter(|_| state.breaker.is_closed())?;
        Some((connection.clone(), state.number))
    }

    async fn call<T: FromRedisValue>(&self, call: &'static str, command: &Cmd) -> Option<T> {
        let count = |outcome: &'static str| {
            counter!("skald_redis_calls_total", "call" => call, "outcome" => outcome).increment(1);
        };
        let Some((mut connection, number)) = self.passing() else {
            count("skipped");
            return None;
        };
        let began = Instant::now();
        let answer = command.query_async::<T>(&mut connection).await;
        histogram!("skald_redis_call_duration_seconds", "call" => call).record(began.elapsed());
        match answer {
            Ok(value) => {
                self.note(number, State::answered);
                count("answered");
                Some(value)
            }
            Err(error) => {
                tracing::debug!(call, %error, "Redis was asked in vain");
                count(self.note_failure(number, &error));
                None
            }
        }
    }

    /// Draws the consequences of a call that failed; returns what it is counted as.
    fn note_failure(&self, number: u64, error: &RedisError) -> &'static str {
        let (now, chance) = (Instant::now(), fastrand::f64());
        if error.is_timeout() {
            self.note(number, |state| {
                state.trouble = Some(format!("no answer within {} ms", self.timeout.as_millis()));
                state.breaker.failed(now, chance);
            });
            return "timed_out";
        }
        if error.is_unrecoverable_error() || error.is_io_error() {
            self.lost(number, &error.to_string());
            return "lost";
        }
        // It is there, though it does not like what it is asked or holds something else there.
        self.note(number, State::answered);
        "refused"
    }

    fn lost(&self, number: u64, cause: &str) {
        let (now, chance) = (Instant::now(), fastrand::f64());
        self.note(number, |state| {
            state.trouble = Some(format!("the connection is lost: {cause}"));
            state.breaker.broke(now, chance);
        });
    }

    /// Takes down something about the connection with this number, if it is still the one in use.
    fn note(&self, number: u64, what: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        if state.number != number || !state.breaker.is_closed() {
            return;
        }
        what(&mut state);
        if state.breaker.is_closed() {
            return;
        }
        // Also where it only was too slow: what answers late now may never answer again.
        state.connection = None;
        let trouble = state.trouble.clone();
        drop(state);
        self.is_there.store(false, Ordering::Relaxed);
        gauge!("skald_redis_available").set(0.0);
        tracing::warn!(
            address = %self.address, trouble,
            "Redis is left alone until it answers again; nothing depends on it"
        );
        self.opened.notify_one();
    }

    /// Keeps a connection, for ever.
    async fn keep(self: Arc<Self>) {
        gauge!("skald_redis_available").set(0.0);
        loop {
            let probe_at = self.lock().breaker.probe_at();
            match probe_at {
                Some(at) => {
                    sleep_until(at.into()).await;
                    self.probe().await;
                }
                None => {
                    tokio::select! {
                        () = self.opened.notified() => {}
                        () = sleep(LOOK) => {
                            self.call::<String>("ping", &redis::cmd("PING")).await;
                        }
                    }
                }
            }
        }
    }

    async fn probe(self: &Arc<Self>) {
        let number = {
            let mut state = self.lock();
            state.breaker.begin_probe();
            state.number += 1;
            state.number
        };
        let probed = match timeout(PROBE_WITHIN, self.connect(number)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {} s", PROBE_WITHIN.as_secs())),
        };
        let mut state = self.lock();
        state.breaker.end_probe(probed.is_ok(), Instant::now(), fastrand::f64());
        match probed {
            Ok(connection) => {
                state.connection = Some(connection);
                state.trouble = None;
                drop(state);
                self.is_there.store(true, Ordering::Relaxed);
                gauge!("skald_redis_available").set(1.0);
                tracing::info!(address = %self.address, "Redis is there");
            }
            Err(trouble) => {
                let is_news = state.trouble.as_ref() != Some(&trouble);
                state.trouble = Some(trouble.clone());
                drop(state);
                if is_news {
                    tracing::warn!(
                        address = %self.address, trouble,
                        "Redis can't be reached; all goes on without it"
                    );
                }
            }
        }
    }

    async fn connect(self: &Arc<Self>, number: u64) -> Result<MultiplexedConnection, RedisError> {
        // Ends with the connection, so it must not keep the link alive.
        let link = Arc::downgrade(self);
        let pushed = move |push: PushInfo| {
            let link = link.upgrade().ok_or(SendError)?;
            match push.kind {
                PushKind::Message => link.hear(&push),
                PushKind::Disconnection => link.lost(number, "it was closed"),
                _ => {}
            }
            Ok::<(), SendError>(())
        };
        let config = AsyncConnectionConfig::new()
            // The probe as a whole has one.
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(UNSENT)
            .set_push_sender(pushed);
        let client = Client::open(self.address.info())?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        connection.subscribe(&self.channel).await?;
        connection.set_response_timeout(self.timeout);
        Ok(connection)
    }

    fn hear(&self, push: &PushInfo) {
        if let [redis::Value::BulkString(channel), redis::Value::BulkString(payload)] =
            &push.data[..]
            && channel == self.channel.as_bytes()
        {
            (self.ear)(payload);
        }
    }
}
