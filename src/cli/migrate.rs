//! `skald migrate`.

use clap::Args;

use super::failure::Failure;
use super::output::print;
use super::settings::Settings;
use crate::app;
use crate::store::sqlite;
use crate::telemetry;

/// Makes the stores, or brings them up to date.
#[derive(Args, Debug)]
pub struct Migrate {
    #[command(flatten)]
    settings: Settings,
}

impl Migrate {
    /// Migrates. Running it again changes nothing.
    ///
    /// # Errors
    /// When a store can't be opened, is not ours, or was made by a later program.
    pub fn run(self) -> Result<(), Failure> {
        let config = self.settings.sources().load()?;
        telemetry::log(&config.log)?;
        let _lock = app::lock(&config.data_dir)?;
        sqlite::open(&config.data_dir, sqlite::EMBEDDED_SHARDS)?;
        print(&format!("the stores in {} are up to date", config.data_dir.display()))
    }
}
