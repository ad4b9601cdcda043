//! A process that runs workers and nothing else.

use std::sync::Arc;

use anyhow::bail;

use super::workers::Workers;
use super::{bus, stores};
use crate::config::{Config, Run};
use crate::ports::Clock;
use crate::ports::bus::Bus;
use crate::ports::clock::SystemClock;
use crate::saga::catalogue::Catalogue;
use crate::{bus::topology, orders};

/// Workers in a process of their own.
pub struct RunningWorkers {
    workers: Workers,
    /// Last to go: replies and acknowledgements go through it.
    _bus: Arc<dyn Bus>,
}

/// Starts the workers of `run`. Once this returns, they take commands.
///
/// # Errors
/// When something that is needed can't be had; the error says what.
pub async fn start(config: &Config, run: Run) -> anyhow::Result<RunningWorkers> {
    crate::telemetry::metrics()?;
    if config.bus.addresses.is_empty() {
        bail!("a worker in a process of its own needs a broker: give bus.url");
    }
    let stores = stores::open_for_workers(config, run)?;
    let bus = bus::connect(config, "skald worker").await?;
    // Only its own: how many shards there are is not known here.
    let catalogue =
        Catalogue::default().with(orders::definition::definition()?, orders::script::OrderScript);
    for queue in topology::command_queues(&catalogue) {
        bus.declare(&queue).await?;
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let workers = Workers::start(run, config, stores, &bus, &clock, None)?;
    Ok(RunningWorkers { workers, _bus: bus })
}

impl RunningWorkers {
    /// Finishes what is in hand.
    pub async fn stop(self) {
        let Self { workers, _bus } = self;
        if actix_web::web::block(move || workers.stop()).await.is_err() {
            tracing::error!("the workers' threads did not end in good order");
        }
    }
}
