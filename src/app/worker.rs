//! A process that runs workers and nothing else.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use anyhow::{Context as _, bail};

use super::stores::WorkerStores;
use super::workers::Workers;
use super::{bus, coordination, listen, stores};
use crate::bus::topology;
use crate::config::{Config, Run};
use crate::coordination::redis::Redis;
use crate::http::{self, Blocking, Health, Ping};
use crate::ports::Clock;
use crate::ports::bus::Bus;
use crate::ports::clock::SystemClock;
use crate::telemetry::{self, Metrics, Traces};

/// Workers in a process of their own.
pub struct RunningWorkers {
    /// Where it answers what machines ask; none where it does not listen.
    pub address: Option<SocketAddr>,
    server: Option<ServerHandle>,
    workers: Workers,
    traces: Option<Arc<Traces>>,
    /// Last to go: replies and acknowledgements go through it.
    _bus: Arc<dyn Bus>,
}

/// Starts the workers of `run`. Once this returns, they take commands.
///
/// # Errors
/// When something that is needed can't be had; the error says what.
pub async fn start(config: &Config, run: Run) -> anyhow::Result<RunningWorkers> {
    let metrics = config.telemetry.metrics.then(telemetry::metrics).transpose()?;
    if config.bus.addresses.is_empty() {
        bail!("a worker in a process of its own needs a broker: give bus.url");
    }
    let listener = config.workers.listen.map(listen).transpose()?;
    let address = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let mut stores = stores::open_for_workers(config, run)?;
    let bus = bus::connect(config, "skald worker").await?;
    // Its own, and that for what it rejects; how many shards there are is not known here.
    for queue in topology::command_queues(&super::catalogue()?).chain([topology::dead_letters()]) {
        bus.declare(&queue).await?;
    }
    // Only locks need it here.
    let redis = match run.inventory && config.workers.hint_locks {
        true => coordination::redis(config)?,
        false => None,
    };
    stores.locks = coordination::locks(config, redis.as_deref());
    let health = health(&stores, &bus, redis.as_ref(), metrics);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let instance = format!("{}:{}", super::host(), std::process::id());
    let (traces, spans) = super::traces(config, service(run), &instance)?;
    let workers = Workers::start(run, config, stores, &bus, &clock, &spans, None)?;
    let server = listener.map(|listener| answer(listener, config, health)).transpose()?;
    Ok(RunningWorkers { address, server, workers, traces, _bus: bus })
}

impl RunningWorkers {
    /// Finishes what is in hand.
    pub async fn stop(self) {
        let Self { workers, server, traces, _bus, .. } = self;
        let stopped = actix_web::web::block(move || {
            workers.stop();
            if let Some(traces) = traces {
                traces.stop();
            }
        });
        if stopped.await.is_err() {
            tracing::error!("the workers' threads did not end in good order");
        }
        if let Some(server) = server {
            server.stop(false).await;
        }
    }
}

/// What the worker is called in traces.
fn service(run: Run) -> &'static str {
    if run.inventory { "skald-inventory" } else { "skald-notification" }
}

/// What the workers need for their work.
fn health(
    stores: &WorkerStores,
    bus: &Arc<dyn Bus>,
    redis: Option<&Arc<Redis>>,
    metrics: Option<Metrics>,
) -> Health {
    let mut pings: Vec<(_, Ping)> = Vec::new();
    if let Some(store) = stores.inventory.clone() {
        pings.push(("inventory", Arc::new(move || store.ping())));
    }
    if let Some(store) = stores.notification.clone() {
        pings.push(("notification", Arc::new(move || store.ping())));
    }
    Health {
        blocking: Arc::new(Blocking::new(pings.len())),
        stores: pings,
        others: Vec::new(),
        bus: Arc::clone(bus),
        expendable: coordination::health(redis),
        orchestrator: None,
        queries: None,
        metrics: metrics.map(super::exposition),
    }
}

/// Answers what machines ask from now on.
fn answer(listener: TcpListener, config: &Config, health: Health) -> anyhow::Result<ServerHandle> {
    let server = http::serve_health(health, &config.server.allowed_hosts, listener)
        .context("health and metrics can't be served")?;
    let handle = server.handle();
    actix::spawn(server);
    Ok(handle)
}
