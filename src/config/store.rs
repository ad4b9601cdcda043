//! The databases.

use super::secret::Secret;
use super::settings::Settings;

/// The databases.
///
/// | setting | default | what |
/// |---|---|---|
/// | `store.url` | none | `postgres://user:password@host/database`; without it the stores are files in `data_dir` |
/// | `store.inventory_url` | `store.url` | the inventory worker's database, if it is another one; `none` keeps this process away from it |
/// | `store.notification_url` | `store.url` | the same for the notification worker's |
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    /// PostgreSQL with the orchestrator's store; none for files in the data folder.
    pub orchestrator: Option<Secret>,
    /// Where the inventory worker's store is.
    pub inventory: Place,
    /// Where the notification worker's store is.
    pub notification: Place,
}

/// Where a worker's store is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Where the orchestrator's is.
    #[default]
    Same,
    /// In a database of its own.
    Own(Secret),
    /// Out of this process's reach.
    Nowhere,
}

impl Store {
    pub(super) fn take(settings: &mut Settings) -> Self {
        Self {
            orchestrator: settings.secret("store.url", DATABASE, database),
            inventory: place(settings, "store.inventory_url"),
            notification: place(settings, "store.notification_url"),
        }
    }
}

const DATABASE: &str = "a URL such as postgres://user:password@host:5432/database";

fn database(text: &str) -> Option<Secret> {
    let known = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    known.then(|| Secret::new(text))
}

fn place(settings: &mut Settings, key: &'static str) -> Place {
    let wanted = "a URL such as postgres://user:password@host:5432/database, or none";
    let place = settings.secret(key, wanted, |text| match text {
        "none" => Some(Place::Nowhere),
        text => database(text).map(Place::Own),
    });
    place.unwrap_or_default()
}
