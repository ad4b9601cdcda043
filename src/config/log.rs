//! What is logged, and how.

use tracing_subscriber::EnvFilter;

use super::catalogue::Setting;
use super::settings::Settings;

/// The settings of this file.
pub(super) const SETTINGS: [Setting; 2] = [
    Setting::new(
        "log.filter",
        r#""info""#,
        "the level, or levels by module such as `warn,skald=debug`",
    ),
    Setting::new(
        "log.format",
        r#""text""#,
        "`text` for people, `json` for programs: one object a line",
    ),
];

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Levels by module.
    pub filter: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

impl LogFormat {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

impl Log {
    pub(super) fn take(settings: &mut Settings) -> Self {
        let default = Self::default();
        let wanted = "a level (error, warn, info, debug, trace, off), or levels by module such as \
                      warn,skald=debug";
        let filter =
            settings.text("log.filter", wanted, |text| is_filter(text).then(|| text.to_owned()));
        let format = settings.text("log.format", "text or json", LogFormat::parse);
        Self { filter: filter.unwrap_or(default.filter), format: format.unwrap_or(default.format) }
    }
}

/// A lone word that is no level would count as a module and silence everything else.
fn is_filter(text: &str) -> bool {
    let is_level = |word: &str| {
        !word.is_empty() && word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok()
    };
    let lone_words_are_levels = text
        .split(',')
        .filter(|directive| !directive.contains(['=', ':', '[']))
        .all(|word| is_level(word.trim()));
    lone_words_are_levels && EnvFilter::try_new(text).is_ok()
}
