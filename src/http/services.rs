//! What the handlers work with.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Data;
use tokio::sync::watch;
use tokio::time::timeout;

use super::blocking::Blocking;
use super::guard::Guard;
use super::health::{Expendable, Exposition, Health, Ping};
use super::idempotency::InFlight;
use super::live::Live;
use super::problem::Problem;
use super::span::Tracer;
use crate::ports::bus::Bus;
use crate::ports::cache::Cache;
use crate::ports::door::Door;
use crate::ports::inventory::InventoryStore;
use crate::ports::leases::Leases;
use crate::ports::letters::Letters;
use crate::ports::notification::NotificationStore;
use crate::ports::orchestrator::Orchestrator;
use crate::ports::pokes::Pokes;
use crate::ports::queries::Queries;
use crate::ports::spans::Spans;
use crate::ports::{Clock, StoreError};
use crate::saga::check::Checked;
use crate::saga::id::{DefinitionRef, Timestamp};

/// The ports that the API stands on.
pub struct Services {
    /// Accepts orders and runs sagas.
    pub orchestrator: Arc<dyn Orchestrator>,
    /// Reads orders and sagas.
    pub queries: Arc<dyn Queries>,
    /// Takes what people want of a saga.
    pub door: Arc<dyn Door>,
    /// Shows dead letters, and takes decisions about them.
    pub letters: Arc<dyn Letters>,
    /// Tells which nodes there are.
    pub leases: Arc<dyn Leases>,
    /// Carries the messages.
    pub bus: Arc<dyn Bus>,
    /// Remembers what can't change any more.
    pub cache: Arc<dyn Cache>,
    /// Tells what moves.
    pub pokes: Arc<dyn Pokes>,
    /// What is told of and nothing depends on.
    pub expendable: Vec<Expendable>,
    /// The stock, where the inventory worker runs in this process.
    pub inventory: Option<Arc<dyn InventoryStore>>,
    /// The mails, where the notification worker runs in this process.
    pub notification: Option<Arc<dyn NotificationStore>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Every definition that a saga may run.
    pub definitions: HashMap<DefinitionRef, Arc<Checked>>,
    /// Writes the metrics; none where nothing is counted.
    pub metrics: Option<Exposition>,
    /// Where spans go.
    pub spans: Spans,
}

impl Services {
    /// What must be well, what is told of beside it, and what is counted.
    fn health(&self) -> Health {
        let queries = Arc::clone(&self.queries);
        let store: Ping = Arc::new(move || queries.ping());
        // Orders are taken without them.
        let mut others: Vec<(_, Ping)> = Vec::new();
        if let Some(store) = self.inventory.as_ref().map(Arc::clone) {
            others.push(("inventory", Arc::new(move || store.ping())));
        }
        if let Some(store) = self.notification.as_ref().map(Arc::clone) {
            others.push(("notification", Arc::new(move || store.ping())));
        }
        Health {
            // A turn for each of them and for the count of sagas, so that no request keeps one away.
            blocking: Arc::new(Blocking::new(2 + others.len())),
            stores: vec![("store", store)],
            others,
            bus: Arc::clone(&self.bus),
            expendable: self.expendable.clone(),
            orchestrator: Some(Arc::clone(&self.orchestrator)),
            queries: Some(Arc::clone(&self.queries)),
            metrics: self.metrics.clone(),
        }
    }
}

/// What is configured.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Names under which the server may be reached, loopback names aside; without a port.
    pub host_names: Vec<String>,
    /// How many calls of the stores may be under way; the size of the readers' pool.
    pub store_calls: usize,
}

/// The API: its ports and what all its requests share.
pub struct Api {
    pub(super) services: Services,
    pub(super) blocking: Arc<Blocking>,
    pub(super) guard: Data<Guard>,
    pub(super) health: Data<Health>,
    pub(super) tracer: Data<Tracer>,
    pub(super) in_flight: InFlight,
    pub(super) live: Arc<Live>,
    pub(super) started_at: Timestamp,
    stopping: watch::Sender<bool>,
}

impl Api {
    /// An API over `services`. It counts its uptime from here.
    pub fn new(services: Services, settings: &Settings) -> Self {
        let blocking = Arc::new(Blocking::new(settings.store_calls));
        let (pokes, queries) = (Arc::clone(&services.pokes), Arc::clone(&services.queries));
        Self {
            live: Arc::new(Live::new(pokes, queries, Arc::clone(&blocking))),
            guard: Data::new(Guard::new(&settings.host_names)),
            health: Data::new(services.health()),
            tracer: Data::new(Tracer {
                spans: services.spans.clone(),
                clock: Arc::clone(&services.clock),
            }),
            blocking,
            in_flight: InFlight::default(),
            stopping: watch::Sender::new(false),
            started_at: services.clock.now(),
            services,
        }
    }

    /// Answers those who wait for an outcome with what there is, and ends streams, now and from now on.
    pub fn stop_waiting(&self) {
        self.stopping.send_replace(true);
        self.live.end();
    }

    /// What comes of `outcome`, unless it takes too long or nobody may wait any more.
    pub(super) async fn wait_for<T>(
        &self,
        within: Duration,
        outcome: impl Future<Output = T>,
    ) -> Option<T> {
        let mut stopping = self.stopping.subscribe();
        tokio::select! {
            outcome = timeout(within, outcome) => outcome.ok(),
            _ = stopping.wait_for(|stopping| *stopping) => None,
        }
    }

    /// What keeps pages up to date; somebody has to run its [`watch`](Live::watch).
    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live)
    }

    /// Reads something from the store, off the async threads.
    pub(super) async fn query<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Queries) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let queries = Arc::clone(&self.services.queries);
        self.blocking.run(move || read(queries.as_ref())).await
    }

    /// Does something at the door, off the async threads.
    pub(super) async fn at_door<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Door) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let door = Arc::clone(&self.services.door);
        self.blocking.run(move || act(door.as_ref())).await
    }

    /// Does something with dead letters, off the async threads.
    pub(super) async fn at_letters<T: Send + 'static>(
        &self,
        act: impl FnOnce(&dyn Letters) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let letters = Arc::clone(&self.services.letters);
        self.blocking.run(move || act(letters.as_ref())).await
    }

    /// The definition that a saga runs; none if this server does not know that version.
    pub(super) fn definition(&self, reference: &DefinitionRef) -> Option<&Checked> {
        self.services.definitions.get(reference).map(Arc::as_ref)
    }

    pub(super) fn now(&self) -> Timestamp {
        self.services.clock.now()
    }
}
