//! A Skald on PostgreSQL and RabbitMQ, in processes of its own: an orchestrator and the workers.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::failed;
use super::process::Process;
use super::services::Services;
use crate::app::stores;
use crate::bus::rabbitmq::{Address, Bundling, RabbitBus};
use crate::cli::failure::{Exit, Failure};
use crate::config::{Config, LogFormat, Secret};
use crate::ports::bus::Bus;

/// Processes that are one installation of Skald, and the services that they use.
pub struct Stack {
    orchestrator: Process,
    workers: Vec<Process>,
    /// None where somebody else runs them.
    services: Option<Services>,
    address: SocketAddr,
    bus: Arc<dyn Bus>,
}

impl Stack {
    /// Starts everything. Services are started, too, where `config` names none.
    ///
    /// # Errors
    /// When only one service is named, a named one is already in use, or something does not start.
    pub async fn start(
        mut config: Config,
        file: Option<PathBuf>,
        inventory_workers: u8,
    ) -> Result<Self, Failure> {
        let services = match (&config.store.orchestrator, config.bus.addresses.is_empty()) {
            (Some(_), false) => {
                refuse_what_is_in_use(&config)?;
                None
            }
            (None, true) => {
                let services = Services::start()?;
                config.store.orchestrator = Some(Secret::new(&*services.store));
                config.bus.addresses = vec![Secret::new(&*services.bus)];
                Some(services)
            }
            _ => {
                let what = "only one of the database and the broker is given";
                return Err(Failure::new(Exit::Usage, "SERVICES_INCOMPLETE", what)
                    .next("give store.url and bus.url, or neither to have both started"));
            }
        };
        let (variables, flags) = (variables(&config), flags(&config, file));
        let listen = config.server.listen.to_string();
        let serve = ["serve", "--workers", "none", "--listen", &listen];
        let mut orchestrator = Process::skald("orchestrator", &serve, &flags, &variables)?;
        let address = orchestrator.ready()?;
        let address = address.parse().map_err(|_| failed("the orchestrator has no address"))?;
        // Started together, ready together.
        let worker = |name, which| Process::skald(name, &["worker", which], &flags, &variables);
        let mut workers = Vec::new();
        for _ in 0..inventory_workers {
            workers.push(worker("inventory worker", "inventory")?);
        }
        workers.push(worker("notification worker", "notification")?);
        for worker in &mut workers {
            worker.ready()?;
        }
        let bus = connect(&config).await?;
        Ok(Self { orchestrator, workers, services, address, bus })
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The broker.
    pub fn bus(&self) -> Arc<dyn Bus> {
        Arc::clone(&self.bus)
    }

    /// The names of its processes, and their numbers.
    pub fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> {
        [&self.orchestrator].into_iter().chain(&self.workers).map(Process::identity)
    }

    /// Fails where a process has ended.
    ///
    /// # Errors
    /// When one has.
    pub fn check(&mut self) -> Result<(), Failure> {
        self.orchestrator.check()?;
        self.workers.iter_mut().try_for_each(Process::check)
    }

    /// Stops the processes in good order. What is returned has to be stopped, too, once nobody is
    /// connected to the broker any more.
    pub async fn stop(self) -> Option<Services> {
        let Self { orchestrator, workers, services, .. } = self;
        orchestrator.stop().await;
        for worker in workers {
            worker.stop().await;
        }
        services
    }
}

async fn connect(config: &Config) -> Result<Arc<dyn Bus>, Failure> {
    let addresses = config.bus.addresses.iter().map(|url| Address::parse(url.reveal()));
    let addresses: Vec<Address> =
        addresses.collect::<Result<_, _>>().map_err(|error| failed(error.to_string()))?;
    let bus = RabbitBus::connect(addresses, "skald demo", Bundling::default()).await;
    Ok(Arc::new(bus.map_err(|error| failed(error.to_string()))?))
}

/// Fails where somebody has orders or products in the database.
fn refuse_what_is_in_use(config: &Config) -> Result<(), Failure> {
    let stores = stores::open(config)?;
    let counts = stores.orchestrator.queries.counts();
    let counts = counts.map_err(|error| failed(error.to_string()))?;
    let orders: u64 = counts.orders.iter().map(|(_, count)| count).sum();
    let products = stores.inventory.as_ref().map(|inventory| inventory.products(None, 1));
    let products = products.transpose().map_err(|error| failed(error.to_string()))?;
    if orders == 0 && products.is_none_or(|products| products.is_empty()) {
        return Ok(());
    }
    let what = format!("the database is in use: {orders} orders are there, or products");
    Err(Failure::new(Exit::Usage, "STORE_NOT_EMPTY", what)
        .next("give a new database and a new virtual host, or neither to have services started"))
}

/// The settings of the stack, of which some must not be seen in a list of processes.
fn variables(config: &Config) -> Vec<(&'static str, String)> {
    let store =
        config.store.orchestrator.iter().map(|url| ("SKALD_STORE_URL", url.reveal().into()));
    let addresses: Vec<&str> = config.bus.addresses.iter().map(Secret::reveal).collect();
    // All workers are Skald's own here.
    let bundled = ("SKALD_BUS_BUNDLE_COMMANDS", "inventory,notification".to_owned());
    // Nor is mail sent to customers who are made up, whatever the file says.
    let no_mail = ("SKALD_MAIL_URL", "none".to_owned());
    store.chain([("SKALD_BUS_URL", addresses.join(",")), bundled, no_mail]).collect()
}

/// The settings of the demo that hold for its processes, too.
fn flags(config: &Config, file: Option<PathBuf>) -> Vec<OsString> {
    let format = match config.log.format {
        LogFormat::Text => "text",
        LogFormat::Json => "json",
    };
    let mut flags: Vec<OsString> = vec!["--data-dir".into(), config.data_dir.clone().into()];
    flags.extend(["--log-filter", &config.log.filter, "--log-format", format].map(Into::into));
    flags.extend(file.into_iter().flat_map(|file| ["--config".into(), file.into()]));
    flags
}
