//! The composition root: builds everything from the configuration, and knows the order in which
//! things start and stop.
//!
//! | start | stop |
//! |---|---|
//! | 1 the API's address and the lock on the data folder | 6 |
//! | 2 stores (migrated) | 5 |
//! | 3 bus and queues | 4 |
//! | 4 workers | 3: finish what is in hand |
//! | 5 the shard's actors, which take up what was left | 2 |
//! | 6 the API | 1: no new requests; those under way are answered |

use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::{Context as _, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::actors::panic::AbortOnPanic;
use crate::actors::{ShardRunner, Surroundings};
use crate::bus::in_process::InProcessBus;
use crate::bus::topology;
use crate::config::Config;
use crate::event_log;
use crate::http::{self, Api, Options, Services};
use crate::orders::definition::definition;
use crate::orders::script::OrderScript;
use crate::ports::Clock;
use crate::ports::bus::Bus;
use crate::ports::clock::SystemClock;
use crate::ports::inventory::InventoryStore;
use crate::ports::notification::NotificationStore;
use crate::ports::orchestrator::Orchestrator;
use crate::ports::queries::Queries;
use crate::saga::catalogue::Catalogue;
use crate::store::{Stores, sqlite};
use crate::workers::inventory::InventoryWorker;
use crate::workers::notification::NotificationWorker;
use crate::workers::notification::eml::EmlMailer;
use crate::workers::runtime::Runtime;
use crate::workers::worker::Worker;

/// The one shard of the embedded kind.
const SHARD: u16 = 0;

/// How long requests under way may take once the process stops.
const STOP_HTTP_WITHIN: Duration = Duration::from_secs(10);

/// The API's calls to the readers' connections at a time. The orchestrator reads by the same four,
/// and people looking on must not keep it from waking sagas.
const STORE_CALLS: usize = 3;

/// A running Skald.
pub struct Running {
    /// Where the API listens.
    pub address: SocketAddr,
    /// The messages.
    pub bus: Arc<dyn Bus>,
    /// What runs the sagas.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// What reads orders and sagas.
    pub queries: Arc<dyn Queries>,
    /// The stock.
    pub inventory: Arc<dyn InventoryStore>,
    /// The mails.
    pub notifications: Arc<dyn NotificationStore>,
    server: ServerHandle,
    workers: Vec<Arbiter>,
    stop_workers: watch::Sender<bool>,
    shard: ShardRunner,
    _lock: File,
}

/// Starts everything. Once this returns, orders are accepted.
///
/// # Errors
/// When something that is needed can't be had; the error says what, and nothing is left running.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    // First, so that nothing is counted before there is somebody who counts.
    let metrics = crate::telemetry::metrics()?;
    let listener = listen(config.server.listen)?;
    let lock = lock(&config.data_dir)?;
    let stores = sqlite::open(&config.data_dir, sqlite::EMBEDDED_SHARDS)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let definition = definition()?;
    let reference = definition.reference();
    let catalogue = Catalogue::default().with(definition, OrderScript);

    let bus: Arc<dyn Bus> = Arc::new(InProcessBus::default());
    for queue in topology::queues(&catalogue, sqlite::EMBEDDED_SHARDS) {
        bus.declare(&queue).await?;
    }
    if let Some(path) = &config.event_log {
        let file = event_log::open(path)
            .with_context(|| format!("the event log {} can't be written", path.display()))?;
        actix::spawn(event_log::write(event_log::listen(bus.as_ref()).await?, file));
    }
    let (stop_workers, stopping) = watch::channel(false);
    let workers = start_workers(config, &stores, &bus, &clock, &stopping)?;
    let surroundings = Surroundings {
        ledger: Arc::clone(&stores.ledger),
        door: Arc::clone(&stores.door),
        bus: Arc::clone(&bus),
        clock: Arc::clone(&clock),
        catalogue: catalogue.clone(),
        definition: reference,
        sleep_after: config.actors.sleep_after,
    };
    let shard = ShardRunner::start(SHARD, surroundings).await?;
    let orchestrator: Arc<dyn Orchestrator> = Arc::new(shard.handle());
    let address = listener.local_addr()?;
    let server = answer(listener, config, &stores, &catalogue, clock, &orchestrator, metrics)?;
    Ok(Running {
        address,
        bus,
        orchestrator,
        queries: stores.queries,
        inventory: stores.inventory,
        notifications: stores.notification,
        server,
        workers,
        stop_workers,
        shard,
        _lock: lock,
    })
}

