//! `skald worker`.

use actix_web::rt::System;
use clap::{Args, ValueEnum};

use super::attended::Attended;
use super::failure::Failure;
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
        let config = self.settings.sources().load()?;
        telemetry::log(&config.log)?;
        System::new().block_on(async {
            let running = worker::start(&config, run).await?;
            tracing::info!("ready");
            self.attended.ready("ready")?;
            self.attended.until_told_to_stop().await;
            running.stop().await;
            Ok(())
        })
    }
}
