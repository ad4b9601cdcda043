//! The databases.

use super::catalogue::Setting;
use super::secret::Secret;
use super::settings::Settings;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 3] = [
    Setting::open(
        "store.url",
        "none",
        r#""postgres://user:password@host:5432/database""#,
        "`postgres://user:password@host/database`; without it the stores are files in `data_dir`",
    ),
    Setting::open(
        "store.inventory_url",
        "`store.url`",
        r#""postgres://user:password@host:5432/inventory""#,
        "the inventory worker's database, if it is another one; `none` keeps this process away from it",
    ),
    Setting::open(
        "store.notification_url",
        "`store.url`",
        r#""postgres://user:password@host:5432/notification""#,
        "the same for the notification worker's",
    ),
];

/// The databases.
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
