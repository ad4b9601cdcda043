//! `skald health`.

use std::time::Duration;

use actix_web::rt::System;
use awc::http::StatusCode;
use clap::Args;
use tokio::time::timeout;

use super::client::{Client, Server};
use super::failure::{Exit, Failure};
use super::output::{print, printable};

/// A store that hangs shows on the other side after some 6 s at most. What has said nothing by now is
/// not well, and a probe that waits longer holds up the next one.
const WITHIN: Duration = Duration::from_secs(5);

/// Asks a node or a worker whether it can do its work, as the probe of a container does.
#[derive(Args, Debug)]
pub struct Health {
    #[command(flatten)]
    server: Server,
}

impl Health {
    /// Prints `ok`.
    ///
    /// # Errors
    /// When it is not well, with what is wrong, or does not answer within 5 s.
    pub fn run(self) -> Result<(), Failure> {
        let url = &self.server.url;
        let answer = System::new()
            .block_on(async { timeout(WITHIN, Client::new(url).text("/readyz")).await });
        let (status, text) = answer.unwrap_or_else(|_| {
            let what = format!("no answer from {url} within {} s", WITHIN.as_secs());
            Err(Failure::new(Exit::Failed, "UNREACHABLE", what))
        })?;
        let text = text.trim_end().split('\n').map(printable).collect::<Vec<_>>().join("\n");
        if status == StatusCode::OK {
            return print(&text);
        }
        let what = format!("{url} is not ready ({status}):\n{text}");
        Err(Failure::new(Exit::Failed, "NOT_READY", what))
    }
}
