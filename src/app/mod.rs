//! The composition root: builds everything from the configuration, and knows the order in which
//! things start and stop.
//!
//! | start | stop |
//! |---|---|
//! | 1 the API's address; the stores (locked where they are files, migrated) | 5 |
//! | 2 bus and queues; Redis, which nobody waits for | 4: the last acknowledgements go out |
//! | 3 workers | 2: what is in hand is committed, answered and acknowledged |
//! | 4 the node's actors, which take up what was left | 3: the same; the shards are given up |
//! | 5 the API | 1: streams end; no new requests; those under way are answered |
//!
//! Traces begin before all that and are sent last.
//!
//! | file | does |
//! |---|---|
//! | `check` | what is wrong with a configuration, as far as can be known without trying |
//! | `stores` | opens the stores, by URL |
//! | `bus` | connects the bus, by URL |
//! | `mail` | opens the mailer, by URL |
//! | `coordination` | opens Redis, by URL, or does without |
//! | `workers` | runs workers |
//! | `worker` | a process with workers alone |

mod bus;
mod check;
mod coordination;
mod mail;
pub mod stores;
pub mod worker;
mod workers;

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use uuid::Uuid;

use crate::actors::{MAX_OUTSTANDING, Membership, NodeRunner, Surroundings};
use crate::config::Config;
use crate::event_log;
use crate::http::{self, Api, Exposition, Options, Services};
use crate::orders::definition::definition;
use crate::orders::script::OrderScript;
use crate::ports::Clock;
use crate::ports::bus::Bus;
use crate::ports::clock::SystemClock;
use crate::ports::leases::Node as Identity;
use crate::ports::spans::Spans;
use crate::saga::catalogue::Catalogue;
use crate::saga::check::Checked;
use crate::saga::id::DefinitionRef;
use crate::telemetry::{self, Metrics, TelemetryError, Traces};
pub use check::check;
pub use coordination::look_at_redis;
pub use mail::mail_server;
use stores::{Stores, WorkerStores};
use workers::Workers;

/// How long requests under way may take once the process stops. Those that only wait for an outcome
/// are answered at once; the others are done when their store is.
const STOP_HTTP_WITHIN: Duration = Duration::from_secs(6);

/// The API's calls to the readers' connections at a time. The orchestrator reads by the same four,
/// and people looking on must not keep it from waking sagas.
const STORE_CALLS: usize = 3;

/// A running Skald.
pub struct Running {
    /// Where the API listens.
    pub address: SocketAddr,
    /// The messages.
    pub bus: Arc<dyn Bus>,
    api: Data<Api>,
    server: ServerHandle,
    workers: Workers,
    node: NodeRunner,
    traces: Option<Arc<Traces>>,
    /// Last to go.
    _stores: Stores,
}

