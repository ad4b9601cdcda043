//! How far the load has come.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::failed;
use super::load::{Measured, Progress};
use crate::cli::failure::Failure;

/// Twice the half minute after which a command is asked again.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Smooth to the eye, and cheap.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits for the outcome, shows how far it has come, and gives up if nothing happens for too long or
/// `check` finds that nothing will.
///
/// # Errors
/// When it gave up, or the load did.
pub async fn watch(
    mut outcome: oneshot::Receiver<Result<Measured, Failure>>,
    progress: &Progress,
    orders: u64,
    mut check: impl FnMut() -> Result<(), Failure>,
) -> Result<Measured, Failure> {
    let bar = bar(orders);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ended, mut moved_at) = (0, Instant::now());
    loop {
        tokio::select! {
            outcome = &mut outcome => {
                bar.finish_and_clear();
                return outcome.unwrap_or_else(|_| Err(failed("the generator died")));
            }
            _ = look.tick() => {
                check().inspect_err(|_| bar.finish_and_clear())?;
                let now = progress.ended();
                bar.set_position(now);
                if now > ended {
                    (ended, moved_at) = (now, Instant::now());
                } else if moved_at.elapsed() > STALLED_AFTER {
                    bar.finish_and_clear();
                    return Err(stalled(ended, orders));
                }
            }
        }
    }
}

/// A bar on standard error; indicatif shows it only if that is a terminal.
fn bar(orders: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(orders), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(
        "{bar:40} {human_pos}/{human_len} orders, {per_sec}, {eta} left",
    );
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn stalled(ended: u64, orders: u64) -> Failure {
    let seconds = STALLED_AFTER.as_secs();
    failed(format!("{ended} of {orders} orders have ended, and none more for {seconds} s"))
}