impl Running {
    /// Waits for SIGTERM or Ctrl-C, then stops in good order.
    pub async fn wait(self) {
        let mut terminate = match signal(SignalKind::terminate()) {
            Ok(terminate) => terminate,
            Err(error) => {
                tracing::error!(%error, "signals can't be received; stopping");
                return self.stop().await;
            }
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        tracing::info!("stopping");
        self.stop().await;
    }

    /// Stops in good order: requests under way are answered, workers finish what is in hand. What
    /// is left of the sagas is taken up at the next start.
    pub async fn stop(self) {
        self.server.stop(true).await;
        // Nobody listens where the workers ended already.
        let _ = self.stop_workers.send(true);
        let (workers, shard) = (self.workers, self.shard);
        let joined = actix_web::web::block(move || {
            workers.into_iter().for_each(join);
            shard.stop();
        });
        if joined.await.is_err() {
            tracing::error!("the threads did not end in good order");
        }
    }
}

/// Listens, so that nothing is begun where the address is taken. Who knocks early waits.
fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("can't listen on {address}; choose another address with --listen"))
}

/// One process to a data folder: two would depose each other and share no bus. Holds until the file
/// is dropped.
///
/// # Errors
/// When another process holds it, or the folder can't be used.
pub fn lock(data_dir: &Path) -> anyhow::Result<File> {
    let place = data_dir.display();
    std::fs::create_dir_all(data_dir)
        .with_context(|| format!("the data folder {place} can't be made"))?;
    let file = File::create(data_dir.join("skald.lock"))
        .with_context(|| format!("the data folder {place} can't be written to"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "another Skald uses the data folder {place}; stop it, or choose another one with --data-dir"
            )
        }
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("the data folder {place} can't be locked"))
        }
    }
}

fn start_workers(
    config: &Config,
    stores: &Stores,
    bus: &Arc<dyn Bus>,
    clock: &Arc<dyn Clock>,
    stopping: &watch::Receiver<bool>,
) -> anyhow::Result<Vec<Arbiter>> {
    let mailer = Arc::new(EmlMailer::open(&config.mail_folder(), &config.mail.from)?);
    let domain = config.mail.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let inventory = InventoryWorker::new(Arc::clone(&stores.inventory));
    // The lock on the data folder says so.
    let notification = NotificationWorker::new(Arc::clone(&stores.notification), mailer, domain)
        .alone_since(clock.now());
    Ok(vec![
        start_worker(runtime(inventory, config, bus, clock), stopping.clone()),
        start_worker(runtime(notification, config, bus, clock), stopping.clone()),
    ])
}

fn runtime<W>(
    worker: W,
    config: &Config,
    bus: &Arc<dyn Bus>,
    clock: &Arc<dyn Clock>,
) -> Runtime<W> {
    Runtime {
        worker: Arc::new(worker),
        bus: Arc::clone(bus),
        clock: Arc::clone(clock),
        batch_size: config.workers.batch_size,
        prefetch: config.workers.prefetch,
    }
}

/// Runs a worker on a thread of its own, which ends with it.
fn start_worker<W: Worker>(runtime: Runtime<W>, stopping: watch::Receiver<bool>) -> Arbiter {
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(move || {
        actix::spawn(async move {
            let _guard = AbortOnPanic("worker");
            let queue = runtime.worker.queue();
            let ended = runtime.run(stopping.clone()).await;
            if let Err(error) = ended {
                tracing::error!(%queue, %error, "a worker can't work");
            } else if !*stopping.borrow() {
                tracing::error!(%queue, "a worker ended by itself");
            }
            Arbiter::current().stop();
        });
    });
    arbiter
}

fn join(arbiter: Arbiter) {
    if arbiter.join().is_err() {
        tracing::error!("a worker's thread ended in a panic");
    }
}

fn answer(
    listener: TcpListener,
    config: &Config,
    stores: &Stores,
    catalogue: &Catalogue,
    clock: Arc<dyn Clock>,
    orchestrator: &Arc<dyn Orchestrator>,
    metrics: PrometheusHandle,
) -> anyhow::Result<ServerHandle> {
    let services = Services {
        orchestrator: Arc::clone(orchestrator),
        queries: Arc::clone(&stores.queries),
        door: Arc::clone(&stores.door),
        inventory: Some(Arc::clone(&stores.inventory)),
        notification: Some(Arc::clone(&stores.notification)),
        clock,
        definitions: catalogue
            .iter()
            .map(|runnable| (runnable.definition.reference(), Arc::clone(&runnable.definition)))
            .collect(),
        metrics: Arc::new(move || metrics.render()),
    };
    let settings = http::Settings {
        host_names: config.server.allowed_hosts.clone(),
        store_calls: STORE_CALLS,
    };
    let options = Options { workers: config.server.workers, stop_within: STOP_HTTP_WITHIN };
    let server = http::serve(Data::new(Api::new(services, &settings)), listener, &options)
        .context("the API can't be served")?;
    let handle = server.handle();
    actix::spawn(server);
    Ok(handle)
}
