//! A process that another one has started and attends to.

use std::fmt::Display;
use std::future::pending;
use std::io;
use std::thread;

use clap::Args;
use tokio::sync::oneshot;

use super::failure::Failure;
use super::output::print;
use crate::app;

/// The flag for programs that start this one, such as `skald demo --stack`. No process outlives such
/// a program: however it ends, the system closes its end of the pipe that is standard input here.
#[derive(Args, Debug, Default)]
pub struct Attended {
    /// Print one line once all is up, and stop in good order when standard input ends
    #[arg(long, hide = true)]
    attended: bool,
}

impl Attended {
    /// Whether another program attends to this process.
    pub fn is_attended(&self) -> bool {
        self.attended
    }

    /// Tells whoever attends that all is up, and `what` it needs to know.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn ready(&self, what: impl Display) -> Result<(), Failure> {
        if self.attended { print(&what.to_string()) } else { Ok(()) }
    }

    /// Waits for SIGTERM, Ctrl-C, or the end of whoever attends.
    pub async fn until_told_to_stop(&self) {
        tokio::select! {
            () = app::stop_signal() => {}
            () = self.left_alone() => {}
        }
        tracing::info!("stopping");
    }

    async fn left_alone(&self) {
        if !self.attended {
            return pending().await;
        }
        let (still_there, end) = oneshot::channel::<()>();
        // A thread, for reading standard input can't be given up. It ends with the process.
        thread::spawn(move || {
            // An error is an end, too.
            let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
            drop(still_there);
        });
        let _ = end.await;
    }
}
