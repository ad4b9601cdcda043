//! `skald config`: whether the configuration is right, and what it comes to.

mod template;
mod view;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::{Output, print};
use super::settings::Settings;
use crate::app;
use crate::config::{Config, ConfigError, Fault, Origin, Sources};

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tell everything that is wrong with the configuration, and where; reaches for nothing
    Check(Check),
    /// Show every setting, and where its value comes from
    Print(Print),
}

/// Tells everything that is wrong.
#[derive(Args, Debug)]
pub struct Check {
    #[command(flatten)]
    settings: Settings,
}

/// Shows every setting.
#[derive(Args, Debug)]
pub struct Print {
    #[command(flatten)]
    settings: Settings,
    /// How it is written
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
    /// Write a skald.toml with every setting, its meaning and its default, and read nothing
    #[arg(long, conflicts_with = "output")]
    template: bool,
}

impl Command {
    /// Reads the configuration as `skald serve` would.
    ///
    /// # Errors
    /// When it is wrong: each fault with its place.
    pub fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(check) => check.run(),
            Self::Print(print) => print.run(),
        }
    }
}

impl Check {
    fn run(self) -> Result<(), Failure> {
        let (_, origins) = checked(self.settings.sources())?;
        let given = origins.iter().filter(|origin| origin.given.is_some()).count();
        let left = origins.len() - given;
        print(&format!("the configuration is right: {given} settings are given, {left} are not"))
    }
}

impl Print {
    fn run(self) -> Result<(), Failure> {
        if self.template {
            return print(template::template().trim_end());
        }
        let (_, origins) = self.settings.sources().explain()?;
        match self.output {
            Output::Table => print(&view::table(&origins)),
            Output::Json => print(&view::json(&origins).to_string()),
        }
    }
}

/// The configuration with where each setting comes from, once all that can be known without reaching
/// for anything is right.
fn checked(sources: Sources) -> Result<(Config, Vec<Origin>), ConfigError> {
    let (config, origins) = sources.explain()?;
    let place = |key: &str| {
        let origin = origins.iter().find(|origin| origin.setting.key == key)?;
        origin.given.as_ref().map(|(_, place)| place.clone())
    };
    // What is not given is never wrong.
    let faults: Vec<Fault> = app::check(&config)
        .into_iter()
        .filter_map(|(key, detail)| Some(Fault { place: place(key)?, detail }))
        .collect();
    if faults.is_empty() { Ok((config, origins)) } else { Err(ConfigError::Faults(faults)) }
}
