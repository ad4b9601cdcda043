//! The configuration: one type per concern, its settings listed beside it.
//!
//! A setting such as `server.listen` is given by a flag, by the variable `SKALD_SERVER_LISTEN`, or
//! by the key `listen` in the table `[server]` of `skald.toml`. A flag beats a variable, which beats
//! the file, which beats the default. What is overruled is checked all the same, and what nobody
//! knows is a fault: a setting with a typo would otherwise be ignored in silence.
//!
//! | file | holds |
//! |---|---|
//! | `actors`, `bus`, `log`, `mail`, `node`, `redis`, `server`, `store`, `telemetry`, `workers` | the settings of one concern |
//! | `catalogue` | every setting there is |
//! | `environment`, `file` | reading what was given, and where |
//! | `sources` | the order of precedence |
//! | `secret` | what must not be shown |
//! | `given`, `settings` | what was given, faults; taking it apart |

mod actors;
mod bus;
mod catalogue;
mod environment;
mod file;
mod given;
mod log;
mod mail;
mod node;
mod redis;
mod secret;
mod server;
mod settings;
mod sources;
mod store;
mod telemetry;
mod workers;

use std::path::PathBuf;

pub use actors::Actors;
pub use bus::Bus;
pub use catalogue::{Setting, Unset, catalogue};
pub use given::{Fault, Origin, Place, Value};
pub use log::{Log, LogFormat};
pub use mail::Mail;
pub use node::Node;
pub use redis::Redis;
pub use secret::Secret;
pub use server::Server;
pub use sources::{ConfigError, Sources};
pub use store::{Place as StorePlace, Store};
pub use telemetry::Telemetry;
pub use workers::{Run, Workers};

use settings::Settings;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 2] = [
    Setting::new(
        "data_dir",
        r#""./data""#,
        "the folder of the embedded stores; made if it is missing",
    ),
    Setting::open(
        "event_log",
        "none",
        r#""/var/lib/skald/events.jsonl""#,
        "a file that every domain event is appended to, one JSON document a line",
    ),
];

/// The whole configuration, checked.
///
/// A relative path counts from the current folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The folder of the embedded stores.
    pub data_dir: PathBuf,
    /// A file that every domain event is appended to.
    pub event_log: Option<PathBuf>,
    /// Listening for requests.
    pub server: Server,
    /// The databases.
    pub store: Store,
    /// The broker.
    pub bus: Bus,
    /// What processes coordinate by.
    pub redis: Redis,
    /// This process among others.
    pub node: Node,
    /// Sagas in memory.
    pub actors: Actors,
    /// The workers in this process.
    pub workers: Workers,
    /// Sending mail.
    pub mail: Mail,
    /// What is logged, and how.
    pub log: Log,
    /// What is told to monitoring systems.
    pub telemetry: Telemetry,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("./data"),
            event_log: None,
            server: Server::default(),
            store: Store::default(),
            bus: Bus::default(),
            redis: Redis::default(),
            node: Node::default(),
            actors: Actors::default(),
            workers: Workers::default(),
            mail: Mail::default(),
            log: Log::default(),
            telemetry: Telemetry::default(),
        }
    }
}

impl Config {
    /// The folder that mails are written to.
    pub fn mail_folder(&self) -> PathBuf {
        self.mail.folder.clone().unwrap_or_else(|| self.data_dir.join("mail"))
    }

    fn take(settings: &mut Settings) -> Self {
        let data_dir = settings.path("data_dir");
        Self {
            data_dir: data_dir.unwrap_or(Self::default().data_dir),
            event_log: settings.path("event_log"),
            server: Server::take(settings),
            store: Store::take(settings),
            bus: Bus::take(settings),
            redis: Redis::take(settings),
            node: Node::take(settings),
            actors: Actors::take(settings),
            workers: Workers::take(settings),
            mail: Mail::take(settings),
            log: Log::take(settings),
            telemetry: Telemetry::take(settings),
        }
    }
}
