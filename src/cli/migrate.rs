//! `skald migrate`.

use clap::Args;

use super::failure::Failure;
use super::output::print;
use super::settings::Settings;
use crate::app::stores;
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
        stores::migrate(&config)?;
        let place = match &config.store.orchestrator {
            Some(_) => "PostgreSQL".to_owned(),
            None => config.data_dir.display().to_string(),
        };
        print(&format!("the stores in {place} are up to date"))
    }
}
