//! `skald worker`.

use actix_web::rt::System;
use clap::{Args, ValueEnum};

use super::attended::Attended;
use super::failure::Failure;
use super::serve::base_url;
use super::settings::Settings;
use crate::app::worker;
use crate::config::Run;
use crate::telemetry;

/// Runs one worker until it is told to stop; any number of them may run.
#[derive(Args, Debug)]
pub struct Worker {
    /// Which one
    #[arg(value_enum)]
    worker: Kind,
    #[command(flatten)]
    settings: Settings,
    /// Answer /livez, /readyz and /metrics here [default: nowhere]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    #[command(flatten)]
    attended: Attended,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// Reserves and releases goods
    Inventory,
    /// Writes to customers
    Notification,
}

impl Worker {
    /// Works until SIGTERM or Ctrl-C, and then finishes what is in hand.
    ///
    /// # Errors
    /// When it can't start.
    pub fn run(self) -> Result<(), Failure> {
        let run = match self.worker {
            Kind::Inventory => Run { inventory: true, ..Run::NONE },
            Kind::Notification => Run { notification: true, ..Run::NONE },
        };
        let sources = self.settings.sources();
        let config = sources.flag("--listen", "workers.listen", self.listen).load()?;
        telemetry::log(&config.log)?;
        System::new().block_on(async {
            let running = worker::start(&config, run).await?;
            match running.address {
                Some(address) => tracing::info!(health = %base_url(address), "ready"),
                None => tracing::info!("ready"),
            }
            self.attended.ready("ready")?;
            self.attended.until_told_to_stop().await;
            running.stop().await;
            Ok(())
        })
    }
}
