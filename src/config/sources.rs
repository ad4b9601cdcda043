//! Where the configuration comes from, and what counts more.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::given::{Fault, Given, Origin, Place, Value};
use super::settings::Settings;
use super::{Config, environment, file};

/// The file that is read if no other is named, from the current folder, if it is there.
const DEFAULT_FILE: &str = "skald.toml";

/// What the command line says of the configuration.
#[derive(Debug, Default)]
pub struct Sources {
    file: Option<PathBuf>,
    flags: Vec<Given>,
    preferences: Vec<Given>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {path} can't be read: {cause}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        cause: std::io::Error,
    },
    /// Settings are wrong.
    #[error("{}", Lines(.0))]
    Faults(Vec<Fault>),
}

struct Lines<'a>(&'a [Fault]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{fault}")?;
        }
        Ok(())
    }
}

impl Sources {
    /// Reads `file`, if it is named, instead of the one that `SKALD_CONFIG` names or `skald.toml`.
    pub fn of_file(file: Option<PathBuf>) -> Self {
        Self { file, ..Self::default() }
    }

    /// Adds a flag, if it is given.
    pub fn flag(mut self, flag: &'static str, key: &'static str, value: Option<String>) -> Self {
        let place = Place::Flag(flag);
        let given =
            value.map(|text| Given { name: Cow::Borrowed(key), value: Value::Plain(text), place });
        self.flags.extend(given);
        self
    }

    /// Adds what the command prefers to the default, if nobody says otherwise.
    pub fn preference(mut self, key: &'static str, value: &str) -> Self {
        let value = Value::Plain(value.to_owned());
        self.preferences.push(Given { name: Cow::Borrowed(key), value, place: Place::Command });
        self
    }

    /// Reads environment and file, and checks everything.
    ///
    /// # Errors
    /// When a setting is wrong or not known, or a file that was named can't be read.
    pub fn load(self) -> Result<Config, ConfigError> {
        self.explain().map(|(config, _)| config)
    }

    /// The same, and where each setting comes from.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn explain(self) -> Result<(Config, Vec<Origin>), ConfigError> {
        let file = self.read_file(std::env::var_os(environment::CONFIG))?;
        self.resolve(
            std::env::vars_os(),
            file.as_ref().map(|(path, text)| (path.as_str(), text.as_str())),
        )
    }

    fn read_file(&self, named: Option<OsString>) -> Result<Option<(String, String)>, ConfigError> {
        let named = named.filter(|name| !name.is_empty()).map(PathBuf::from);
        let named = self.file.clone().or(named);
        let path = named.as_deref().unwrap_or(Path::new(DEFAULT_FILE));
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some((path.display().to_string(), text))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
                Ok(None)
            }
            Err(cause) => Err(ConfigError::Unreadable { path: path.display().to_string(), cause }),
        }
    }

    /// The configuration that flags, `variables` and the file with this path and text come to, and
    /// where each setting comes from. Looks at nothing else.
    ///
    /// # Errors
    /// When a setting is wrong or not known.
    pub fn resolve(
        self,
        variables: impl Iterator<Item = (OsString, OsString)>,
        file: Option<(&str, &str)>,
    ) -> Result<(Config, Vec<Origin>), ConfigError> {
        let (in_variables, mut faults) = environment::given(variables);
        let mut given = self.flags;
        given.extend(in_variables);
        if let Some((path, text)) = file {
            match file::given(path, text) {
                Ok(in_file) => given.extend(in_file),
                Err(in_file) => faults.extend(in_file),
            }
        }
        given.extend(self.preferences);
        let mut settings = Settings::of(given, faults);
        let config = Config::take(&mut settings);
        let origins = settings.finish().map_err(ConfigError::Faults)?;
        Ok((config, origins))
    }
}

#[cfg(test)]
mod tests;
