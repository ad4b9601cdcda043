//! The Skald that the demo runs on.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::Arbiter;
use actix_web::rt;
use futures_util::{StreamExt, TryStreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::de::IgnoredAny;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::ends::EVENTS;
use super::load::{self, Measured, Plan, Progress};
use crate::app::{self, Running};
use crate::cli::client::Client;
use crate::cli::failure::{Exit, Failure};
use crate::cli::serve::base_url;
use crate::config::Config;
use crate::orders::ProductId;
use crate::ports::bus::{Bus, DeadLetters, Exchange, QueueSpec};

/// What the demo binds to hear of ends: the last event of every order's saga.
const LAST_EVENT: &str = "notification.sent";

/// Events that wait while the generator is busy: far more than orders that are unfinished as a rule.
/// Beyond that the publisher waits.
const MAX_WAITING_EVENTS: usize = 65_536;

/// Nothing is ever given back to the demo's queue.
const DELIVERY_LIMIT: u32 = 20;

/// Twice the half minute after which a command is asked again.
const STALLED_AFTER: Duration = Duration::from_secs(60);

/// Smooth to the eye, and cheap.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Products that are put at a time: the server's readers and writer have no use for more.
const PUTS: usize = 4;

/// A folder in which there is nothing else.
pub struct Folder(String);

impl Folder {
    /// Takes the folder that is `wanted`, or makes one among the temporary files.
    ///
    /// # Errors
    /// When it can't be made, or there is something in it.
    pub fn fresh(wanted: Option<String>) -> Result<Self, Failure> {
        let path = match wanted {
            Some(wanted) => wanted,
            None => {
                let name = format!("skald-demo-{}", uuid::Uuid::now_v7());
                std::env::temp_dir().join(name).display().to_string()
            }
        };
        match make_empty(Path::new(&path)) {
            Ok(true) => Ok(Self(path)),
            Ok(false) => {
                let what = format!("there is something in {path} already");
                Err(Failure::new(Exit::Usage, "FOLDER_NOT_EMPTY", what)
                    .next("name a new or empty folder with --data-dir, or none"))
            }
            Err(error) => {
                let what = format!("the folder {path} can't be used: {error}");
                Err(Failure::new(Exit::Usage, "FOLDER_NOT_USABLE", what))
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &str {
        &self.0
    }
}

/// Makes the folder if it is missing, for this user alone; tells whether it is empty.
fn make_empty(path: &Path) -> io::Result<bool> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    Ok(fs::read_dir(path)?.next().is_none())
}

/// A Skald with a generator of load beside it, on a thread of its own.
pub struct Stage {
    running: Running,
    client: Client,
    url: String,
    generator: Arbiter,
}

impl Stage {
    /// Starts everything.
    ///
    /// # Errors
    /// When Skald can't start.
    pub async fn set(config: &Config) -> Result<Self, Failure> {
        let running = app::start(config).await?;
        let url = base_url(running.address);
        Ok(Self { client: Client::new(&url), url, generator: Arbiter::new(), running })
    }

    /// Where the API is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.running.address
    }

    /// A client of it.
    pub fn client(&self) -> &Client {
        &self.client
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
    /// When an order is refused, or none ends for too long.
    pub async fn load(&self, plan: Plan) -> Result<Measured, Failure> {
        let queue = QueueSpec {
            name: "skald.demo".into(),
            bindings: vec![(Exchange::Events, LAST_EVENT.to_owned())],
            max_length: MAX_WAITING_EVENTS,
            delivery_limit: DELIVERY_LIMIT,
            dead_letters: DeadLetters::Dropped,
        };
        let bus: &dyn Bus = self.running.bus.as_ref();
        let bound = async {
            bus.declare(&queue).await?;
            bus.consume(&queue.name, EVENTS).await
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
        watch(outcome, &progress, orders).await
    }

    /// Stays up until SIGTERM or Ctrl-C, and then stops in good order.
    pub async fn leave_up(self) {
        self.running.wait().await;
        end(self.generator);
    }

    /// Stops in good order.
    pub async fn clear(self) {
        self.running.stop().await;
        end(self.generator);
    }
}

fn end(generator: Arbiter) {
    generator.stop();
    // Its thread may only have panicked, which is reported by then.
    let _ = generator.join();
}

/// Waits for the outcome, shows how far it has come, and gives up if nothing happens for too long.
async fn watch(
    mut outcome: oneshot::Receiver<Result<Measured, Failure>>,
    progress: &Progress,
    orders: u64,
) -> Result<Measured, Failure> {
    let bar = bar(orders);
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut ended, mut moved_at) = (0, Instant::now());
    loop {
        tokio::select! {
            outcome = &mut outcome => {
                bar.finish_and_clear();
                return outcome.unwrap_or_else(|_| Err(failed("the generator died".to_owned())));
            }
            _ = look.tick() => {
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

fn failed(what: String) -> Failure {
    Failure::new(Exit::Failed, "DEMO_FAILED", what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let wanted = parent.path().join("new/folder").display().to_string();
        assert_eq!(Folder::fresh(Some(wanted.clone())).unwrap().path(), wanted);
        assert_eq!(Folder::fresh(Some(wanted.clone())).unwrap().path(), wanted);
        fs::write(parent.path().join("new/folder/file"), "kept").unwrap();
        let failure = Folder::fresh(Some(wanted)).err().unwrap();
        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn folders_among_the_temporary_files_are_never_shared() {
        let (one, other) = (Folder::fresh(None).unwrap(), Folder::fresh(None).unwrap());
        assert_ne!(one.path(), other.path());
        for folder in [one, other] {
            fs::remove_dir(folder.path()).unwrap();
        }
    }
}
