//! `skald serve`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use actix_web::rt::System;
use clap::Args;

use super::attended::Attended;
use super::failure::Failure;
use super::settings::{Listen, Settings};
use crate::app;
use crate::config::{Config, LogFormat};
use crate::telemetry;

/// Runs the orchestrator with its workers, API and dashboard until it is told to stop.
#[derive(Args, Debug)]
pub struct Serve {
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    listen: Listen,
    /// Which workers to run in this process: all, none, inventory or notification [default: all]
    #[arg(long, value_name = "WHICH")]
    workers: Option<String>,
    /// Append every domain event to this file, one JSON document a line
    #[arg(long, value_name = "FILE")]
    event_log: Option<String>,
    #[command(flatten)]
    attended: Attended,
}

impl Serve {
    /// Serves until SIGTERM or Ctrl-C, and then stops in good order.
    ///
    /// # Errors
    /// When it can't start.
    pub fn run(self) -> Result<(), Failure> {
        let sources = self.listen.add_to(self.settings.sources());
        let config = sources
            .flag("--workers", "workers.run", self.workers)
            .flag("--event-log", "event_log", self.event_log)
            .load()?;
        telemetry::log(&config.log)?;
        System::new().block_on(async {
            let running = app::start(&config).await?;
            if !self.attended.is_attended() {
                announce(running.address, &config);
            }
            self.attended.ready(running.address)?;
            self.attended.until_told_to_stop().await;
            running.stop().await;
            Ok(())
        })
    }
}

/// Tells where everything is: people in words, programs in a line of the log.
pub fn announce(address: SocketAddr, config: &Config) {
    let base = base_url(address);
    let data_dir = config.data_dir.display();
    match config.log.format {
        LogFormat::Json => {
            tracing::info!(dashboard = %base, api = %format!("{base}/v1"), dataDir = %data_dir, "ready");
        }
        LogFormat::Text => eprintln!(
            "\n  Dashboard  {base}/\n  API        {base}/v1\n  Data       {data_dir}\n\n  Stop with Ctrl-C.\n"
        ),
    }
}

/// Where this machine reaches what listens on `address`.
pub fn base_url(address: SocketAddr) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_every_address_is_reached_over_loopback() {
        let url = |address: &str| base_url(address.parse().unwrap());
        assert_eq!(url("0.0.0.0:7070"), "http://127.0.0.1:7070");
        assert_eq!(url("[::]:80"), "http://[::1]:80");
        assert_eq!(url("10.0.0.7:1"), "http://10.0.0.7:1");
    }
}
