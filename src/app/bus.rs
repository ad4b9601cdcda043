//! Connecting the bus, and declaring what Skald needs there.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use crate::bus::in_process::InProcessBus;
use crate::bus::rabbitmq::{Address, Bundling, RabbitBus};
use crate::bus::topology;
use crate::config::Config;
use crate::ports::bus::Bus;
use crate::ports::ledger::Shard;
use crate::saga::catalogue::Catalogue;

/// Connects to the broker that is configured, or makes a bus within the process. A broker shows the
/// connection under `name`.
///
/// # Errors
/// When an address can't be read or no broker lets us in.
pub async fn connect(config: &Config, name: &str) -> anyhow::Result<Arc<dyn Bus>> {
    if config.bus.addresses.is_empty() {
        return Ok(Arc::new(InProcessBus::default()));
    }
    let addresses = config.bus.addresses.iter().map(|url| Address::parse(url.reveal()));
    let addresses = addresses.collect::<Result<_, _>>().context("bus.url can't be used")?;
    let advice = "check that RabbitMQ runs there and that the user, password and virtual host in bus.url are right";
    let bundling = Bundling { services: config.bus.bundle_commands.clone() };
    let bus = RabbitBus::connect(addresses, name, bundling).await;
    Ok(Arc::new(bus.map_err(|error| anyhow!("{error}; {advice}"))?))
}

/// Makes sure that all queues of an installation with `shards` shards exist.
///
/// # Errors
/// When one exists with other properties, or the broker is gone.
pub async fn declare(bus: &dyn Bus, catalogue: &Catalogue, shards: Shard) -> anyhow::Result<()> {
    for queue in topology::queues(catalogue, shards) {
        bus.declare(&queue).await?;
    }
    Ok(())
}