/// Starts everything. Once this returns, orders are accepted.
///
/// # Errors
/// When something that is needed can't be had; the error says what, and nothing is left running.
pub async fn start(config: &Config) -> anyhow::Result<Running> {
    // First, so that nothing is counted before there is somebody who counts.
    let metrics = config.telemetry.metrics.then(telemetry::metrics).transpose()?;
    let listener = listen(config.server.listen)?;
    let address = listener.local_addr()?;
    let stores = stores::open(config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let reference = definition()?.reference();
    let catalogue = catalogue()?;

    let identity = identity(config, address, clock.as_ref());
    let (traces, spans) = traces(config, "skald", &identity.name)?;
    let bus = bus::connect(config, &format!("skald {address}")).await?;
    bus::declare(bus.as_ref(), &catalogue, stores.shards).await?;
    if let Some(path) = &config.event_log {
        let file = event_log::open(path)
            .with_context(|| format!("the event log {} can't be written", path.display()))?;
        actix::spawn(event_log::write(event_log::listen(Arc::clone(&bus)).await?, file));
    }
    let redis = coordination::redis(config)?;
    let pokes = coordination::pokes(redis.as_deref());
    let for_workers = WorkerStores {
        inventory: stores.inventory.clone(),
        locks: coordination::locks(config, redis.as_deref()),
        notification: stores.notification.clone(),
    };
    let alone = stores.alone.as_ref();
    let run = config.workers.run;
    let workers = Workers::start(run, config, for_workers, &bus, &clock, &spans, alone)?;
    let surroundings = Surroundings {
        ledger: Arc::clone(&stores.orchestrator.ledger),
        door: Arc::clone(&stores.orchestrator.door),
        letters: Arc::clone(&stores.orchestrator.letters),
        bus: Arc::clone(&bus),
        pokes: Arc::clone(&pokes),
        clock: Arc::clone(&clock),
        catalogue: catalogue.clone(),
        definition: reference,
        sleep_after: config.actors.sleep_after,
        max_outstanding: MAX_OUTSTANDING,
        spans: spans.clone(),
    };
    let membership = Membership {
        leases: Arc::clone(&stores.orchestrator.leases),
        identity,
        lease: config.node.lease,
    };
    let node = NodeRunner::start(membership, surroundings).await?;
    let services = Services {
        orchestrator: Arc::new(node.handle()),
        queries: Arc::clone(&stores.orchestrator.queries),
        door: Arc::clone(&stores.orchestrator.door),
        letters: Arc::clone(&stores.orchestrator.letters),
        leases: Arc::clone(&stores.orchestrator.leases),
        bus: Arc::clone(&bus),
        cache: coordination::cache(redis.as_deref()),
        pokes,
        expendable: coordination::health(redis.as_ref()),
        inventory: stores.inventory.clone(),
        notification: stores.notification.clone(),
        clock,
        definitions: definitions(&catalogue),
        metrics: metrics.map(exposition),
        spans,
    };
    let settings = http::Settings {
        host_names: config.server.allowed_hosts.clone(),
        store_calls: STORE_CALLS,
    };
    let api = Data::new(Api::new(services, &settings));
    let server = answer(listener, config, api.clone())?;
    Ok(Running { address, bus, api, server, workers, node, traces, _stores: stores })
}

impl Running {
    /// Stops in good order: requests under way are answered, what workers and sagas have in hand is
    /// committed, confirmed and acknowledged, the shards are given up. Each part is bounded, all of
    /// them together by some twenty seconds; what is left then is taken up by the next owner.
    pub async fn stop(self) {
        self.api.stop_waiting();
        self.server.stop(true).await;
        let Self { workers, node, traces, .. } = self;
        let joined = actix_web::web::block(move || {
            workers.stop();
            node.stop();
            if let Some(traces) = traces {
                traces.stop();
            }
        });
        if joined.await.is_err() {
            tracing::error!("the threads did not end in good order");
        }
    }
}

/// The traces of this process, and where its spans go.
fn traces(
    config: &Config,
    service: &str,
    instance: &str,
) -> Result<(Option<Arc<Traces>>, Spans), TelemetryError> {
    let messaging_system = if config.bus.addresses.is_empty() { "in_process" } else { "rabbitmq" };
    let traces = telemetry::traces(&config.telemetry, service, instance)?;
    let spans = traces.clone().map(|traces| Spans::to(traces, messaging_system));
    Ok((traces, spans.unwrap_or_default()))
}

/// Writes the metrics for whoever asks.
fn exposition(metrics: Metrics) -> Exposition {
    Arc::new(move || metrics.render())
}

/// Every definition that this program runs.
///
/// # Errors
/// When one can't be run.
pub fn catalogue() -> anyhow::Result<Catalogue> {
    Ok(Catalogue::default().with(definition()?, OrderScript))
}

/// Waits for SIGTERM or Ctrl-C.
pub async fn stop_signal() {
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(terminate) => terminate,
        Err(error) => return tracing::error!(%error, "signals can't be received; stopping"),
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Listens, so that nothing is begun where the address is taken. Who knocks early waits.
fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("can't listen on {address}; choose another address with --listen"))
}

/// What this machine is called.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Who this process is among the nodes.
fn identity(config: &Config, address: SocketAddr, clock: &dyn Clock) -> Identity {
    let name = || format!("{}:{}", host(), address.port());
    Identity {
        id: Uuid::now_v7(),
        name: config.node.name.clone().unwrap_or_else(name),
        url: config.node.url.clone().unwrap_or_else(|| url_at(address, &host())),
        started_at: clock.now(),
    }
}

/// Where others reach a process that listens there. The address that stands for all of a machine's
/// own would lead everybody else to themselves.
fn url_at(address: SocketAddr, host: &str) -> String {
    match address.ip().is_unspecified() {
        true => format!("http://{host}:{}", address.port()),
        false => format!("http://{address}"),
    }
}

/// Answers requests from now on.
fn answer(listener: TcpListener, config: &Config, api: Data<Api>) -> anyhow::Result<ServerHandle> {
    let options = Options { workers: config.server.workers, stop_within: STOP_HTTP_WITHIN };
    let live = api.live();
    let server = http::serve(api, listener, &options).context("the API can't be served")?;
    actix::spawn(live.watch());
    let handle = server.handle();
    actix::spawn(server);
    Ok(handle)
}

fn definitions(catalogue: &Catalogue) -> HashMap<DefinitionRef, Arc<Checked>> {
    catalogue
        .iter()
        .map(|runnable| (runnable.definition.reference(), Arc::clone(&runnable.definition)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_reached_by_the_name_of_its_machine_where_it_listens_on_all_addresses() {
        let at = |address: &str| url_at(address.parse().unwrap(), "north-1");
        assert_eq!(at("0.0.0.0:7070"), "http://north-1:7070");
        assert_eq!(at("[::]:7070"), "http://north-1:7070");
        assert_eq!(at("10.0.0.7:7070"), "http://10.0.0.7:7070");
        assert_eq!(at("[fd00::7]:7070"), "http://[fd00::7]:7070");
    }
}
