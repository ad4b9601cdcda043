//! What the demo runs on: a Skald within this process, or one in many.

use std::net::SocketAddr;
use std::sync::Arc;

use actix::Arbiter;
use actix_web::rt;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::IgnoredAny;
use tokio::sync::oneshot;

use super::cost;
use super::ends::EVENTS;
use super::failed;
use super::load::{self, Measured, Plan, Progress};
use super::stack::Stack;
use super::watch::watch;
use crate::app::{self, Running};
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::serve::base_url;
use crate::config::Config;
use crate::orders::ProductId;
use crate::ports::bus::{Bus, DeadLetters, Exchange, Lifetime, QueueSpec};

/// What the demo binds to hear of ends: the last event of every order's saga.
const LAST_EVENT: &str = "notification.sent";

/// Events that wait while the generator is busy: far more than orders that are unfinished as a rule.
/// Beyond that the publisher waits.
const MAX_WAITING_EVENTS: usize = 65_536;

/// Nothing is ever given back to the demo's queue.
const DELIVERY_LIMIT: u32 = 20;

/// Products that are put at a time: the server's readers and writer have no use for more.
const PUTS: usize = 4;

/// A Skald with a generator of load beside it, on a thread of its own.
pub struct Stage {
    skald: Skald,
    bus: Arc<dyn Bus>,
    address: SocketAddr,
    url: String,
    client: Client,
    generator: Arbiter,
}

enum Skald {
    Embedded(Running),
    Stack(Stack),
}

impl Stage {
    /// Starts everything within this process.
    ///
    /// # Errors
    /// When Skald can't start.
    pub async fn embedded(config: &Config) -> Result<Self, Failure> {
        let running = app::start(config).await?;
        let (address, bus) = (running.address, Arc::clone(&running.bus));
        Ok(Self::of(Skald::Embedded(running), address, bus))
    }

    /// Takes a Skald that runs in processes of its own.
    pub fn stack(stack: Stack) -> Self {
        let (address, bus) = (stack.address(), stack.bus());
        Self::of(Skald::Stack(stack), address, bus)
    }

    fn of(skald: Skald, address: SocketAddr, bus: Arc<dyn Bus>) -> Self {
        let url = base_url(address);
        Self { skald, bus, address, client: Client::new(&url), url, generator: Arbiter::new() }
    }

    /// Where the API is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A client of it.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The processes that it runs in, and the generator's if that is another one.
    pub fn processes(&self) -> Vec<cost::Measured> {
        let this = std::process::id();
        match &self.skald {
            Skald::Embedded(_) => vec![("skald and generator".to_owned(), this)],
            Skald::Stack(stack) => {
                let others = stack.processes().map(|(name, id)| (name.to_owned(), id));
                [("generator".to_owned(), this)].into_iter().chain(others).collect()
            }
        }
    }

    /// Puts products into the warehouse.
    ///
    /// # Errors
    /// When the API refuses one.
    pub async fn stock(&self, products: &[(ProductId, i64)]) -> Result<(), Failure> {
        let puts = products.iter().map(|(id, on_hand)| async move {
            let path = format!("/v1/inventory/products/{id}");
            let stock = format!("{{\"onHand\":{on_hand}}}");
            self.client.put::<IgnoredAny>(&path, stock).await
        });
        stream::iter(puts).buffer_unordered(PUTS).try_for_each(async |_| Ok(())).await
    }

    /// Has the generator send every order of `plan`, and waits for their ends.
    ///
    /// # Errors
    /// When an order is refused, a process ends, or no order ends for too long.
    pub async fn load(&mut self, plan: Plan) -> Result<Measured, Failure> {
        let queue = QueueSpec {
            name: format!("skald.demo.{}", uuid::Uuid::new_v4()).as_str().into(),
            bindings: vec![(Exchange::Events, LAST_EVENT.to_owned())],
            max_length: MAX_WAITING_EVENTS,
            delivery_limit: DELIVERY_LIMIT,
            dead_letters: DeadLetters::Dropped,
            lifetime: Lifetime::Fleeting,
        };
        let bound = async {
            self.bus.declare(&queue).await?;
            self.bus.consume(&queue.name, EVENTS).await
        };
        let events = bound.await.map_err(|error| failed(error.to_string()))?;
        let orders = plan.orders;
        let progress = Arc::new(Progress::default());
        let (report, outcome) = oneshot::channel();
        let counted = Arc::clone(&progress);
        self.generator.spawn_fn(move || {
            rt::spawn(async move {
                let _ = report.send(load::run(plan, events, counted).await);
            });
        });
        watch(outcome, &progress, orders, || self.skald.check()).await
    }

    /// Stays up until SIGTERM or Ctrl-C, and then stops in good order.
    pub async fn leave_up(self) {
        app::stop_signal().await;
        self.clear().await;
    }

    /// Stops in good order.
    pub async fn clear(self) {
        let Self { skald, bus, generator, .. } = self;
        let services = match skald {
            Skald::Embedded(running) => {
                running.stop().await;
                None
            }
            Skald::Stack(stack) => stack.stop().await,
        };
        generator.stop();
        // Its thread may only have panicked, which is reported by then.
        let _ = generator.join();
        drop(bus);
        if let Some(services) = services {
            services.stop().await;
        }
    }
}

impl Skald {
    /// Fails where a part of it has ended.
    fn check(&mut self) -> Result<(), Failure> {
        match self {
            Self::Embedded(_) => Ok(()),
            Self::Stack(stack) => stack.check(),
        }
    }
}
