//! Every setting there is: what it is called, what holds where nobody says otherwise, what it means.
//! `tests/docs.rs` compares this with the operations page.

use super::{actors, bus, log, mail, node, redis, server, store, telemetry, workers};

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its key, such as `server.listen`.
    pub key: &'static str,
    /// What holds where nobody says otherwise.
    pub unset: Unset,
    /// What it could be set to, as TOML writes it.
    pub example: &'static str,
    /// What it means, in Markdown.
    pub what: &'static str,
}

/// What holds where nobody sets a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unset {
    /// A value that could be set just so: the example.
    Value,
    /// Something else, in Markdown.
    Words(&'static str),
}

impl Setting {
    /// A setting whose default is `value`, as TOML writes it.
    pub(super) const fn new(key: &'static str, value: &'static str, what: &'static str) -> Self {
        Self { key, unset: Unset::Value, example: value, what }
    }

    /// A setting for whose default there are only `words`.
    pub(super) const fn open(
        key: &'static str,
        words: &'static str,
        example: &'static str,
        what: &'static str,
    ) -> Self {
        Self { key, unset: Unset::Words(words), example, what }
    }

    /// The variable that gives it.
    pub fn variable(&self) -> String {
        variable(self.key)
    }

    /// The default as a page shows it: in Markdown, without TOML's quotes.
    pub fn default_shown(&self) -> String {
        match (self.unset, self.example.trim_matches('"')) {
            (Unset::Words(words), _) => words.to_owned(),
            (Unset::Value, text) if text == self.example => text.to_owned(),
            (Unset::Value, text) => format!("`{text}`"),
        }
    }
}

/// The variable that gives the setting `key`.
pub(super) fn variable(key: &str) -> String {
    format!("SKALD_{}", key.replace('.', "_").to_ascii_uppercase())
}

/// Every setting, those of one table together and those above all tables first.
pub fn catalogue() -> impl Iterator<Item = &'static Setting> {
    let parts: [&[Setting]; 11] = [
        &super::SETTINGS,
        &server::SETTINGS,
        &store::SETTINGS,
        &bus::SETTINGS,
        &redis::SETTINGS,
        &node::SETTINGS,
        &actors::SETTINGS,
        &workers::SETTINGS,
        &mail::SETTINGS,
        &log::SETTINGS,
        &telemetry::SETTINGS,
    ];
    parts.into_iter().flatten()
}
