//! Workers: beside the orchestrator, or in a process of their own.

use std::fs::File;
use std::sync::Arc;

use actix::prelude::*;
use anyhow::Context as _;
use tokio::sync::watch;

use super::mail::{self, Mail};
use super::stores::WorkerStores;
use crate::config::{Config, Run};
use crate::panic::AbortOnPanic;
use crate::ports::Clock;
use crate::ports::bus::Bus;
use crate::ports::spans::Spans;
use crate::workers::inventory::InventoryWorker;
use crate::workers::notification::NotificationWorker;
use crate::workers::runtime::Runtime;
use crate::workers::worker::Worker;

/// Workers that run, each on a thread of its own.
pub struct Workers {
    threads: Vec<Arbiter>,
    stop: watch::Sender<bool>,
}

impl Workers {
    /// Starts the workers that are to run. Where the process is `alone` with its stores, none of
    /// them has to wait for what a predecessor had in hand.
    ///
    /// # Errors
    /// When one lacks something.
    pub fn start(
        run: Run,
        config: &Config,
        stores: WorkerStores,
        bus: &Arc<dyn Bus>,
        clock: &Arc<dyn Clock>,
        spans: &Spans,
        alone: Option<&File>,
    ) -> anyhow::Result<Self> {
        let (stop, stopping) = watch::channel(false);
        let mut threads = Vec::new();
        if run.inventory {
            let store = stores
                .inventory
                .context("the inventory worker is to run, but store.inventory_url is none")?;
            let worker = match stores.locks {
                Some(locks) => InventoryWorker::new(store).with_hint_locks(locks),
                None => InventoryWorker::new(store),
            };
            threads.push(start(runtime(worker, config, bus, clock, spans), stopping.clone()));
        }
        if run.notification {
            let store = stores
                .notification
                .context("the notification worker is to run, but store.notification_url is none")?;
            let Mail { mailer, at_a_time } = mail::open(config)?;
            let from = &config.mail.from;
            let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
            let worker = NotificationWorker::new(store, mailer, domain);
            let worker = match alone {
                Some(_) => worker.alone_since(clock.now()),
                None => worker,
            };
            let runtime = runtime(worker, config, bus, clock, spans).with_batches_of(at_a_time);
            threads.push(start(runtime, stopping));
        }
        Ok(Self { threads, stop })
    }

    /// Has them finish what is in hand, and waits for their threads. Blocks.
    pub fn stop(self) {
        // Nobody listens where the workers ended already.
        let _ = self.stop.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a worker's thread ended in a panic");
            }
        }
    }
}

fn runtime<W>(
    worker: W,
    config: &Config,
    bus: &Arc<dyn Bus>,
    clock: &Arc<dyn Clock>,
    spans: &Spans,
) -> Runtime<W> {
    Runtime {
        worker: Arc::new(worker),
        bus: Arc::clone(bus),
        clock: Arc::clone(clock),
        spans: spans.clone(),
        batch_size: config.workers.batch_size,
        prefetch: config.workers.prefetch,
    }
}

/// Runs a worker on a thread of its own, which ends with it.
fn start<W: Worker>(runtime: Runtime<W>, stopping: watch::Receiver<bool>) -> Arbiter {
    let arbiter = Arbiter::new();
    arbiter.spawn_fn(move || {
        actix::spawn(async move {
            let _guard = AbortOnPanic("worker");
            runtime.run(stopping).await;
            Arbiter::current().stop();
        });
    });
    arbiter
}
